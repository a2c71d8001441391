"""Search in one box: words and filters, narrowed to what the reader may see by the rows that are passed in.

    drift region=SEA kind:model created>2026-01-01 by:train metric.auc>0.9 alias:champion name:ml-model

Words are looked for in names, descriptions, cards, producers, attributes and partition values; all must match.
`key=value` is a partition. Quotes keep blanks together: region="Los Angeles".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from django.contrib.postgres.search import SearchQuery
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from artifacts.exceptions import InvalidArgument
from artifacts.models import Alias, Artifact, ArtifactVersion, Kind, Metric
from artifacts.partitions import parse_time
from artifacts.terms import producer_query, word_query

Rows = QuerySet[ArtifactVersion]

MAX_TEXT = 2000
MAX_FACETED = 10_000  # facets count the newest so many of what was found
TOP = 20  # values of a facet

_TOKEN = re.compile(
    r'(?P<key>[^\W\d][\w.-]*)(?P<op>:|!=|>=|<=|=|>|<)(?P<value>"[^"]*"|[^\s"]*)|"(?P<quoted>[^"]*)"|(?P<word>[^\s"]+)'
)
_COMPARE = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "exact", ":": "exact"}


class Condition(NamedTuple):
    """A filter as typed; `operator` is empty for a word."""

    key: str
    operator: str
    value: str


def parse(text: str) -> list[Condition]:
    if len(text) > MAX_TEXT:
        raise InvalidArgument(f"the search has {len(text)} characters, at most {MAX_TEXT} are allowed")
    if "\x00" in text:
        raise InvalidArgument("the search holds a NUL character")
    found = []
    for match in _TOKEN.finditer(text):
        if match["key"]:
            found.append(Condition(match["key"], match["op"], match["value"].strip('"')))
        else:
            found.append(Condition("", "", match["quoted"] or match["word"] or ""))
    return [condition for condition in found if condition.value or condition.operator]


def search(text: str, rows: Rows) -> Rows:
    """The rows that match everything in the text, in no order yet. InvalidArgument explains a filter without sense.

    Removed versions are left out unless the text asks for them (`removed:yes`, `removed:any`).
    """
    conditions = parse(text)
    if not any(condition.key == "removed" for condition in conditions):
        rows = rows.filter(removed_at__isnull=True)
    for condition in conditions:
        rows = rows.filter(_condition(condition))
    return rows


def _condition(condition: Condition) -> Q:
    if not condition.operator:
        return _word(condition.value)
    key = condition.key.lower()
    if not condition.value:
        raise InvalidArgument(f"{condition.key}{condition.operator} needs a value")
    if key.startswith("metric."):
        return _metric(condition)
    if key in ("created", "time") and condition.operator != "!=":
        return _moment("created_at" if key == "created" else "time_partition", condition)
    if condition.operator == ":":
        if key not in FILTERS:
            raise InvalidArgument(f"there is no filter '{condition.key}:'; filters: {', '.join(KNOWN)}")
        return FILTERS[key](condition.value)
    if condition.operator == "=":
        return Q(partitions__contains={condition.key: condition.value})
    if condition.operator == "!=":
        return Q(partitions__has_key=condition.key) & ~Q(partitions__contains={condition.key: condition.value})
    raise InvalidArgument(
        f"'{condition.key}{condition.operator}' compares nothing: only created, time and metric.<name> are compared"
    )


def _word(word: str) -> Q:
    """The artifacts are few beside their versions: names are searched there, and versions then found by index."""
    named = Artifact.objects.filter(Q(name__icontains=word) | Q(description__icontains=word))
    by_name = Q(artifact_id__in=list(named.values_list("pk", flat=True)[:1000]))
    query = word_query(word)
    return by_name | _has(query) if query is not None else by_name


def _has(query: SearchQuery) -> Q:
    return Q(terms=query)


def _name(value: str) -> Q:
    """An artifact of exactly that name if there is one, else all whose name contains it."""
    exact = list(Artifact.objects.filter(name=value).values_list("pk", flat=True)[:1000])
    if exact:
        return Q(artifact_id__in=exact)
    return Q(artifact_id__in=list(Artifact.objects.filter(name__icontains=value).values_list("pk", flat=True)[:1000]))


def _scope(column: str) -> Callable[[str], Q]:
    def condition(value: str) -> Q:
        return Q(artifact_id__in=list(Artifact.objects.filter(**{column: value}).values_list("pk", flat=True)))

    return condition


def _kind(value: str) -> Q:
    if value.lower() not in Kind.values:
        raise InvalidArgument(f"there is no kind '{value}'; kinds: {', '.join(Kind.values)}")
    return Q(kind=value.lower())


def _alias(value: str) -> Q:
    if value == "latest":
        newest = ArtifactVersion.objects.filter(artifact=OuterRef("pk")).order_by("-created_at", "-id").values("pk")[:1]
        return Q(pk__in=Artifact.objects.annotate(newest=Subquery(newest)).values("newest"))
    return Q(pk__in=Alias.objects.filter(name=value).values("version_id"))


def _by(value: str) -> Q:
    return _has(producer_query(value))


def _execution(value: str) -> Q:
    """A whole execution key, or the execution's name alone, which is then tried in every project and domain."""
    if "/" in value:
        return Q(execution_key=value)
    scopes = Artifact.objects.values_list("project", "domain").distinct()
    return Q(execution_key__in=[f"{project}/{domain}/{value}" for project, domain in scopes])


