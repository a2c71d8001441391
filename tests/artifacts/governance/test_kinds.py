from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from artifacts.exceptions import InvalidArgument
from artifacts.governance.kinds import KINDS, Facts, read_parameters
from artifacts.models import CheckStatus

AT = datetime(2026, 5, 17, 12, tzinfo=timezone.utc)


def judged(kind: str, parameters: dict[str, Any], **facts: Any) -> tuple[CheckStatus, str]:
    given: dict[str, Any] = {"metrics": {}, "created_at": AT, **facts}
    verdict = KINDS[kind].judge(read_parameters(kind, parameters), Facts(**given))
    return verdict.status, verdict.message


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("metric", {"metric": "auc", "at_least": "0.8"}, "'at_least' must be a finite number, not '0.8'"),
        ("metric", {"metric": "auc", "at_least": True}, "'at_least' must be a finite number"),
        ("metric", {"metric": "auc", "at_least": float("nan")}, "finite number"),
        ("metric", {"metric": "auc"}, "needs a bound: 'at_least' or 'at_most'"),
        ("metric", {"at_least": 1}, "'metric' must be a text"),
        ("metric", {"metric": "auc", "at_least": 2, "at_most": 1}, "nothing is at least 2 and at most 1"),
        ("metric", {"metric": "auc", "at_lest": 0.8}, "needs a bound"),
        ("metric", {"metric": "auc", "at_least": 0.8, "than": 1}, "has than; known are: at_least, at_most, metric"),
        ("metric", ["auc"], "must be an object of names and values"),
        ("comparison", {"metric": "auc"}, "'against' must be a text"),
        ("comparison", {"metric": "zzz", "against": "champion"}, "which way is 'zzz' better"),
        ("comparison", {"metric": "auc", "against": "champion", "by": -1}, "'by' must be a finite number, at least 0"),
        ("comparison", {"metric": "auc", "against": "x", "better": "up"}, "'better' must be one of more, less"),
        ("rows", {"at_least": -1}, "at least 0"),
        ("schema", {}, "needs 'columns' (name to type) or 'not_null'"),
        ("schema", {"columns": {"a": 1}}, "an object of names and texts"),
        ("schema", {"not_null": ["a", "a"]}, "without repetitions"),
        ("freshness", {}, "needs 'hours'"),
        ("freshness", {"hours": "a day"}, "'hours' must be a finite number"),
        ("concept", {"metric": "auc", "recent": 2}, "'recent' must be a whole number from 3 to 500"),
        ("concept", {"metric": "auc", "p": 2}, "'p' must be a finite number"),
        ("concept", {"metric": "zzz"}, "which way is 'zzz' better"),
        ("opinion", {}, "there is no check of the kind 'opinion'; kinds: metric, comparison"),
    ],
)
def test_it_refuses_parameters(kind: str, given: Any, said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        read_parameters(kind, given)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("auc", "passes"), [(0.8, True), (0.79999, False), (0.9, True), (0.95, True), (0.9500001, False)]
)
def test_a_metric_lies_within_its_bounds(auc: float, passes: bool) -> None:
    status, message = judged("metric", {"metric": "auc", "at_least": 0.8, "at_most": 0.95}, metrics={"auc": auc})
    assert (status == CheckStatus.PASSED) is passes
    assert str(auc) in message


def test_a_metric_that_is_not_there_fails() -> None:
    assert judged("metric", {"metric": "auc", "at_least": 0.8}) == (CheckStatus.FAILED, "it has no metric 'auc'")


@pytest.mark.parametrize(
    ("metric", "value", "other", "by", "passes"),
    [
        ("auc", 0.89, 0.9, 0.01, True),  # worse by exactly what is allowed, which floats do not say
        ("auc", 0.889, 0.9, 0.01, False),
        ("auc", 0.95, 0.9, 0.0, True),
        ("loss", 0.31, 0.3, 0.01, True),
        ("loss", 0.32, 0.3, 0.01, False),
        ("loss", 0.1, 0.3, 0.0, True),
    ],
)
def test_it_compares_with_another_version(metric: str, value: float, other: float, by: float, passes: bool) -> None:
    rule = {"metric": metric, "against": "champion", "by": by}
    status, _ = judged("comparison", rule, metrics={metric: value}, others={"champion": {metric: other}})
    assert (status == CheckStatus.PASSED) is passes


def test_the_first_has_nothing_to_be_compared_with() -> None:
    status, message = judged("comparison", {"metric": "auc", "against": "champion"}, metrics={"auc": 0.1})
    assert status == CheckStatus.PASSED and "nothing to compare it with (champion)" in message


@pytest.mark.parametrize(("hours", "passes"), [(24, True), (25, True), (26, False)])
def test_freshness_is_the_age_of_the_time_partition_at_publication(hours: int, passes: bool) -> None:
    status, _ = judged("freshness", {"hours": 25}, time_partition=AT - timedelta(hours=hours))
    assert (status == CheckStatus.PASSED) is passes


def test_what_has_no_time_is_not_fresh() -> None:
    assert judged("freshness", {"hours": 25})[0] == CheckStatus.FAILED
