"""The versions on an artifact's page: searched, with metrics as columns one chooses, and the metrics as charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from artifacts.exceptions import InvalidArgument, SearchTooLong
from artifacts.governance.failing import with_failures
from artifacts.models import Artifact, ArtifactVersion
from artifacts.search import COUNTED, Rows, facets_beside, filter_of, parse, read_search, toggled
from artifacts.search.language import Condition
from console.accounts import access
from console.comparison import MOST
from console.pages.artifact_charts import CHARTED, Charted, charts_of, newest_charted
from console.pages.artifacts_search import EMPTY, page_of
from console.pages.facets import FacetGroup, facet_groups
from console.pages.paging import PAGE_SIZE, Page
from console.pages.paging import newest_first as newest_page
from scheduler.subjects import Approval, decisions_about

HEAVY = ("literal", "literal_type", "card", "terms")
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
    rows = ArtifactVersion.objects.filter(artifact=artifact).defer(*HEAVY)
    facets: list[FacetGroup] = []
    try:
        page, charted = _found(request, rows, text)
        if page.older or text:
            facets = _facets(request, artifact, rows, text, charted)
    except (InvalidArgument, SearchTooLong) as error:
        page, charted, problem = EMPTY, [], error.message
    for version in page.rows:
        version.artifact = artifact
    names = _metric_names([*(version.metrics for version in charted), *(version.metrics for version in page.rows)])
    chosen = [name for name in request.GET.getlist("metric") if name in names] or names[:COLUMNS]
    ids = [*(version.pk for version in page.rows), *(version.pk for version in charted)]
    decisions = _readable_decisions(request, ids)
    return {
        "page": page,
        "q": text,
        "problem": problem,
        "most_compared": MOST,
        "facets": facets,
        "metric_columns": [_column(request, name, text, is_shown=name in chosen) for name in names],
        "shown_metrics": chosen,
        "decisions": decisions,
        "charts": charts_of(artifact, charted, chosen[:CHARTS], decisions),
    }


def _found(request: HttpRequest, rows: Rows, text: str) -> tuple[Page[ArtifactVersion], list[Charted]]:
    """The page of the list, and what is drawn: the newest of the same rows."""
    listed = rows.prefetch_related("aliases", with_failures())
    if not text:
        return newest_page(request, listed), newest_charted(rows)
    search, cursor = read_search(text), request.GET.get("after", "")
    found = search.page(listed, limit=PAGE_SIZE, cursor=cursor)
    return page_of(request, found, cursor), newest_charted(search.filter(rows))


def _facets(
    request: HttpRequest, artifact: Artifact, rows: Rows, text: str, charted: Sequence[Charted]
) -> list[FacetGroup]:
    """Of what tells versions of one artifact apart; of many of all, the newest that are drawn say of what."""
    search = read_search(text)
    if text or len(charted) < CHARTED:
        found = search.facets(rows, Artifact.objects.filter(pk=artifact.pk))
    else:
        found = facets_beside([one[: len(COUNTED)] for one in charted], artifact)
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
