"""Every component of the console in every state, for who changes one and for the tests that look at all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from artifacts.matrix import Matrix, Place
from artifacts.models import Artifact
from console import places
from console.pages import badges, graphs
from console.pages.badges import Badge
from console.pages.charts import (
    Axis,
    Bar,
    BarChart,
    Dot,
    LineChart,
    ParallelChart,
    Part,
    Path,
    Series,
    bars,
    lines,
    parallel,
)
from console.pages.execution_graph import HEAD, ROOM, Box, Frame, Mark
from console.pages.facets import FacetGroup, FacetValue
from console.pages.failures import Failure
from console.pages.matrix_cells import rows_of
from console.pages.paging import Page
from console.pages.partition_runs import PlaceRun
from console.pages.responses import PageRequest, page

TONES = ("neutral", "info", "good", "warn", "bad", "odd")
START = datetime(2026, 3, 1, tzinfo=timezone.utc)
TRACE = 'Traceback (most recent call last):\n  File "train.py", line 12, in train\nValueError: depth must be positive'


@require_GET
@page
def show_styleguide(request: PageRequest) -> HttpResponse:
    boxes = {"raw": "dataset", "clean": "dataset", "model": "model"}
    drawing = graphs.layout(list(boxes), [("raw", "clean"), ("clean", "model")])
    failed = {("LAX", "2026-03-02"): PlaceRun(1, "demo", "d", "x", 6, START, "demo", "d", "plan")}
    context: dict[str, Any] = {
        "tones": TONES,
        "badge_groups": _badges(),
        "icons": ("artifact", "map", "run", "gate", "clock", "layers", "copy", "download", "check", "close", "alert"),
        "line_chart": _lines(),
        "bar_chart": _bars(at_least=0),
        "strip_chart": _bars(at_least=20),
        "parallel_chart": _parallel(),
        "matrix": _matrix(),
        "matrix_rows": list(
            rows_of(Artifact(project="p", domain="d", name="x"), _matrix(), stale={2}, runs=failed, may_launch=True)
        ),
        "stale_places": {2},
        "place_runs": failed,
        "missing": 1,
        "facets": [FacetGroup("region", [FacetValue("SEA", "12", "?", True), FacetValue("LAX", "3+", "?", False)])],
        "page": Page([], "?before=x", "?"),
        "failure": Failure("USER:ValueError", "raised by user code", "ValueError: depth must be positive", TRACE),
        "drawing": drawing,
        "boxes": [
            {
                "title": name,
                "sub": kind,
                "url": "#drawings",
                "tone": badges.KIND[kind].tone,
                "css": "node-self" if name == "model" else "node-artifact",
                "hint": name,
                "x": drawing.places[name].x,
                "y": drawing.places[name].y,
            }
            for name, kind in boxes.items()
        ],
        **_nodes(),
        "places": [
            places.Place("local", "", 2, START, 3, 40, _loads()),
            places.Place("kubernetes", "lab", 0, START, 0, 2),
        ],
        "workers": [
            places.Worker("worker", "evaluates", alive=True),
            places.Worker("slow", "talks to strangers", alive=False),
        ],
    }
    return render(request, "styleguide/styleguide.html", context)


def _loads() -> list[places.Load]:
    return [places.Load("cpu", 6, 8), places.Load("memory", 2.0**34, 2.0**33), places.Load("gpu", 0, 1)]


def _nodes() -> dict[str, Any]:
    """Of an execution: one that is open, around a map and one that could be opened."""
    inside = graphs.layout(["items", "more"], [("items", "more")], {"items": (graphs.BOX_WIDTH, 68)})
    width, height = inside.width + 2 * ROOM, inside.height + HEAD + ROOM
    items, more = inside.places["items"], inside.places["more"]
    marks = [Mark(22 + 10 * at, 48, 8, "bad" if at == 3 else "good") for at in range(9)]
    here = "#drawings"
    outer = Frame("outer", "workflow · running", "info", here, 0, 0, width, height, here, "Close outer")
    closed = Box("more", "sub-workflow · queued", "neutral", here, ROOM + more.x, HEAD + more.y, 52, here, "Open more")
    mapped = Box("items", "9 items · running", "info", here, ROOM + items.x, HEAD + items.y, items.height, marks=marks)
    return {
        "frames": [outer],
        "path_groups": [(ROOM, HEAD, inside.paths)],
        "node_boxes": [mapped, closed],
        "node_drawing": graphs.Drawing(width, height, {}, []),
    }


def _badges() -> list[tuple[str, list[Badge]]]:
    groups: dict[str, Mapping[Any, Badge]] = {
        "What things do now": badges.STATE,
        "Executions": badges.EXECUTION,
        "Nodes": badges.NODE,
        "Attempts": badges.ATTEMPT,
        "Firings": badges.FIRING,
        "Checks": badges.CHECK,
        "Launch plans": badges.LAUNCH_PLAN_STATE,
        "Kinds": badges.KIND,
    }
    return [(title, list(dict.fromkeys(found.values()))) for title, found in groups.items()]


def _lines() -> LineChart | None:
    series = []
    for at, region in enumerate(("SEA", "LAX", "NYC")):
        dots = [Dot(START + timedelta(days=day), 0.8 + (day * (at + 2) % 7) / 70, url="#charts") for day in range(12)]
        marked = Dot(START + timedelta(days=12), 0.9 + at / 50, mark="champion" if not at else "", is_ringed=not at)
        series.append(Series(region, [*dots, marked]))
    return lines("auc over versions", series)


def _bars(*, at_least: int) -> BarChart | None:
    given = [
        Bar(f"day {day}", [Part(3 + day % 4, "good", "succeeded"), Part(day % 3, "bad", "failed")]) for day in range(10)
    ]
    return bars("Executions a day", given, head=("Day", "Executions"), words="10 days", at_least=at_least)


def _parallel() -> ParallelChart | None:
    axes = [Axis("auc"), Axis("f1"), Axis("loss", is_less_better=True)]
    paths = [Path("v1", [0.8, 0.7, 0.4]), Path("v2", [0.9, 0.65, 0.3]), Path("v3", [0.85, None, 0.5])]
    return parallel("Three versions", axes, paths)


def _matrix() -> Matrix:
    days = ["2026-03-01", "2026-03-02"]
    rows = [
        ("SEA", [Place("SEA", days[0], 1), Place("SEA", days[1], 2)]),
        ("LAX", [Place("LAX", days[0], 3), Place("LAX", days[1], None)]),
    ]
    return Matrix("region", "time", days, rows, more_rows=True, earlier=True)
