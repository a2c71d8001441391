"""The search page: a page of what was found, and facets that edit the search when one clicks on them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest

from artifacts.exceptions import InvalidArgument
from artifacts.models import ArtifactVersion
from artifacts.search import Facets, Found, filter_of, parse, read_search, toggled
from console.pages.artifacts_context import readable_versions
from console.pages.paging import PAGE_SIZE, Page

EMPTY: Page[ArtifactVersion] = Page([], "", "")
SHOWN = 8  # values of a facet
TITLES = {"kind": "Kind", "name": "Artifact", "project": "Project", "domain": "Domain", "by": "Produced by"}


@dataclass(frozen=True)
class FacetValue:
    value: str
    count: str  # with a plus when there may be more of them
    href: str  # the search with it, or without it when it is chosen
    chosen: bool


@dataclass(frozen=True)
class FacetGroup:
    title: str
    values: list[FacetValue]


def search_page(request: HttpRequest, text: str) -> tuple[Page[ArtifactVersion], list[FacetGroup]]:
    """InvalidArgument and SearchTooLong as for a search. A malformed cursor is ignored."""
    search, rows = read_search(text), readable_versions(request)
    cursor = request.GET.get("after", "")
    try:
        found = search.page(rows, limit=PAGE_SIZE, cursor=cursor)
    except InvalidArgument:
        if not cursor:
            raise
        cursor = ""
        found = search.page(rows, limit=PAGE_SIZE)
    return _page(request, found, cursor), _groups(request, text, search.facets(rows))


def _page(request: HttpRequest, found: Found, cursor: str) -> Page[ArtifactVersion]:
    query = request.GET.copy()
    for own in ("after", "_"):
        query.pop(own, None)
    first = f"?{query.urlencode()}" if cursor else ""
    if found.cursor:
        query["after"] = found.cursor
    return Page(found.rows, f"?{query.urlencode()}" if found.cursor else "", first)


def _groups(request: HttpRequest, text: str, facets: Facets) -> list[FacetGroup]:
    """The facets that tell something apart, and those by which the search is narrowed already."""
    scope = {name: request.GET[name] for name in ("project", "domain") if name in request.GET}
    conditions = parse(text)
    groups = []
    for label, counted in facets.values.items():
        values = []
        for value, versions in counted[:SHOWN]:
            token = filter_of(label, value)
            href = "?" + urlencode({"q": toggled(text, token), **scope})
            count = f"{versions}+" if facets.more else str(versions)
            values.append(FacetValue(value, count, href, parse(token)[0] in conditions))
        if len(values) > 1 or any(value.chosen for value in values):
            title = TITLES.get(label) or label.removeprefix("partition.")
            groups.append(FacetGroup(title, values))
    return groups
