"""The items of a map at a glance: a square for each, how long they took, and the slowest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.access_objects import access_execution, access_node
from console.pages import badges
from console.pages.badges import Badge
from console.pages.responses import PageRequest, page, respond
from console.pages.wording import spell_duration
from scheduler.models import NodeExecution, NodeKind, TaskExecution
from scheduler.phases import NODE_TERMINAL, AttemptPhase

DRAWN = 5_000  # items that have a square
LINKED = 1_000  # items whose squares are links
COLUMNS, SIDE = 50, 20  # squares in a row, and the units of one with its gap
SLOWEST, BINS, HEIGHT = 5, 24, 60
_ENDED = (AttemptPhase.SUCCEEDED, AttemptPhase.FAILED)


@dataclass(frozen=True)
class Square:
    index: int
    x: int
    y: int
    badge: Badge
    words: str


@dataclass(frozen=True)
class Bin:
    """Of the histogram of durations: how many took so long."""

    x: float
    y: float
    height: float
    words: str


@dataclass(frozen=True)
class Slow:
    index: int
    attempt_id: int
    took: str
    badge: Badge


@dataclass(frozen=True)
class _Item:
    pk: int
    index: int
    badge: Badge
    is_over: bool
    took: timedelta | None
    words: str


def items_context(node: NodeExecution) -> dict[str, Any]:
    """Empty for a node that is no map, or has no items yet. Of an item that was repeated its newest attempt counts."""
    if node.kind != NodeKind.ARRAY:
        return {}
    items = _items(node, timezone.now())
    if not items:
        return {}
    counts: dict[Badge, int] = {}
    for item in items:
        counts[item.badge] = counts.get(item.badge, 0) + 1
    ended = sorted((item for item in items if item.took is not None and item.is_over), key=_taken)
    slowest = sorted((item for item in items if item.took is not None), key=_taken, reverse=True)[:SLOWEST]
    rows = (len(items) - 1) // COLUMNS + 1
    return {
        "squares": [_square(place, item) for place, item in enumerate(items)],
        "grid_width": min(len(items), COLUMNS) * SIDE,
        "grid_height": rows * SIDE,
        "square_links": len(items) <= LINKED,
        "item_counts": sorted(counts.items(), key=lambda pair: -pair[1]),
        "more_items": len(items) == DRAWN,
        "bins": _bins([_taken(item) for item in ended]),
        "shortest": spell_duration(ended[0].took) if ended and ended[0].took else "",
        "longest": spell_duration(ended[-1].took) if ended and ended[-1].took else "",
        "median": spell_duration(timedelta(seconds=_taken(ended[len(ended) // 2]))) if ended else "",
        "slowest": [Slow(one.index, one.pk, spell_duration(one.took or timedelta(0)), one.badge) for one in slowest],
    }


def _taken(item: _Item) -> float:
    return item.took.total_seconds() if item.took is not None else 0.0


def _items(node: NodeExecution, now: datetime) -> list[_Item]:
    rows = TaskExecution.objects.filter(node=node, index__gte=0).order_by("index", "-attempt").distinct("index")
    columns = ("pk", "index", "phase", "reason", "started_at", "ended_at")
    return [_item(*row, now=now) for row in rows.values_list(*columns)[:DRAWN]]


def _item(
    pk: int,
    index: int,
    phase: int,
    reason: str,
    started: datetime | None,
    ended: datetime | None,
    *,
    now: datetime,
) -> _Item:
    badge = badges.of_attempt_row(phase, reason)
    took = (ended or now) - started if started is not None else None
    words = ", ".join(
        part for part in (f"item {index}", badge.label.lower(), spell_duration(took) if took else "") if part
    )
    return _Item(pk, index, badge, phase in _ENDED, took, words)


def _square(place: int, item: _Item) -> Square:
    return Square(item.index, place % COLUMNS * SIDE, place // COLUMNS * SIDE, item.badge, item.words)


def _bins(seconds: list[float]) -> list[Bin]:
    """Of sorted durations; nothing to draw where there are fewer than two different ones."""
    if len(seconds) < 2 or seconds[0] == seconds[-1]:
        return []
    width = (seconds[-1] - seconds[0]) / BINS
    counts = [0] * BINS
    for one in seconds:
        counts[min(int((one - seconds[0]) / width), BINS - 1)] += 1
    most, found = max(counts), []
    for place, count in enumerate(counts):
        if count:
            height = max(HEIGHT * count / most, 2.0)
            low, high = (timedelta(seconds=seconds[0] + width * step) for step in (place, place + 1))
            words = f"{count} took {spell_duration(low)} to {spell_duration(high)}"
            found.append(Bin(place * 1000 / BINS, round(HEIGHT - height, 1), round(height, 1), words))
    return found


@require_GET
@page
def show_items(request: PageRequest, project: str, domain: str, name: str, node_id: str) -> HttpResponse:
    """The fragment that polls by itself: thousands of squares change more slowly than the rest of the page."""
    execution = access_execution(request.user, project, domain, name)
    node = access_node(execution, node_id)
    live = node.phase not in NODE_TERMINAL
    context = {"execution": execution, "node": node, "is_live": live, **items_context(node)}
    return respond(request, "executions/_items.html", "executions/_items.html", context, live=live)
