"""The kinds of checks: what the rule says, and how a version is judged by it. Pure.

A kind that needs only what a publication brings along judges at once, in its transaction; the others say PENDING, and
somebody else gives the verdict: a worker that reads the data, or whoever reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from artifacts.exceptions import InvalidArgument
from artifacts.governance.reading import Members
from artifacts.literals.numbers import plain
from artifacts.measures import Better, better_of
from artifacts.models import Artifact, CheckStatus
from artifacts.profiles.drift import MOVED_FROM

PREVIOUS = "previous"
MAX_ROWS = 10**15
MAX_COLUMNS = 10_000
MAX_WINDOW = 500  # versions


@dataclass(frozen=True)
class Facts:
    """What is known of a version when it is judged. `others`: the metrics of the versions that rules compare with, by
    `previous` or the alias; missing: there is none.
    """

    metrics: Mapping[str, float]
    created_at: datetime
    time_partition: datetime | None = None
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    status: CheckStatus
    message: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


def passed(message: str, **numbers: float) -> Verdict:
    return Verdict(CheckStatus.PASSED, message, numbers)


def failed(message: str, **numbers: float) -> Verdict:
    return Verdict(CheckStatus.FAILED, message, numbers)


@dataclass(frozen=True)
class Kind:
    """`read` gives the parameters as they are kept, or raises InvalidArgument. `judge` is given them and the facts.

    `compares_with` names the version whose metrics are among the facts; `reads_data`: a worker judges it, by
    `artifacts.governance.data`; `takes_values`: a reported number is judged by the parameters. `asks`: somebody else
    judges it, who is asked of each version by a happening (`check.asked`); `declare(artifact, check, parameters,
    actor)` raises what is wrong where nobody could be, in the transaction that sets the check.
    """

    name: str
    words: str  # what it asks, for people
    read: Callable[[Members], dict[str, Any]]
    judge: Callable[[Mapping[str, Any], Facts], Verdict]
    compares_with: Callable[[Mapping[str, Any]], str] = lambda parameters: ""
    reads_data: bool = False
    takes_values: bool = False
    asks: bool = False
    declare: Callable[[Artifact, str, Mapping[str, Any], str], None] = lambda artifact, check, parameters, actor: None


def add(kind: Kind) -> None:
    """A kind that is judged further up. ValueError for a second one of the same name."""
    if kind.name in KINDS:
        raise ValueError(f"there is a kind of check {kind.name!r} already")
    KINDS[kind.name] = kind


def read_parameters(kind: str, given: object) -> dict[str, Any]:
    """The parameters of a check as they are kept. InvalidArgument names the member, and what is allowed."""
    if kind not in KINDS:
        raise InvalidArgument(f"there is no check of the kind {kind[:80]!r}; kinds: {', '.join(KINDS)}")
    members = Members(given if given is not None else {}, f"a check of the kind {kind}")
    found = KINDS[kind].read(members)
    members.done()
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


def bounds_of(members: Members, *, required: bool = True, least: float | None = None) -> dict[str, Any]:
    """`at_least` and `at_most`, as they are kept. InvalidArgument where nothing lies between them."""
    low, high = members.number("at_least", least=least), members.number("at_most", least=least)
    if required and low is None and high is None:
        raise InvalidArgument(f"{members.what} needs a bound: 'at_least' or 'at_most', or both")
    if low is not None and high is not None and low > high:
        raise InvalidArgument(f"{members.what}: nothing is at least {low:g} and at most {high:g}")
    return {"at_least": low, "at_most": high}


def judge_bounds(what: str, value: float, parameters: Mapping[str, Any]) -> Verdict:
    """Whether the value lies within `at_least` and `at_most`, both included."""
    low, high = parameters.get("at_least"), parameters.get("at_most")
    numbers = {"value": value} | {
        key: float(one) for key, one in (("at_least", low), ("at_most", high)) if one is not None
    }
    if low is not None and value < low:
        return failed(f"{what} is {plain(value)}, at least {plain(low)} is asked", **numbers)
    if high is not None and value > high:
        return failed(f"{what} is {plain(value)}, at most {plain(high)} is asked", **numbers)
    return passed(f"{what} is {plain(value)}", **numbers)


def _read_metric(members: Members) -> dict[str, Any]:
    return {"metric": members.text("metric", required=True), **bounds_of(members)}


def _judge_metric(parameters: Mapping[str, Any], facts: Facts) -> Verdict:
    name = parameters["metric"]
    if name not in facts.metrics:
        return failed(f"it has no metric '{name}'")
    return judge_bounds(name, facts.metrics[name], parameters)


def _read_comparison(members: Members) -> dict[str, Any]:
    return {
        **_read_better(members),
        "against": members.text("against", required=True),
        "by": members.number("by", least=0) or 0.0,
    }


def _read_better(members: Members) -> dict[str, str]:
    """`metric`, and which way it is better."""
    metric = members.text("metric", required=True)
    better = members.choice("better", (Better.MORE.value, Better.LESS.value), better_of(metric).value)
    if better == Better.UNKNOWN.value:
        raise InvalidArgument(f"{members.what}: which way is '{metric}' better? Give 'better': more or less")
    return {"metric": metric, "better": better}


def _judge_comparison(parameters: Mapping[str, Any], facts: Facts) -> Verdict:
    """It may be worse by so much: `value >= other - by` where more is better, `value <= other + by` where less is."""
    name, against, by = parameters["metric"], parameters["against"], float(parameters.get("by", 0.0))
    if name not in facts.metrics:
        return failed(f"it has no metric '{name}'")
    value = facts.metrics[name]
    other = facts.others.get(against, {}).get(name)
    if other is None:
        return passed(f"{name} is {plain(value)}; there is nothing to compare it with ({against})", value=value)
    more = parameters["better"] == Better.MORE.value
    worse = other - value if more else value - other
    numbers = {"value": value, against: other, "worse_by": worse, "allowed": by}
    said = f"{name} is {plain(value)}, that of {against} {plain(other)}"
    # A rounding error of the subtraction must not fail what is worse by exactly as much as is allowed.
    if worse - by > 1e-12 * max(abs(value), abs(other), abs(by)):
        return failed(f"{said}: worse by {worse:.6g}, at most {plain(by)} is allowed", **numbers)
    return passed(said, **numbers)


def _read_rows(members: Members) -> dict[str, Any]:
    return bounds_of(members, least=0)


def _read_schema(members: Members) -> dict[str, Any]:
    columns = members.mapping("columns")
    found = {"columns": columns, "not_null": list(members.texts("not_null")), "exact": members.flag("exact")}
    if not columns and not found["not_null"]:
        raise InvalidArgument(f"{members.what} needs 'columns' (name to type) or 'not_null' (names)")
    if len(columns) > MAX_COLUMNS:
        raise InvalidArgument(f"{members.what}: {len(columns)} columns, at most {MAX_COLUMNS} are compared")
    return found


def _read_drift(members: Members) -> dict[str, Any]:
    found = {key: members.number(key, least=0) for key in ("psi", "js", "ks")}
    if all(bound is None for bound in found.values()):
        found["psi"] = MOVED_FROM
    return {"against": members.text("against", required=True), "columns": list(members.texts("columns")), **found}


def _read_concept(members: Members) -> dict[str, Any]:
    return {
        **_read_better(members),
        "recent": members.whole("recent", least=3, most=MAX_WINDOW) or 5,
        "before": members.whole("before", least=3, most=MAX_WINDOW) or 20,
        "p": members.number("p", least=1e-9, most=1) or 0.05,
        "by": members.number("by", least=0) or 0.0,
    }


def _read_freshness(members: Members) -> dict[str, Any]:
    hours = members.number("hours", least=0, most=24 * 3660)
    if hours is None:
        raise InvalidArgument(f"{members.what} needs 'hours': how old its time partition may be when it is published")
    return {"hours": hours}


def _judge_freshness(parameters: Mapping[str, Any], facts: Facts) -> Verdict:
    if facts.time_partition is None:
        return failed("it has no time partition: nobody knows how old its data is")
    hours = (facts.created_at - facts.time_partition).total_seconds() / 3600
    allowed = float(parameters["hours"])
    said = f"it was published {hours:.4g} h after the beginning of its time partition"
    if hours > allowed:
        return failed(f"{said}, at most {plain(allowed)} h are allowed", hours=hours, allowed=allowed)
    return passed(said, hours=hours, allowed=allowed)


def _read_reported(members: Members) -> dict[str, Any]:
    return bounds_of(members, required=False)


def _wait(parameters: Mapping[str, Any], facts: Facts) -> Verdict:
    return Verdict(CheckStatus.PENDING, "nobody reported yet")


def _unread(parameters: Mapping[str, Any], facts: Facts) -> Verdict:
    return Verdict(CheckStatus.PENDING, "its data is still to be read")


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("metric", "a metric is at least, or at most, so much", _read_metric, _judge_metric, takes_values=True),
        Kind(
            "comparison",
            "a metric is not worse than that of another version",
            _read_comparison,
            _judge_comparison,
            compares_with=lambda parameters: str(parameters["against"]),
        ),
        Kind("rows", "the dataset has so many rows", _read_rows, _unread, reads_data=True),
        Kind("schema", "the dataset has these columns, and no nulls in some", _read_schema, _unread, reads_data=True),
        Kind(
            "drift",
            "no column differs much from that of another version",
            _read_drift,
            _unread,
            compares_with=lambda parameters: str(parameters["against"]),
            reads_data=True,
        ),
        Kind(
            "concept",
            "a metric did not get worse over the versions",
            _read_concept,
            lambda parameters, facts: Verdict(CheckStatus.PENDING, "it is still to be compared with those before"),
            reads_data=True,
        ),
        Kind("freshness", "the time partition is so young at publication", _read_freshness, _judge_freshness),
        Kind("reported", "somebody reports whether it passes", _read_reported, _wait, takes_values=True),
    )
}
