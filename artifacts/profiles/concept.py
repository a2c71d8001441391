"""How a metric changed over the versions that it was measured in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

FEWEST = 3  # values on each side: of fewer no difference has a p-value of 0.05


@dataclass(frozen=True)
class Change:
    """`before` and `recent` are medians, in the metric's unit, as is `worse`: by how much the recent is (negative: it
    is better). `p_value`, 0 to 1: how likely the recent values are so much worse by chance.
    """

    before: float
    recent: float
    worse: float
    p_value: float


def change(recent: Sequence[float], before: Sequence[float], *, more_is_better: bool) -> Change | None:
    """Of the values of two windows of time (Gama et al., A survey on concept drift adaptation, ACM Computing Surveys
    46, 2014), by the one-sided Mann-Whitney U test, which assumes no distribution (Mann and Whitney 1947;
    scipy.stats.mannwhitneyu). None where one of them has fewer than FEWEST.
    """
    from scipy.stats import mannwhitneyu

    if min(len(recent), len(before)) < FEWEST:
        return None
    first, second = float(median(before)), float(median(recent))
    test = mannwhitneyu(recent, before, alternative="less" if more_is_better else "greater")
    return Change(first, second, first - second if more_is_better else second - first, float(test.pvalue))
