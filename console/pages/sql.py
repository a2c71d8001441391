"""A page to query the data of artifacts by SQL."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from artifacts.exceptions import CausewayError
from console.accounts import access
from console.datasql import run
from console.pages.charts.bars import Bar, BarChart, bars
from console.pages.responses import PageRequest, page
from console.pages.scope import scope_of
from scheduler.models import Project

SHOWN = 200  # rows
MAX_CELL = 300  # letters
MAX_BARS, MAX_NAME = 60, 40
NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?(INT(EGER)?)$|FLOAT|DOUBLE|DECIMAL|NUMBER")


@never_cache
@require_http_methods(["GET", "POST"])
@page
def query_data(request: PageRequest) -> HttpResponse:
    """GET shows the form, with `?sql=` in it; POST answers."""
    given = request.POST if request.method == "POST" else request.GET
    scope = scope_of(request)
    projects = _projects(request)
    typed = {
        "sql": given.get("sql", ""),
        "project": given.get("project") or scope.project or next(iter(projects), ""),
        "domain": given.get("domain") or scope.domain or settings.CAUSEWAY_DOMAINS[0],
    }
    context: dict[str, Any] = {"typed": typed, "projects": projects, "domains": settings.CAUSEWAY_DOMAINS}
    status = 200
    if request.method == "POST":
        try:
            context["answer"] = _answered(request, typed)
        except CausewayError as error:
            context["problem"], status = error.message, error.http_status
    return render(request, "artifacts/sql.html", context, status=status)


def _projects(request: PageRequest) -> list[str]:
    rows = Project.objects.exclude(state=Project.State.ARCHIVED).order_by("identifier")
    known = access.known_projects(request.user)
    return list((rows if known is None else rows.filter(identifier__in=known)).values_list("identifier", flat=True))


def _answered(request: PageRequest, typed: dict[str, str]) -> dict[str, Any]:
    query = run.Query(typed["sql"], typed["project"], typed["domain"], rows=SHOWN)
    found = run.run(query, user=request.user)
    with found.body as body:
        rows = json.load(body)
    shown = [[_cell(value) for value in row] for row in rows]
    return {
        "columns": found.columns,
        "rows": shown,
        "truncated": found.truncated,
        "versions": found.versions,
        "chart": _chart(found.columns, rows),
    }


def _chart(columns: list[dict[str, str]], rows: list[list[Any]]) -> BarChart | None:
    """A bar for each row, where the first column names it and one of the others is a number: the first of these."""
    if not 1 < len(rows) <= MAX_BARS:
        return None
    place = next((place for place in range(1, len(columns)) if NUMBER.match(columns[place]["type"])), None)
    if place is None:
        return None
    counted = [(_cell(row[0]) or "null", row[place]) for row in rows]
    drawn = [Bar.of(name[:MAX_NAME], float(value)) for name, value in counted if _is_finite(value)]
    title, named = columns[place]["name"], columns[0]["name"]
    return bars(f"{title} by {named}", drawn, head=(named, title))


def _is_finite(value: Any) -> bool:
    """Decimals come as texts, as do numbers without end, which cannot be drawn."""
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"
