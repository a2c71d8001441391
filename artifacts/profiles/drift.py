"""How the columns of two profiles differ. Pure.

From percentiles and frequencies alone, so that no data is read twice: numbers that are drawn from a hundred points of a
distribution, exact to about one in a hundred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BINS = 10
LEAST_SHARE = 1e-4  # an empty bin counts as so much, as is usual: the logarithm of nothing is infinite
OTHERS = "\x00others"
SAME_BELOW, MOVED_FROM = 0.1, 0.2  # of the PSI: no change to speak of below, a significant one from there on


@dataclass(frozen=True)
class ColumnDrift:
    """How much a column differs. Without unit, 0 for the same distribution in all of them but the p-value.

    `psi`: population stability index, sum((p - q) * ln(p / q)) over ten bins of equal weight in the reference, or over
    its values (Siddiqi, Credit Risk Scorecards, 2006); 0 to infinity. `js`: Jensen-Shannon distance with base 2, 0 to 1
    (Lin 1991; scipy.spatial.distance.jensenshannon). `ks`: the Kolmogorov-Smirnov statistic, largest distance of the
    distribution functions, 0 to 1; of numbers. `p_value`: of `ks` by its asymptotic distribution
    (scipy.stats.kstwobign), or of chi-squared of the frequencies (scipy.stats.chi2_contingency).
    """

    name: str
    psi: float
    js: float
    ks: float | None = None
    p_value: float | None = None


def drift(reference: Mapping[str, Any], current: Mapping[str, Any], columns: Sequence[str] = ()) -> list[ColumnDrift]:
    """Of the columns that both have and that can be compared (all, or those named), the most changed first."""
    before = {column["name"]: column for column in reference["columns"]}
    found = []
    for column in current["columns"]:
        other = before.get(column["name"])
        if other is None or (columns and column["name"] not in columns):
            continue
        compared = _numbers(other, column) if "percentiles" in column else _categories(other, column)
        if compared is not None:
            found.append(compared)
    return sorted(found, key=lambda one: (-one.psi, one.name))


def _numbers(before: Mapping[str, Any], after: Mapping[str, Any]) -> ColumnDrift | None:
    import numpy as np
    from scipy.stats import kstwobign

    first, second = _percentiles(before), _percentiles(after)
    if first is None or second is None:
        return None
    edges = np.unique(np.percentile(first, np.linspace(0, 100, BINS + 1)[1:-1]))
    p, q = _shares(first, edges), _shares(second, edges)
    points = np.union1d(first, second)
    ks = float(np.max(np.abs(_below(first, points) - _below(second, points))))
    size = before["count"] * after["count"] / (before["count"] + after["count"])
    return ColumnDrift(after["name"], _psi(p, q), _js(p, q), ks, float(kstwobign.sf(ks * size**0.5)))


def _percentiles(column: Mapping[str, Any]) -> Any:
    import numpy as np

    found = [value for value in column.get("percentiles", ()) if value is not None]
    return np.array(found, dtype=float) if len(found) > 1 else None


def _below(percentiles: Any, points: Any) -> Any:
    """The share of values at or below each point, by steps between the percentiles."""
    import numpy as np

    return np.searchsorted(percentiles, points, side="right") / len(percentiles)


def _shares(percentiles: Any, edges: Any) -> Any:
    import numpy as np

    return np.diff(np.concatenate([[0.0], _below(percentiles, edges), [1.0]]))


def _categories(before: Mapping[str, Any], after: Mapping[str, Any]) -> ColumnDrift | None:
    import numpy as np
    from scipy.stats import chi2_contingency

    if "top" not in before or "top" not in after or not before["count"] or not after["count"]:
        return None
    first, second = _counts(before), _counts(after)
    names = sorted(first | second)
    table = np.array([[counts.get(name, 0) for name in names] for counts in (first, second)], dtype=float)
    table = table[:, table.sum(axis=0) > 0]
    p, q = table[0] / table[0].sum(), table[1] / table[1].sum()
    p_value = float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0
    return ColumnDrift(after["name"], _psi(p, q), _js(p, q), None, p_value)


def _counts(column: Mapping[str, Any]) -> dict[str, int]:
    counts = {str(value): int(count) for value, count in column["top"]}
    return counts | {OTHERS: max(0, int(column["count"]) - sum(counts.values()))}


def _psi(p: Any, q: Any) -> float:
    import numpy as np

    p, q = np.maximum(p, LEAST_SHARE), np.maximum(q, LEAST_SHARE)
    return float(np.sum((q - p) * np.log(q / p)))


def _js(p: Any, q: Any) -> float:
    import numpy as np
    from scipy.spatial.distance import jensenshannon

    found = float(jensenshannon(p, q, base=2))
    return found if np.isfinite(found) else 0.0  # of equal ones the square root of a rounding error
