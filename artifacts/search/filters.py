"""What each word and filter of a search asks of the rows.

Every condition is one that an index answers. Artifacts are few beside their versions: what is said of the artifact (its
name, project, description, partition keys) is looked up first, and the versions are then found by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import JSONField, Lookup, OuterRef, Q, QuerySet, Value
from django.db.models.fields.json import KeyTransform
from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual

from artifacts.exceptions import InvalidArgument
from artifacts.models import Alias, Artifact, ArtifactVersion, CheckResult, CheckStatus, Kind, Metric
from artifacts.partitions import parse_time
from artifacts.queries import LATEST, newest_first
from artifacts.search.language import Condition
from artifacts.terms import exact_query, producer_query, word_query

LISTED = 200  # artifacts written into the statement; more are left to a sub-select: then it is no rare condition
LISTED_METRICS = 1000
MOMENTS = {"created": "created_at", "time": "time_partition"}
_COMPARE = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "exact", ":": "exact"}
_COMPARE_JSON: dict[str, type[Lookup[Any]]] = {
    **{">": GreaterThan, ">=": GreaterThanOrEqual, "<": LessThan, "<=": LessThanOrEqual},
    **{"=": Exact, ":": Exact},
}


def condition_q(condition: Condition) -> Q:
    """InvalidArgument names the filter that makes no sense, and what is allowed in its place."""
    if key := partition_key(condition):
        return _partition(key, condition)
    return ~_asked(condition) if condition.negated else _asked(condition)


def partition_key(condition: Condition) -> str:
    """`region=SEA`, or `partition.region=SEA` where the key is called like a filter; else empty."""
    if condition.operator != "=" or condition.key.startswith(("metric.", "metadata.", "check.")):
        return ""
    if condition.key.startswith("partition."):
        return condition.key[len("partition.") :]
    return "" if condition.key.lower() in MOMENTS else condition.key


def _partition(key: str, condition: Condition) -> Q:
    if not condition.value:
        raise InvalidArgument(f"'{condition}' needs a value")
    is_so = Q(partitions__contains={key: condition.value})
    # Another value than this is one of the artifacts that have the key: found among those, not among all versions.
    return among(Artifact.objects.filter(partition_keys__contains=[key])) & ~is_so if condition.negated else is_so


def _asked(condition: Condition) -> Q:
    if not condition.operator:
        return _word(condition.value)
    key = condition.key.lower()
    _check_value(condition)
    if key.startswith("metric."):
        return _metric(condition)
    if key.startswith("check."):
        return _check_number(condition)
    if key in MOMENTS:
        return moment_q(MOMENTS[key], condition)
    if key.startswith("metadata.") and condition.operator in ("=", ":"):
        return _attribute(condition.key[len("metadata.") :], condition.value)
    if condition.operator == ":":
        if key in OF_ARTIFACTS:
            return among(Artifact.objects.filter(_artifact_q(condition)))
        if key not in FILTERS:
            raise InvalidArgument(
                f"there is no filter '{condition.key}:' (in '{condition}'); filters: {', '.join(KNOWN)}"
            )
        return FILTERS[key](condition.value)
    raise InvalidArgument(
        f"'{condition}' compares nothing: only created, time, metric.<name> and check.<name> are compared with "
        f"{condition.operator}"
    )


def _check_value(condition: Condition) -> None:
    if not condition.value:
        raise InvalidArgument(f"{condition.key}{condition.operator} needs a value")


def asks_artifact(condition: Condition) -> bool:
    """Whether it is the artifact that answers, not its versions."""
    return condition.operator == ":" and condition.key.lower() in OF_ARTIFACTS and not condition.negated


def artifacts_q(groups: Sequence[Sequence[Condition]]) -> Q:
    """Versions of the artifacts that answer all these groups, one condition of each: looked up at once, they are fewer
    than those of each group, and mostly few enough to be written into the statement.
    """
    wanted = [reduce(or_, map(_artifact_q, group)) for group in groups]
    return among(Artifact.objects.filter(*wanted))


def _artifact_q(condition: Condition) -> Q:
    _check_value(condition)
    return OF_ARTIFACTS[condition.key.lower()](condition.value)


def among(artifacts: QuerySet[Artifact]) -> Q:
    """Versions of these artifacts."""
    ids = list(artifacts.values_list("pk", flat=True)[: LISTED + 1])
    return Q(artifact_id__in=ids if len(ids) <= LISTED else artifacts.values("pk"))


def _word(word: str) -> Q:
    by_name = among(Artifact.objects.filter(Q(name__icontains=word) | Q(description__icontains=word)))
    query = word_query(word)
    return by_name | _has(query) if query is not None else by_name


def _has(query: SearchQuery) -> Q:
    return Q(terms=query)


def _name(value: str) -> Q:
    """An artifact of exactly that name if there is one, else all whose name contains it."""
    exact = Q(name=value)
    return exact if Artifact.objects.filter(exact).exists() else Q(name__icontains=value)


def _scope(column: str) -> Callable[[str], Q]:
    return lambda value: Q(**{column: value})


def _kind(value: str) -> Q:
    if value.lower() not in Kind.values:
        raise InvalidArgument(f"there is no kind '{value}'; kinds: {', '.join(Kind.values)}")
    return Q(kind=value.lower())


def _alias(value: str) -> Q:
    if value == LATEST:
        return Q(pk=newest_first(ArtifactVersion.objects.filter(artifact=OuterRef("artifact"))).values("pk")[:1])
    return Q(pk__in=Alias.objects.filter(name=value).values("version_id"))


def _by(value: str) -> Q:
    return _has(producer_query(value))


def _attribute(key: str, value: str) -> Q:
    """A metadata attribute of exactly that value; its words lead to it by index."""
    if not key:
        raise InvalidArgument("write metadata.<name>=<value>")
    exact = Q(metadata__contains={key: value})
    query = exact_query(value)
    return _has(query) & exact if query is not None else exact


def _execution(value: str) -> Q:
    """A whole execution key, or the execution's name alone, which is then tried in every project and domain."""
    if "/" in value:
        return Q(execution_key=value)
    scopes = Artifact.objects.values_list("project", "domain").distinct()
    return Q(execution_key__in=[f"{project}/{domain}/{value}" for project, domain in scopes])


