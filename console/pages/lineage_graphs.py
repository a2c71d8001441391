"""Graphs of lineage as drawings and tables. What may not be read is a box without name or link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from console.pages import badges, graphs
from lineage.names import NameGraph
from lineage.render import Readable
from lineage.walks import Reached, VersionNode

DRAWN = 80  # boxes: more are a list, not a picture
HIDDEN = "not visible to you"


@dataclass(frozen=True)
class Box:
    """A node of the drawing, with the text it shows."""

    title: str
    sub: str
    url: str
    tone: str
    css: str
    hint: str
    x: float
    y: float


@dataclass(frozen=True)
class Row:
    """A version in the table; `version` is None for what may not be read."""

    version: VersionNode | None
    depth: int
    made_of: int  # how many of the graph it was directly made of


def rows_of(reached: Reached, *, readable: Readable) -> list[Row]:
    counts: dict[int, int] = {}
    for _, target in reached.graph.steps:
        counts[target] = counts.get(target, 0) + 1
    return [
        Row(node if readable(node.project, node.domain) else None, depth, counts.get(node.pk, 0))
        for node, depth in reached.relatives()
    ]


def drawn_versions(reached: Reached, *, readable: Readable) -> dict[str, Any]:
    nearest = [reached.graph.start, *(node.pk for node, _ in reached.relatives())][:DRAWN]
    drawing = graphs.layout(nearest, reached.graph.steps)
    boxes = [
        _version_box(reached.versions[pk], drawing.places[pk], focus=reached.graph.start, readable=readable)
        for pk in nearest
    ]
    return {"drawing": drawing, "boxes": boxes, "left_out": len(reached.versions) - len(nearest)}


def _version_box(node: VersionNode, place: graphs.Place[int], *, focus: int, readable: Readable) -> Box:
    if not readable(node.project, node.domain):
        return Box(HIDDEN, "", "", "neutral", "node-artifact", HIDDEN, place.x, place.y)
    partitions = ", ".join(f"{key}={value}" for key, value in node.shown_partitions)
    return Box(
        title=graphs.shorten(node.name),
        sub=graphs.shorten(partitions or node.version, graphs.SUB_LETTERS),
        url=reverse("version-lineage", args=[node.pk]),
        tone=badges.KIND[node.kind].tone if node.kind in badges.KIND else "neutral",
        css="node-self" if node.pk == focus else "node-artifact",
        hint=f"{node.artifact} {node.version}" + (" (its data was removed)" if node.removed_at else ""),
        x=place.x,
        y=place.y,
    )


def drawn_names(graph: NameGraph, *, readable: Readable) -> dict[str, Any]:
    """Artifacts that are made of nothing and feed nothing are listed beside the drawing."""
    joined = {one.pk for step in graph.steps for one in (step.source, step.target)}
    shown = [one for one in graph.artifacts if one.pk in joined][:DRAWN]
    drawing = graphs.layout([one.pk for one in shown], [(step.source.pk, step.target.pk) for step in graph.steps])
    boxes = []
    for one in shown:
        place = drawing.places[one.pk]
        if not readable(one.project, one.domain):
            boxes.append(Box(HIDDEN, "", "", "neutral", "node-artifact", HIDDEN, place.x, place.y))
            continue
        boxes.append(
            Box(
                title=graphs.shorten(one.name),
                sub=graphs.shorten(f"{one.project} / {one.domain}", graphs.SUB_LETTERS),
                url=f"{reverse('map')}?{urlencode({'artifact': str(one)})}",
                tone=badges.KIND[one.kind].tone if one.kind in badges.KIND else "neutral",
                css="node-artifact",
                hint=str(one),
                x=place.x,
                y=place.y,
            )
        )
    steps = [step for step in graph.steps if readable(*step.source.key[:2]) and readable(*step.target.key[:2])]
    return {
        "drawing": drawing,
        "boxes": boxes,
        "steps": steps,
        "alone": [one for one in graph.artifacts if one.pk not in joined and readable(one.project, one.domain)],
        "left_out": len(joined) - len(shown),
    }
