"""One hop of lineage around a version: who produced it from what, who consumed it and made what of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from artifacts.models import ArtifactVersion
from console.accounts import access
from console.pages import badges, graphs
from lineage.models import VersionEdge, VersionRole
from scheduler.models import Execution

EXECUTIONS_SHOWN = 40
VERSIONS_SHOWN = 120


@dataclass(frozen=True)
class Box:
    """A node of the drawing, with the text it shows."""

    key: str
    title: str
    sub: str
    url: str
    tone: str
    css: str
    x: float = 0.0
    y: float = 0.0
    hint: str = ""


def lineage_context(request: HttpRequest, version: ArtifactVersion) -> dict[str, Any]:
    own = list(version.edges.order_by("-id")[: EXECUTIONS_SHOWN * 4])
    producers = _keys(own, VersionRole.PRODUCED)
    consumers = _keys(own, VersionRole.CONSUMED)[:EXECUTIONS_SHOWN]
    edges = _neighbour_edges(producers, consumers)
    versions = _readable(request, {edge.version_id for edge in edges}) | {version.pk: version}
    executions = _executions(request, [*producers, *consumers])
    links = [_link(edge, versions, executions) for edge in [*own, *edges]]
    pairs = list(dict.fromkeys(link for link in links if link is not None))
    boxes = _boxes(version, versions, executions, pairs)
    drawing = graphs.layout([box.key for box in boxes], pairs)
    placed = [_placed(box, drawing.places[box.key]) for box in boxes]
    return {
        "drawing": drawing,
        "boxes": placed,
        "producers": [executions[key] for key in producers if key in executions],
        "consumers": [executions[key] for key in consumers if key in executions],
        "sources": _around(versions, edges, producers, VersionRole.CONSUMED, version),
        "results": _around(versions, edges, consumers, VersionRole.PRODUCED, version),
    }


def _keys(edges: Sequence[VersionEdge], role: VersionRole) -> list[str]:
    return list(dict.fromkeys(edge.execution_key for edge in edges if edge.role == role))


def _neighbour_edges(producers: Sequence[str], consumers: Sequence[str]) -> list[VersionEdge]:
    what = Q(execution_key__in=producers, role=VersionRole.CONSUMED)
    what |= Q(execution_key__in=consumers, role=VersionRole.PRODUCED)
    return list(VersionEdge.objects.filter(what).order_by("id")[: VERSIONS_SHOWN * 3])


def _readable(request: HttpRequest, ids: set[int]) -> dict[int, ArtifactVersion]:
    readable = access.readable(request.user, project="artifact__project", domain="artifact__domain")
    rows = ArtifactVersion.objects.filter(readable, pk__in=ids).select_related("artifact")
    rows = rows.defer("literal", "literal_type", "card").order_by("-created_at", "-id")
    return {row.pk: row for row in rows[:VERSIONS_SHOWN]}


def _executions(request: HttpRequest, keys: Sequence[str]) -> dict[str, Execution]:
    """The executions of those keys that the user may read."""
    split = [key.split("/") for key in keys]
    wanted = Q(pk__in=[])
    for project, domain in sorted({(parts[0], parts[1]) for parts in split if len(parts) == 3}):
        names = [parts[2] for parts in split if parts[:2] == [project, domain]]
        wanted |= Q(project=project, domain=domain, name__in=names)
    rows = Execution.objects.filter(wanted, access.readable(request.user)).select_related("workflow")
    rows = rows.only("project", "domain", "name", "phase", "created_at", "workflow__name")
    return {row.key: row for row in rows}


def _link(
    edge: VersionEdge, versions: dict[int, ArtifactVersion], executions: dict[str, Execution]
) -> tuple[str, str] | None:
    if edge.version_id not in versions or edge.execution_key not in executions:
        return None
    artifact, execution = f"v{edge.version_id}", edge.execution_key
    return (execution, artifact) if edge.role == VersionRole.PRODUCED else (artifact, execution)


def _boxes(
    focus: ArtifactVersion,
    versions: dict[int, ArtifactVersion],
    executions: dict[str, Execution],
    pairs: Sequence[tuple[str, str]],
) -> list[Box]:
    linked = {key for pair in pairs for key in pair} | {f"v{focus.pk}"}
    boxes = [_version_box(row, focus) for row in versions.values() if f"v{row.pk}" in linked]
    return boxes + [_execution_box(row) for key, row in executions.items() if key in linked]


def _version_box(version: ArtifactVersion, focus: ArtifactVersion) -> Box:
    partitions = ", ".join(f"{key}={value}" for key, value in version.partitions.items())
    return Box(
        key=f"v{version.pk}",
        title=_short(version.artifact.name),
        sub=_short(partitions or version.version, 34),
        url=reverse("version-lineage", args=[version.pk]),
        tone=badges.KIND[version.kind].tone if version.kind in badges.KIND else "neutral",
        css="node-self" if version.pk == focus.pk else "node-artifact",
        hint=f"{version.artifact} {version.version}",
    )


def _execution_box(execution: Execution) -> Box:
    badge = badges.EXECUTION[execution.phase]
    return Box(
        key=execution.key,
        title=_short(execution.workflow.name.rsplit(".", 1)[-1]),
        sub=_short(f"{badge.label} · {execution.name}", 34),
        url=reverse("execution", args=[execution.project, execution.domain, execution.name]),
        tone=badge.tone,
        css="node-run",
        hint=f"{execution.workflow.name}: {execution.key}",
    )


def _short(text: str, most: int = 27) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _placed(box: Box, place: graphs.Place[str]) -> Box:
    return Box(box.key, box.title, box.sub, box.url, box.tone, box.css, place.x, place.y, box.hint)


def _around(
    versions: dict[int, ArtifactVersion],
    edges: Sequence[VersionEdge],
    keys: Sequence[str],
    role: VersionRole,
    focus: ArtifactVersion,
) -> list[ArtifactVersion]:
    ids = dict.fromkeys(e.version_id for e in edges if e.role == role and e.execution_key in keys)
    return [versions[pk] for pk in ids if pk in versions and pk != focus.pk]