def _version(value: str) -> Q:
    query = word_query(value)
    return _has(query) & Q(version=value) if query is not None else Q(version=value)


def _removed(value: str) -> Q:
    if value not in ("yes", "any"):
        raise InvalidArgument(f"removed: is yes (only those) or any (those too), not '{value}'")
    return Q(removed_at__isnull=False) if value == "yes" else Q()


def _metric(condition: Condition) -> Q:
    name = condition.key[len("metric.") :]
    if condition.operator not in _COMPARE or not name:
        raise InvalidArgument(
            f"compare a metric with =, <, <=, > or >=, like metric.auc>0.9, not '{condition.operator}'"
        )
    try:
        value = float(condition.value)
    except ValueError as error:
        raise InvalidArgument(f"metric.{name} is compared with a number, not '{condition.value}'") from error
    rows = Metric.objects.filter(version=OuterRef("pk"), name=name, **{f"value__{_COMPARE[condition.operator]}": value})
    return Q(Exists(rows))


def _moment(column: str, condition: Condition) -> Q:
    """A day, hour or minute is a span of time: `=` means within it, `>` after it, `<=` until its end."""
    begin = parse_time(condition.value)
    end = begin + _length(condition.value)
    if condition.operator in ("=", ":"):
        return Q(**{f"{column}__gte": begin, f"{column}__lt": end})
    bound = {">": ("gte", end), ">=": ("gte", begin), "<": ("lt", begin), "<=": ("lt", end)}[condition.operator]
    return Q(**{f"{column}__{bound[0]}": bound[1]})


def _length(value: str) -> timedelta:
    """How long the typed time lasts: a day, an hour (T12), a minute, a second."""
    lengths = {10: timedelta(days=1), 13: timedelta(hours=1), 16: timedelta(minutes=1)}
    return lengths.get(len(value.rstrip("Zz")), timedelta(seconds=1))


FILTERS: dict[str, Callable[[str], Q]] = {
    "name": _name,
    "project": _scope("project"),
    "domain": _scope("domain"),
    "kind": _kind,
    "alias": _alias,
    "by": _by,
    "execution": _execution,
    "version": _version,
    "removed": _removed,
}
KNOWN = [*(f"{key}:" for key in FILTERS), "created>", "time>", "metric.<name>>", "<partition key>="]


class Facet(NamedTuple):
    value: str
    versions: int


def facets(rows: Rows) -> dict[str, list[Facet]]:
    """How the newest 10,000 rows spread over kinds, projects, domains and names: most frequent first. Two queries."""
    newest = list(rows.order_by("-created_at", "-id").values_list("kind", "artifact_id")[:MAX_FACETED])
    kinds = Counter(kind for kind, _ in newest)
    by_artifact = Counter(artifact for _, artifact in newest)
    counts: dict[str, Counter[str]] = {"kind": kinds, "project": Counter(), "domain": Counter(), "name": Counter()}
    for pk, artifact in Artifact.objects.in_bulk(by_artifact).items():
        for label in ("project", "domain", "name"):
            counts[label][getattr(artifact, label)] += by_artifact[pk]
    return {
        label: [Facet(*one) for one in sorted(found.items(), key=lambda one: (-one[1], one[0]))[:TOP]]
        for label, found in counts.items()
    }