def _version(value: str) -> Q:
    query = exact_query(value)
    return _has(query) & Q(version=value) if query is not None else Q(version=value)


def _removed(value: str) -> Q:
    if value not in ("yes", "any"):
        raise InvalidArgument(f"removed: is yes (only those) or any (those too), not '{value}'")
    return Q(removed_at__isnull=False) if value == "yes" else Q()


def _metric(condition: Condition) -> Q:
    name = condition.key[len("metric.") :]
    if not name:
        raise InvalidArgument(f"'{condition}' names no metric: write it like metric.auc>0.9")
    try:
        value = float(condition.value)
    except ValueError as error:
        raise InvalidArgument(f"metric.{name} is compared with a number, not '{condition.value}'") from error
    compared = _COMPARE[condition.operator]
    rows = Metric.objects.filter(name=name, **{f"value__{compared}": value})
    ids = list(rows.order_by("value").values_list("version_id", flat=True)[: LISTED_METRICS + 1])
    if len(ids) <= LISTED_METRICS:
        return Q(pk__in=ids)
    # The version holds its metrics too: where many match, each row is asked as it comes along.
    holds = _COMPARE_JSON[condition.operator](KeyTransform(name, "metrics"), Value(value, JSONField()))
    return Q(metrics__has_key=name) & Q(holds)


def _check(value: str) -> Q:
    """Versions of which some check says so."""
    status = value.lower()
    if status not in CheckStatus.values:
        raise InvalidArgument(f"check: is {', '.join(CheckStatus.values)}, not '{value}'")
    results = CheckResult.objects.filter(status=status)
    if status == CheckStatus.PASSED:  # what another check failed did not pass
        return Q(pk__in=results.values("version_id")) & ~Q(pk__in=_not_passed().values("version_id"))
    return Q(pk__in=results.values("version_id"))


def _not_passed() -> QuerySet[CheckResult]:
    return CheckResult.objects.exclude(status=CheckStatus.PASSED)


def _check_number(condition: Condition) -> Q:
    """`check.auc:failed`, or `check.psi>0.2`, its value; `check.psi.value>0.2` names another of its numbers."""
    name, _, number = condition.key[len("check.") :].partition(".")
    if not name:
        raise InvalidArgument(f"'{condition}' names no check: write it like check.psi>0.2 or check.auc:failed")
    results = CheckResult.objects.filter(name=name)
    if condition.operator == ":" and condition.value.lower() in CheckStatus.values:
        return Q(pk__in=results.filter(status=condition.value.lower()).values("version_id"))
    try:
        value = float(condition.value)
    except ValueError as error:
        known = ", ".join(CheckStatus.values)
        raise InvalidArgument(
            f"check.{name} is compared with a number, or is {known}: not '{condition.value}'"
        ) from error
    compared = _COMPARE_JSON[condition.operator](KeyTransform(number or "value", "numbers"), Value(value, JSONField()))
    return Q(pk__in=results.filter(Q(numbers__has_key=number or "value") & Q(compared)).values("version_id"))


def _quarantined(value: str) -> Q:
    if value not in ("yes", "no"):
        raise InvalidArgument(f"quarantined: is yes or no, not '{value}'")
    return Q(quarantined_at__isnull=value == "no")


def moment_q(column: str, condition: Condition) -> Q:
    """A day, hour or minute is a span of time: `=` means within it, `>` after it, `<=` until its end."""
    begin = parse_time(condition.value)
    try:
        end = begin + _length(condition.value)
    except OverflowError as error:
        raise InvalidArgument(f"'{condition}' leaves the calendar") from error
    if condition.operator in ("=", ":"):
        return Q(**{f"{column}__gte": begin, f"{column}__lt": end})
    bound = {">": ("gte", end), ">=": ("gte", begin), "<": ("lt", begin), "<=": ("lt", end)}[condition.operator]
    return Q(**{f"{column}__{bound[0]}": bound[1]})


def _length(value: str) -> timedelta:
    """How long the typed time lasts: a day, an hour (T12), a minute, a second."""
    lengths = {10: timedelta(days=1), 13: timedelta(hours=1), 16: timedelta(minutes=1)}
    return lengths.get(len(value.rstrip("Zz")), timedelta(seconds=1))


OF_ARTIFACTS: dict[str, Callable[[str], Q]] = {
    "name": _name,
    "project": _scope("project"),
    "domain": _scope("domain"),
}
FILTERS: dict[str, Callable[[str], Q]] = {
    "kind": _kind,
    "alias": _alias,
    "tag": _alias,  # what Flyte calls an alias
    "by": _by,
    "execution": _execution,
    "version": _version,
    "removed": _removed,
    "check": _check,
    "quarantined": _quarantined,
}
KNOWN = [
    *(f"{key}:" for key in (*OF_ARTIFACTS, *FILTERS)),
    "sort:",
    "created>",
    "time>",
    "metric.<name>>",
    "check.<name>>",
    "metadata.<name>=",
    "<partition key>=",
]
