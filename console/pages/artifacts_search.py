"""The search page: a page of what was found, and facets that edit the search when one clicks on them."""

from __future__ import annotations

from django.http import HttpRequest

from artifacts.exceptions import InvalidArgument
from artifacts.models import Artifact, ArtifactVersion
from artifacts.search import Found, filter_of, read_search
from console.pages.artifacts_context import readable_versions
from console.pages.facets import FacetGroup, facet_groups
from console.pages.paging import PAGE_SIZE, Page
from console.pages.scope import in_scope

EMPTY: Page[ArtifactVersion] = Page([], "", "")
TITLES = {"kind": "Kind", "name": "Artifact", "project": "Project", "domain": "Domain", "by": "Produced by"}


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
    artifacts = in_scope(request, Artifact.objects.all())
    facets = search.facets(rows, artifacts) if cursor else search.facets_of(found, rows, artifacts)
    return page_of(request, found, cursor), facet_groups(request, text, facets, titles=TITLES, typed=filter_of)


def page_of(request: HttpRequest, found: Found, cursor: str) -> Page[ArtifactVersion]:
    """What a search found after the cursor, with the addresses of the next page and the first."""
    query = request.GET.copy()
    for own in ("after", "_"):
        query.pop(own, None)
    first = f"?{query.urlencode()}" if cursor else ""
    if found.cursor:
        query["after"] = found.cursor
    return Page(found.rows, f"?{query.urlencode()}" if found.cursor else "", first)
