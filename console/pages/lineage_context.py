"""One hop of lineage around a version, as a drawing and as lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from artifacts.models import ArtifactVersion
from console.accounts import access
from console.accounts.access import Action
from console.pages import badges, graphs
from lineage.queries import Hop, Step, one_hop
from scheduler.models import Execution

EXECUTIONS_DRAWN, VERSIONS_DRAWN = 30, 90


@dataclass(frozen=True)
class Box:
    """A node of the drawing, with the text it shows."""

    key: str
    title: str
    sub: str
    url: str
    tone: str
    css: str
    hint: str
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Side:
    """Executions next to the version, and the versions beyond them; only what the user may read."""

    runs: list[Execution]
    versions: list[ArtifactVersion]
    pairs: list[tuple[str, str]]  # (execution key, version key)


def lineage_context(request: HttpRequest, version: ArtifactVersion) -> dict[str, Any]:
    hop = one_hop(version)
    executions = _executions(request, [step.execution_key for step in (*hop.producers, *hop.consumers)])
    upstream = _side(request, hop.producers, executions)
    downstream = _side(request, hop.consumers, executions)
    return {
        "hop": hop,
        "upstream": upstream,
        "downstream": downstream,
        **_drawn(hop, upstream, downstream),
    }


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


def _side(request: HttpRequest, steps: Sequence[Step], executions: dict[str, Execution]) -> Side:
    shown = [step for step in steps if step.execution_key in executions]
    versions: dict[int, ArtifactVersion] = {}
    pairs: list[tuple[str, str]] = []
    for step in shown:
        for other in step.others:
            if access.can(request.user, Action.READ, other.artifact.project, other.artifact.domain):
                versions.setdefault(other.pk, other)
                pairs.append((step.execution_key, _key(other)))
    return Side([executions[step.execution_key] for step in shown], list(versions.values()), pairs)


def _key(version: ArtifactVersion) -> str:
    return f"v{version.pk}"


def _drawn(hop: Hop, upstream: Side, downstream: Side) -> dict[str, Any]:
    focus = _key(hop.version)
    runs = [*upstream.runs[:EXECUTIONS_DRAWN], *downstream.runs[:EXECUTIONS_DRAWN]]
    around = _unique([*upstream.versions[:VERSIONS_DRAWN], *downstream.versions[:VERSIONS_DRAWN]])
    boxes = [_version_box(row, hop.version) for row in [*around, hop.version]] + [_execution_box(row) for row in runs]
    pairs = [(version, run) for run, version in upstream.pairs]
    pairs += [(run.key, focus) for run in upstream.runs] + [(focus, run.key) for run in downstream.runs]
    drawing = graphs.layout([box.key for box in boxes], [*pairs, *downstream.pairs])
    left_out = len(upstream.runs) + len(downstream.runs) - len(runs)
    left_out += len(upstream.versions) + len(downstream.versions) - len(around)
    placed = [_placed(box, drawing.places[box.key]) for box in boxes]
    return {"drawing": drawing, "boxes": placed, "left_out": max(left_out, 0) or hop.truncated}


def _unique(versions: Iterable[ArtifactVersion]) -> list[ArtifactVersion]:
    return list({version.pk: version for version in versions}.values())


def _version_box(version: ArtifactVersion, focus: ArtifactVersion) -> Box:
    partitions = ", ".join(f"{key}={value}" for key, value in version.shown_partitions)
    return Box(
        key=_key(version),
        title=graphs.shorten(version.artifact.name),
        sub=graphs.shorten(partitions or version.version, graphs.SUB_LETTERS),
        url=reverse("version-lineage", args=[version.pk]),
        tone=badges.KIND[version.kind].tone if version.kind in badges.KIND else "neutral",
        css="node-self" if version.pk == focus.pk else "node-artifact",
        hint=f"{version.artifact} {version.version}",
    )


def _execution_box(execution: Execution) -> Box:
    badge = badges.EXECUTION[execution.phase]
    return Box(
        key=execution.key,
        title=graphs.shorten(execution.workflow.name.rsplit(".", 1)[-1]),
        sub=graphs.shorten(f"{badge.label} · {execution.name}", graphs.SUB_LETTERS),
        url=reverse("execution", args=[execution.project, execution.domain, execution.name]),
        tone=badge.tone,
        css="node-run",
        hint=f"{execution.workflow.name}: {execution.key}",
    )


def _placed(box: Box, place: graphs.Place[str]) -> Box:
    return Box(box.key, box.title, box.sub, box.url, box.tone, box.css, box.hint, place.x, place.y)
