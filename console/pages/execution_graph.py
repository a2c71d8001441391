"""An execution's workflow as a drawing: each node in the colour of its phase, around what it is made of where it is a
sub-workflow or a dynamic task, and the items of maps as squares.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from console.pages import badges, graphs
from console.pages.badges import Badge
from console.pages.executions_context import NodeRow
from console.pages.specs import NodeTitles, edges_of
from scheduler.models import Execution, NodeKind, TaskExecution
from scheduler.phases import NodePhase

OPEN = 60  # nodes of which all that can be are opened at first
DEEPEST = 5  # frames in each other
HEAD, ROOM = 34.0, 10.0  # of a frame: the line with its title, and what is left free around its nodes
SQUARES, ACROSS, PITCH, SIDE = 200, 19, 10, 8  # a square for each item as far as they go, in rows
ITEMS = 20_000  # of maps that are looked at
_TITLE = 52.0  # height of a box's texts


@dataclass(frozen=True)
class Mark:
    """A square of a map's item, or a part of a bar of many, in units of its box."""

    x: float
    y: float
    width: float
    tone: str


@dataclass(frozen=True)
class _Placed:
    title: str
    sub: str
    tone: str
    url: str
    x: float
    y: float


@dataclass(frozen=True)
class Box(_Placed):
    height: float = graphs.BOX_HEIGHT
    toggle: str = ""  # the address that opens it
    toggle_words: str = ""
    toggle_id: str = ""
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class Frame(_Placed):
    """A node that is open, around its own."""

    width: float
    height: float
    toggle: str  # the address that closes it
    toggle_words: str
    toggle_id: str = ""


@dataclass
class _Drawn:
    """What has been placed so far, in units of the whole."""

    boxes: list[Box] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    groups: list[tuple[float, float, Any]] = field(default_factory=list)  # where the paths of a frame begin, and they


def graph_context(
    request: HttpRequest, execution: Execution, titles: NodeTitles, rows: list[NodeRow]
) -> dict[str, Any]:
    """`?open=NODE` and `?close=NODE`, as often as wanted; of the others all are open as long as there are few."""
    return _Graph(request, execution, rows).context(titles)


