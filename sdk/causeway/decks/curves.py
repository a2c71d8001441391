"""How well scores tell the two classes of a label apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from causeway.decks.drawing import Axis, Point, curve
from causeway.decks.page import folded, listed, numbers, plain_table, same_length, section

MOST_POINTS = 200  # of a drawing
TOLD = 21  # rows of its table

Counts = tuple[float, int, int]  # a threshold; how many of the true and of the false reach it


def roc(actual: Any, scores: Any, *, positive: Any = 1, title: str = "ROC curve") -> str:
    """True against false positives at every threshold, with the area below it.

    :param actual: labels; what equals `positive` is the class that is looked for, everything else is not
    :param scores: numbers that are higher the surer the model is
    Raises ValueError where one of the two classes is missing, or there are not as many scores as labels.
    """
    counts, positives, negatives = _counts(actual, scores, positive)
    points = [(0.0, 0.0), *((false / negatives, true / positives) for _, true, false in counts)]
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(points, points[1:], strict=False))
    axes = Axis(0, 1, "False positive rate"), Axis(0, 1, "True positive rate")
    drawn = curve(_thinned(points), *axes, label=f"{title}; area {area:.3f}", guide=[(0, 0), (1, 1)])
    rows = [(threshold, false / negatives, true / positives) for threshold, true, false in _thinned(counts, TOLD)]
    numbers_ = folded("Numbers", plain_table(["Threshold", "False positive rate", "True positive rate"], rows))
    return section(title, drawn, numbers_, said=f"Area under the curve {area:.3f}; 0.5 is guessing. {_of(counts)}")


def precision_recall(actual: Any, scores: Any, *, positive: Any = 1, title: str = "Precision and recall") -> str:
    """Precision against recall at every threshold, with the average precision. Parameters and errors as of `roc`."""
    counts, positives, negatives = _counts(actual, scores, positive)
    told = [(threshold, true / positives, true / (true + false)) for threshold, true, false in counts]
    points = [(0.0, told[0][2]), *((recall, precision) for _, recall, precision in told)]
    average, before = 0.0, 0.0
    for _, recall, precision in told:
        average, before = average + (recall - before) * precision, recall
    share = positives / (positives + negatives)
    axes = Axis(0, 1, "Recall"), Axis(0, 1, "Precision")
    label = f"{title}; average precision {average:.3f}"
    drawn = curve(_thinned(points), *axes, label=label, guide=[(0, share), (1, share)])
    numbers_ = folded("Numbers", plain_table(["Threshold", "Recall", "Precision"], _thinned(told, TOLD)))
    said = f"Average precision {average:.3f}; {share:.3f} is guessing. {_of(counts)}"
    return section(title, drawn, numbers_, said=said)


def _of(counts: list[Counts]) -> str:
    _, positives, negatives = counts[-1]
    return f"{positives + negatives:,} cases, {positives:,} of them positive."


def _counts(actual: Any, scores: Any, positive: Any) -> tuple[list[Counts], int, int]:
    """At every score that there is, the highest first."""
    labels, given = listed(actual), numbers(scores, "scores")
    same_length(actual=labels, scores=given)
    ranked = sorted(zip(given, (label == positive for label in labels), strict=True), key=lambda one: -one[0])
    counts = list(_counted(ranked))
    _, positives, negatives = counts[-1]
    if not positives or not negatives:
        lacking = f"no label is {positive!r}" if not positives else f"every label is {positive!r}"
        raise ValueError(f"a curve needs cases of both classes, and {lacking}; say positive=... if it is another")
    return counts, positives, negatives


def _counted(ranked: list[tuple[float, bool]]) -> Iterator[Counts]:
    true = false = 0
    for number, (score, is_true) in enumerate(ranked):
        true, false = true + is_true, false + (not is_true)
        if number + 1 == len(ranked) or ranked[number + 1][0] != score:  # equal scores cannot be told apart
            yield score, true, false


def _thinned(rows: list[Any], most: int = MOST_POINTS) -> list[Any]:
    """Evenly, with both ends."""
    if len(rows) <= most:
        return rows
    return [rows[round(number * (len(rows) - 1) / (most - 1))] for number in range(most)]


__all__ = ["Point", "precision_recall", "roc"]
