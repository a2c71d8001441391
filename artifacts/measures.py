"""Numbers that measure something: which way they are better, and how those of several things differ."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Better(str, Enum):
    """Which way a measure is better. UNKNOWN: nobody said, and its name does not tell."""

    MORE = "more"
    LESS = "less"
    UNKNOWN = "unknown"


class Verdict(str, Enum):
    """Of a value beside the base's. EQUAL: the same number; DIFFERENT: another, and nobody knows which is better."""

    BASE = "base"
    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"
    DIFFERENT = "different"
    NONE = "none"  # there is no value here, or none to hold it against


# Words that names of measures are made of, in the words of scikit-learn, Keras, Hugging Face's evaluate and operations.
_LESS = frozenset(
    ("loss", "error", "err", "mae", "mse", "rmse", "mape", "smape", "msle", "rmsle", "mad", "wer", "cer", "ter")
    + ("perplexity", "ppl", "fpr", "fnr", "fdr", "brier", "ece", "mce", "crossentropy", "entropy", "nll", "deviance")
    + ("hinge", "pinball", "divergence", "kl", "distance", "fid", "inertia", "residual", "drift", "psi")
    + ("latency", "seconds", "second", "ms", "millis", "milliseconds", "minutes", "hours", "duration", "time", "took")
    + ("memory", "mem", "cost", "price", "missing", "nulls", "null", "nan", "nans", "outliers", "duplicates")
    + ("failures", "failed", "rejected", "skipped", "bytes", "aic", "bic", "mistakes", "misses")
)
_MORE = frozenset(
    ("accuracy", "acc", "auc", "auroc", "auprc", "roc", "f1", "f2", "fbeta", "precision", "recall", "sensitivity")
    + ("specificity", "score", "r2", "tpr", "tnr", "ap", "map", "ndcg", "mrr", "hit", "hits", "gain", "lift", "gini")
    + (
        "bleu",
        "rouge",
        "rouge1",
        "rouge2",
        "rougel",
        "meteor",
        "chrf",
        "iou",
        "miou",
        "dice",
        "jaccard",
        "kappa",
        "mcc",
    )
    + ("psnr", "ssim", "silhouette", "likelihood", "coverage", "throughput", "qps", "passed", "correct", "profit")
    + ("revenue", "return", "sharpe", "completeness", "ks", "auuc", "correlation", "pearson", "spearman")
)
_WORD = re.compile(r"[A-Z]?[a-z]+[0-9]*|[A-Z]+(?![a-z])[0-9]*|[0-9]+")


def better_of(name: str) -> Better:
    """Told by the words of the name, the last one that says something: `val_auc_loss` is a loss."""
    for word in reversed([word.lower() for word in _WORD.findall(name)]):
        if word in _LESS:
            return Better.LESS
        if word in _MORE:
            return Better.MORE
    return Better.UNKNOWN


def is_number(value: Any) -> bool:
    """Finite as a float, and no truth value."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number without end, as JSON may hold
        return False


@dataclass(frozen=True)
class Delta:
    """`difference` from the base's value, `share` of it: 0.1 is ten per cent more; None where there is none, or it is
    larger than any number.
    """

    value: float | None
    difference: float | None
    share: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Measure:
    """One measure of all things that are compared. `is_said`: somebody said which way is better; `best`: places."""

    name: str
    better: Better
    is_said: bool
    deltas: Sequence[Delta]
    best: frozenset[int]

    @property
    def values(self) -> list[float | None]:
        return [delta.value for delta in self.deltas]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


def measures_of(
    things: Sequence[Mapping[str, Any]], *, base: int = 0, said: Mapping[str, Better] | None = None
) -> list[Measure]:
    """What is measured of any of the things, by name; `base` is the place of the one that others are held against."""
    said = said or {}
    names = sorted({name for thing in things for name, value in thing.items() if is_number(value)})
    return [
        _measure(name, [thing.get(name) for thing in things], base, said.get(name, better_of(name)), name in said)
        for name in names
    ]


def _measure(name: str, given: Sequence[Any], base: int, better: Better, is_said: bool) -> Measure:
    values = [float(value) if is_number(value) else None for value in given]
    deltas = [_delta(value, values[base], better, is_base=at == base) for at, value in enumerate(values)]
    known = [value for value in values if value is not None]
    best: float | None = None
    if better is not Better.UNKNOWN and len(set(known)) > 1:
        best = max(known) if better is Better.MORE else min(known)
    places = frozenset(at for at, value in enumerate(values) if best is not None and value == best)
    return Measure(name, better, is_said, deltas, places)


def _delta(value: float | None, base: float | None, better: Better, *, is_base: bool) -> Delta:
    if is_base or value is None or base is None:
        return Delta(value, None, None, Verdict.BASE if is_base else Verdict.NONE)
    difference = value - base
    if not difference:
        return Delta(value, 0.0, 0.0, Verdict.EQUAL)
    verdict = Verdict.DIFFERENT
    if better is not Better.UNKNOWN:
        verdict = Verdict.BETTER if (difference > 0) == (better is Better.MORE) else Verdict.WORSE
    return Delta(value, _finite(difference), _finite(difference / abs(base)) if base else None, verdict)


def _finite(number: float) -> float | None:
    """None of what is larger than any number."""
    return number if math.isfinite(number) else None