class _Graph:
    def __init__(self, request: HttpRequest, execution: Execution, rows: list[NodeRow]) -> None:
        self.request, self.execution = request, execution
        self.opened, self.closed = request.GET.getlist("open"), request.GET.getlist("close")
        self.are_open = len(rows) <= OPEN
        self.below: dict[int | None, list[NodeRow]] = defaultdict(list)
        for row in rows:
            self.below[row.node.parent_id].append(row)
        self.items = _items(row.node.pk for row in rows if row.node.kind == NodeKind.ARRAY)
        self.laid_out: dict[int, graphs.Drawing[int]] = {}  # by node: what is in it, asked for by each frame around it

    def context(self, titles: NodeTitles) -> dict[str, Any]:
        top = {row.node.spec_node_id: row for row in self.below[None]}
        nodes = titles.top()
        sizes = {key: self._size(row, 1) for key, row in top.items()}
        drawing = graphs.layout([node.id for node in nodes], edges_of(titles.primary), sizes)
        drawn = _Drawn()
        for node in nodes:
            place = drawing.places[node.id]
            if (row := top.get(node.id)) is not None:
                self._draw(row, place.x, place.y, 1, drawn)
            else:
                drawn.boxes.append(_not_begun(node.name, node.kind, place))
        return {"drawing": drawing, "boxes": drawn.boxes, "frames": drawn.frames, "path_groups": drawn.groups}

    def _is_open(self, row: NodeRow, depth: int) -> bool:
        name = row.node.node_id
        open_ = name in self.opened or (self.are_open and name not in self.closed)
        return bool(self.below[row.node.pk]) and depth <= DEEPEST and open_

    def _inside(self, row: NodeRow, depth: int) -> graphs.Drawing[int]:
        """Of the nodes that it has so far."""
        if (found := self.laid_out.get(row.node.pk)) is not None:
            return found
        rows = self.below[row.node.pk]
        known = {one.node.spec_node_id: one.node.pk for one in rows}
        edges = [(known[up], one.node.pk) for one in rows for up in one.upstream if up in known]
        sizes = {one.node.pk: self._size(one, depth + 1) for one in rows}
        drawing = self.laid_out[row.node.pk] = graphs.layout([one.node.pk for one in rows], edges, sizes)
        return drawing

    def _size(self, row: NodeRow, depth: int) -> tuple[float, float]:
        if not self._is_open(row, depth):
            return graphs.BOX_WIDTH, _TITLE + _height_of(len(self.items.get(row.node.pk, ())))
        inside = self._inside(row, depth)
        return max(inside.width + 2 * ROOM, graphs.BOX_WIDTH), inside.height + HEAD + ROOM

    def _draw(self, row: NodeRow, x: float, y: float, depth: int, drawn: _Drawn) -> None:
        if not self._is_open(row, depth):
            drawn.boxes.append(self._box(row, x, y, can_open=depth <= DEEPEST))
            return
        inside = self._inside(row, depth)
        width, height = self._size(row, depth)
        toggle = self._turned(row, "close")
        title, sub = graphs.shorten(row.name), _sub(row.kind, row.badge)
        drawn.frames.append(
            Frame(
                title,
                sub,
                row.badge.tone,
                self._url(row),
                x,
                y,
                width,
                height,
                toggle,
                f"Close {row.name}",
                _toggle_id(row),
            )
        )
        left, top = x + (width - inside.width) / 2, y + HEAD
        drawn.groups.append((left, top, inside.paths))
        for one in self.below[row.node.pk]:
            place = inside.places[one.node.pk]
            self._draw(one, left + place.x, top + place.y, depth + 1, drawn)

    def _box(self, row: NodeRow, x: float, y: float, *, can_open: bool) -> Box:
        found = self.items.get(row.node.pk, [])
        many = "+" if len(found) == ITEMS else ""
        sub = _sub(row.kind, row.badge) if not found else f"{len(found):,}{many} items · {row.badge.label.lower()}"
        marks, height = _marks(found), _TITLE + _height_of(len(found))
        opens = can_open and bool(self.below[row.node.pk])
        toggle, words = (self._turned(row, "open"), f"Open {row.name}") if opens else ("", "")
        title = graphs.shorten(row.name)
        return Box(title, sub, row.badge.tone, self._url(row), x, y, height, toggle, words, _toggle_id(row), marks)

    def _url(self, row: NodeRow) -> str:
        one = self.execution
        return reverse("node", args=[one.project, one.domain, one.name, row.node.node_id])

    def _turned(self, row: NodeRow, way: str) -> str:
        """The address of the page with this node open or closed, at the node."""
        query, name = self.request.GET.copy(), row.node.node_id
        for key, asked in (("open", self.opened), ("close", self.closed)):
            query.setlist(key, [*(one for one in asked if one != name), *([name] if key == way else [])])
        return f"?{query.urlencode()}#{_toggle_id(row)}"


def _toggle_id(row: NodeRow) -> str:
    """What keeps the focus while the page is polled."""
    return f"toggle-{row.node.pk}"


def _not_begun(name: str, kind: str, place: graphs.Place[str]) -> Box:
    badge = badges.NODE[NodePhase.UNDEFINED]
    sub = _sub(badges.NODE_KIND.get(kind, kind), badge)
    return Box(graphs.shorten(name), sub, badge.tone, "", place.x, place.y)


def _sub(kind: str, badge: Badge) -> str:
    return f"{kind} · {badge.label.lower()}"


def _items(nodes: Iterable[int]) -> dict[int, list[Badge]]:
    """What the items of each map do, in their order; of one that was repeated its newest try. One query."""
    found: dict[int, list[Badge]] = defaultdict(list)
    if not (wanted := list(nodes)):
        return found
    rows = TaskExecution.objects.filter(node__in=wanted, index__gte=0).order_by("node", "index", "-attempt")
    for node, phase, reason in rows.distinct("node", "index").values_list("node_id", "phase", "reason")[:ITEMS]:
        found[node].append(badges.of_attempt_row(phase, reason))
    return found


def _height_of(count: int) -> float:
    """What the marks of so many items add to a box."""
    if not count:
        return 0.0
    rows = -(-count // ACROSS) if count <= SQUARES else 1
    return float(rows * PITCH + 4)


def _marks(items: Collection[Badge]) -> list[Mark]:
    """A square for each, or of many a bar with a part for each phase."""
    if len(items) <= SQUARES:
        return [
            Mark(22 + place % ACROSS * PITCH, _TITLE - 4 + place // ACROSS * PITCH, SIDE, badge.tone)
            for place, badge in enumerate(items)
        ]
    counts = Counter(badge.tone for badge in items)
    marks, x, whole = [], 22.0, float(ACROSS * PITCH)
    for tone, count in counts.most_common():
        width = whole * count / len(items)
        marks.append(Mark(round(x, 1), _TITLE - 4, round(width, 1), tone))
        x += width
    return marks
