"""The versions on an artifact's page: searched, with metrics as columns one chooses, and the metrics as charts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from artifacts.exceptions import InvalidArgument, SearchTooLong
from artifacts.governance.failing import with_failures
from artifacts.measures import is_number
from artifacts.models import Artifact, ArtifactVersion
from artifacts.periods import shown_partitions
from artifacts.queries import newest_first
from artifacts.search import filter_of, parse, read_search, toggled
from artifacts.search.language import Condition
from console.accounts import access
from console.comparison import MOST
from console.pages.artifacts_search import EMPTY, page_of
from console.pages.charts import Dot, LineChart, Series, lines
from console.pages.facets import FacetGroup, facet_groups
from console.pages.metrics import spell
from console.pages.paging import PAGE_SIZE, Page
from console.pages.paging import newest_first as newest_page
from scheduler.subjects import Approval, decisions_about

HEAVY = ("literal", "literal_type", "card", "terms")
CHARTED = 200  # versions, the newest
CHARTS = 6  # metrics that are drawn; others when they are chosen
COLUMNS = 4  # metrics that are columns unless others are chosen
_TITLES = {"by": "Produced by", "kind": "Kind"}


@dataclass(frozen=True)
class MetricColumn:
    """`sort`: the address that sorts by it; `way`: how it is sorted now, as aria-sort."""

    name: str
    is_shown: bool
    sort: str
    way: str


def versions_context(request: HttpRequest, artifact: Artifact) -> dict[str, Any]:
    """`?q=` narrows and sorts, `?metric=` (repeated) chooses columns and charts."""
    text, problem = request.GET.get("q", "").strip(), ""
    rows = ArtifactVersion.objects.filter(artifact=artifact).select_related("artifact").prefetch_related("aliases")
    rows, facets = rows.defer(*HEAVY), []
    try:
        page, charted = _found(request, rows, text)
        if page.older or text:
            facets = _facets(request, artifact, rows, text)
    except (InvalidArgument, SearchTooLong) as error:
        page, charted, problem = EMPTY, [], error.message
    names = _metric_names([*(version.metrics for version in charted), *(version.metrics for version in page.rows)])
    chosen = [name for name in request.GET.getlist("metric") if name in names] or names[:COLUMNS]
    decisions = _readable_decisions(request, [version.pk for version in [*page.rows, *charted]])
    return {
        "page": page,
        "q": text,
        "problem": problem,
        "most_compared": MOST,
        "facets": facets,
        "metric_columns": [_column(request, name, text, is_shown=name in chosen) for name in names],
        "shown_metrics": chosen,
        "decisions": decisions,
        "charts": _charts(artifact, charted, chosen[:CHARTS], decisions),
    }


def _found(
    request: HttpRequest, rows: QuerySet[ArtifactVersion], text: str
) -> tuple[Page[ArtifactVersion], list[ArtifactVersion]]:
    """The page of the list, and what is drawn: the newest of the same rows."""
    listed = rows.prefetch_related(with_failures())
    if not text:
        return newest_page(request, listed), list(newest_first(rows)[:CHARTED])
    search, cursor = read_search(text), request.GET.get("after", "")
    found = search.page(listed, limit=PAGE_SIZE, cursor=cursor)
    return page_of(request, found, cursor), list(newest_first(search.filter(rows))[:CHARTED])


def _facets(request: HttpRequest, artifact: Artifact, rows: QuerySet[ArtifactVersion], text: str) -> list[FacetGroup]:
    """Of what tells versions of one artifact apart."""
    found = read_search(text).facets(rows, Artifact.objects.filter(pk=artifact.pk))
    kept = {label: values for label, values in found.values.items() if label in _TITLES or "." in label}
    return facet_groups(request, text, found._replace(values=kept), titles=_TITLES, typed=filter_of)


def _metric_names(metrics: Iterable[Mapping[str, Any]]) -> list[str]:
    """The most frequent first."""
    counts = Counter(name for each in metrics for name in each)
    return sorted(counts, key=lambda name: (-counts[name], name))


def _column(request: HttpRequest, name: str, text: str, *, is_shown: bool) -> MetricColumn:
    down, up = (str(Condition("sort", ":", f"metric.{name}{way}")) for way in ("-desc", "-asc"))
    conditions = parse(text)
    way = "descending" if parse(down)[0] in conditions else "ascending" if parse(up)[0] in conditions else ""
    rest = text
    for token in (down, up):
        rest = toggled(rest, token) if parse(token)[0] in conditions else rest
    query = request.GET.copy()
    for own in ("after", "before"):
        query.pop(own, None)
    query["q"] = f"{rest} {up if way == 'descending' else down}".strip()
    return MetricColumn(name, is_shown, f"?{query.urlencode()}#versions", way)


def _readable_decisions(request: HttpRequest, ids: Sequence[int]) -> dict[int, list[Approval]]:
    may_read = access.reader(request.user)
    found = {}
    for pk, decisions in decisions_about(set(ids)).items():
        seen = [one for one in decisions if may_read(one.gate.execution.project, one.gate.execution.domain)]
        if seen:
            found[pk] = seen
    return found


def _charts(
    artifact: Artifact,
    versions: Sequence[ArtifactVersion],
    names: Sequence[str],
    decisions: Mapping[int, Sequence[Approval]],
) -> list[LineChart]:
    """A chart for each metric that two versions have, a line for each partition."""
    drawn = []
    for name in names:
        series: dict[str, list[Dot]] = defaultdict(list)
        for version in versions:
            value = version.metrics.get(name)
            if is_number(value):
                series[line_of(version)].append(_dot(artifact, version, name, value, decisions.get(version.pk, ())))
        if sum(map(len, series.values())) > 1:
            when = "Period" if artifact.granularity else "Published"
            head = ("Partition", when, name)
            drawn.append(lines(name, [Series(*one) for one in series.items()], spell=spell, head=head))
    return [one for one in drawn if one is not None]


def line_of(version: ArtifactVersion) -> str:
    return ", ".join(str(value) for _, value in sorted(version.partitions.items())) or "all"


def _dot(artifact: Artifact, version: ArtifactVersion, name: str, value: float, decisions: Sequence[Approval]) -> Dot:
    at: datetime = version.time_partition or version.created_at
    aliases = ", ".join(sorted(alias.name for alias in version.aliases.all()))
    shown = shown_partitions(version.partitions, version.time_partition, artifact.granularity)
    approved = bool(decisions) and decisions[0].approved
    parts = [
        f"{name} {spell(value)}",
        *(f"{key}={one}" for key, one in shown),
        aliases,
        f"approved by {decisions[0].gate.decided_by}" if approved else "",
        f"published {version.created_at:%Y-%m-%d %H:%M}",
        version.version,
    ]
    words = " · ".join(part for part in parts if part)
    return Dot(at, float(value), words, reverse("version", args=[version.pk]), aliases, is_ringed=approved)
