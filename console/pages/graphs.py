"""Layered drawing of a small directed graph: longest-path layers, order by the middle of the neighbours. Pure.

Everything is in SVG user units. Layers run from left to right. Cycles are cut where a depth-first walk meets itself, so
that a graph of executions that feed each other still has a drawing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

BOX_WIDTH, BOX_HEIGHT = 220.0, 52.0
GAP_X, GAP_Y = 48.0, 20.0
MARGIN = 4.0
TITLE_LETTERS, SUB_LETTERS = 23, 27  # what fits into a box


@dataclass(frozen=True)
class Place(Generic[Key]):
    """Where a node's box goes: its upper left corner, and how large it is."""

    key: Key
    x: float
    y: float
    layer: int
    width: float = BOX_WIDTH
    height: float = BOX_HEIGHT


@dataclass(frozen=True)
class Path(Generic[Key]):
    """An edge as an SVG path, from the right side of one box to the left side of another."""

    source: Key
    target: Key
    d: str


@dataclass(frozen=True)
class Drawing(Generic[Key]):
    width: float
    height: float
    places: Mapping[Key, Place[Key]]
    paths: Sequence[Path[Key]]


def layout(
    nodes: Sequence[Key], edges: Iterable[tuple[Key, Key]], sizes: Mapping[Key, tuple[float, float]] | None = None
) -> Drawing[Key]:
    """Places the nodes. Edges that name an unknown node are left out; the order of `nodes` breaks ties.

    `sizes`: width and height of boxes that are no ordinary ones.
    """
    known = set(nodes)
    kept = list(dict.fromkeys((a, b) for a, b in edges if a in known and b in known and a != b))
    forward = _without_cycles(nodes, kept)
    layers = _ordered(nodes, forward, _layers(nodes, forward))
    boxes = {key: (sizes or {}).get(key, (BOX_WIDTH, BOX_HEIGHT)) for key in nodes}
    heights = [_span([boxes[key][1] for key in layer], GAP_Y) for layer in layers]
    height, left = max(heights, default=0.0), MARGIN
    places: dict[Key, Place[Key]] = {}
    for column, layer in enumerate(layers):
        top = MARGIN + (height - heights[column]) / 2
        for key in layer:
            places[key] = Place(key, left, top, column, *boxes[key])
            top += boxes[key][1] + GAP_Y
        left += max(boxes[key][0] for key in layer) + GAP_X
    paths = [Path(a, b, _curve(places[a], places[b])) for a, b in kept]
    return Drawing((left - GAP_X if layers else MARGIN) + MARGIN, height + 2 * MARGIN, places, paths)


def shorten(text: str, most: int = TITLE_LETTERS) -> str:
    """The text as far as it fits into a box."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _span(sizes: Sequence[float], gap: float) -> float:
    return sum(sizes) + max(len(sizes) - 1, 0) * gap


def _without_cycles(nodes: Sequence[Key], edges: Sequence[tuple[Key, Key]]) -> list[tuple[Key, Key]]:
    """The edges without those that lead back to a node still open in a depth-first walk."""
    after: dict[Key, list[Key]] = {key: [] for key in nodes}
    for source, target in edges:
        after[source].append(target)
    opened: set[Key] = set()
    closed: set[Key] = set()
    kept: list[tuple[Key, Key]] = []
    for root in nodes:
        if root in opened:
            continue
        opened.add(root)
        walk = [(root, iter(after[root]))]
        while walk:
            key, targets = walk[-1]
            for target in targets:
                if target not in opened:
                    opened.add(target)
                    kept.append((key, target))
                    walk.append((target, iter(after[target])))
                    break
                if target in closed:
                    kept.append((key, target))
            else:
                closed.add(key)
                walk.pop()
    return kept


def _layers(nodes: Sequence[Key], edges: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """The longest path that leads to each node, counted in edges."""
    after: dict[Key, list[Key]] = {key: [] for key in nodes}
    waiting = dict.fromkeys(nodes, 0)
    for source, target in edges:
        after[source].append(target)
        waiting[target] += 1
    layer = dict.fromkeys(nodes, 0)
    ready = [key for key in nodes if not waiting[key]]
    for key in ready:  # grows while it is walked
        for target in after[key]:
            layer[target] = max(layer[target], layer[key] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return layer


def _ordered(nodes: Sequence[Key], edges: Sequence[tuple[Key, Key]], layer: Mapping[Key, int]) -> list[list[Key]]:
    """The layers, each in the order of the mean position of its nodes' upstream neighbours."""
    columns: list[list[Key]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for key in nodes:
        columns[layer[key]].append(key)
    before: dict[Key, list[Key]] = {key: [] for key in nodes}
    for source, target in edges:
        before[target].append(source)
    rank: dict[Key, float] = {}
    for column in columns:
        middle = {
            key: sum(rank[up] for up in before[key]) / len(before[key]) if before[key] else float(at)
            for at, key in enumerate(column)
        }
        column.sort(key=middle.__getitem__)
        rank.update({key: at - (len(column) - 1) / 2 for at, key in enumerate(column)})
    return columns


def _curve(source: Place[Key], target: Place[Key]) -> str:
    """A level-ended curve; an edge that leads back swings below the boxes."""
    x1, y1 = source.x + source.width, source.y + source.height / 2
    x2, y2 = target.x, target.y + target.height / 2
    if x2 <= x1:
        low = max(source.y + source.height, target.y + target.height) + GAP_Y / 2
        return f"M{x1:g} {y1:g} C{x1 + 40:g} {low:g} {x2 - 40:g} {low:g} {x2:g} {y2:g}"
    bend = min((x2 - x1) / 2, GAP_X)
    return f"M{x1:g} {y1:g} C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
