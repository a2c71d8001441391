"""Lists with a search box: executions, launch plans, workflows and tasks."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from artifacts.exceptions import InvalidArgument
from artifacts.search.language import Condition
from console.pages.facets import facet_groups
from console.pages.paging import Page, newest_first
from scheduler.search import Searched, filter_of

Row = TypeVar("Row", bound=Model)
TITLES = {
    **{"phase": "Phase", "workflow": "Workflow", "plan": "Launch plan", "mode": "Launched by", "by": "Who"},
    **{"state": "State", "artifact": "Reacts to", "type": "Type", "version": "Newest version", "created": "Created"},
    **{"project": "Project", "domain": "Domain"},
}


def searched_context(request: HttpRequest, rows: QuerySet[Row], searched: Searched) -> dict[str, Any]:
    """A page of what `?q=` finds, with facets. Filters as parameters (`?phase=failed`) are taken into the box."""
    text = request.GET.get("q", "").strip()
    own = [name for name in searched.filters if name not in ("project", "domain") and request.GET.get(name)]
    tokens = [str(Condition(name, ":", request.GET[name].strip())) for name in own]
    text = " ".join([text, *tokens]).strip()
    context: dict[str, Any] = {"q": text, "filtered": bool(text), "facets": [], "problem": ""}
    try:
        found = searched.narrow(rows, text)
        page = newest_first(request, found)
        # What fits on one page is not looked for twice.
        whole = page.is_first and not page.older
        facets = searched.count(rows.filter(pk__in=[row.pk for row in page.rows]) if whole else found)
    except InvalidArgument as error:
        return context | {"page": Page([], "", ""), "problem": error.message}
    groups = facet_groups(request, text, facets, titles=TITLES, typed=filter_of)
    return context | {"page": page, "facets": groups}
