"""What the pages about an execution show."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from artifacts.models import ArtifactVersion
from console.accounts import access
from console.accounts.access import Action
from console.doing import with_doing
from console.pages import badges
from console.pages.badges import Badge
from console.pages.failures import describe_error
from console.pages.node_paths import Path, dynamic_of, paths_above, spec_of
from console.pages.scope import in_scope
from console.pages.specs import NodeTitles, SpecNode, compiled_workflow
from lineage.models import VersionEdge
from scheduler import doing
from scheduler.doing import Doing
from scheduler.models import Execution, Gate, GateKind, NodeExecution, NodeKind, PhaseEvent, TaskExecution
from scheduler.origins import Origin, origin_of
from scheduler.phases import EXECUTION_TERMINAL, NODE_TERMINAL, ExecutionPhase, NodePhase

NODES_SHOWN, EVENTS_SHOWN = 400, 200
BAR_UNITS = 1000.0

HEAVY = tuple(f"{entity}__{name}" for entity in ("workflow", "launch_plan", "task") for name in ("spec", "closure"))


def readable_executions(request: HttpRequest) -> QuerySet[Execution]:
    rows = Execution.objects.select_related("workflow", "launch_plan", "task").defer("spec", "error", *HEAVY)
    return in_scope(request, rows)


@dataclass(frozen=True)
class Launcher:
    """What started an execution: words, and a link where there is one."""

    words: str
    kind: str = ""
    target: Any = None
    firing: Any = None


def launched_by(request: HttpRequest, execution: Execution) -> Launcher:
    firing = execution.firings.select_related("version__artifact", "trigger").defer("version__literal").first()
    if firing is not None:
        artifact = firing.version.artifact
        if access.can(request.user, Action.READ, artifact.project, artifact.domain):
            return Launcher("an artifact version", "version", firing.version, firing)
        return Launcher("an artifact version", firing=firing)
    parent = execution.parent_node.execution if execution.parent_node is not None else None
    if parent is not None and access.can(request.user, Action.READ, parent.project, parent.domain):
        return Launcher("its parent", "execution", parent)
    source = execution.reference
    if source is not None and access.can(request.user, Action.READ, source.project, source.domain):
        return Launcher("relaunch of" if execution.mode == 3 else "recovery of", "execution", source)
    return Launcher(f"{execution.principal or 'somebody'}, {badges.MODE.get(execution.mode, 'by hand')}")


def begun_by(request: HttpRequest, execution: Execution) -> Origin | None:
    """The person or schedule at the end of the chain that led to it, where that is somebody else than it says itself
    and the user may know of it.
    """
    origin = origin_of(execution)
    places = [(origin.execution.project, origin.execution.domain)]
    if origin.version is not None:
        places.append(origin.version.artifact.key[:2])
    is_told = all(access.can(request.user, Action.READ, *place) for place in places)
    return origin if is_told and (origin.steps or origin.version is not None) else None


@dataclass(frozen=True)
class NodeRow:
    node: NodeExecution
    name: str
    kind: str
    entity: str
    depth: int
    badge: Badge
    bar_x: float
    bar_width: float
    gate: Gate | None
    attempts: int
    doing: Doing | None
    upstream: tuple[str, ...] = ()  # ids of spec nodes beside it

    @property
    def is_still(self) -> bool:
        """Whether its clock stands still: it has not ended, and nothing of it runs."""
        return self.node.ended_at is None and self.doing is not None and not self.doing.state.is_going


def head_context(request: HttpRequest, execution: Execution) -> dict[str, Any]:
    """The part of the page that changes while the execution runs."""
    user, project, domain = request.user, execution.project, execution.domain
    is_live = execution.phase not in EXECUTION_TERMINAL
    gates = [] if not is_live else _open_gates(execution)
    now = doing.of_execution(execution) if is_live else None
    with_doing([execution], {execution.pk: now} if now is not None else {})
    return {
        "execution": execution,
        "is_live": is_live,
        "failure": describe_error(execution.error),
        "launcher": launched_by(request, execution),
        "origin": begun_by(request, execution),
        "open_gates": gates,
        "outside": _outside(request, execution),
        "why": now.why if now is not None and not gates else None,
        "may_launch": access.can(user, Action.LAUNCH, project, domain),
        "may_recover": execution.phase in (ExecutionPhase.FAILED, ExecutionPhase.ABORTED, ExecutionPhase.TIMED_OUT),
    }


def _outside(request: HttpRequest, execution: Execution) -> list[tuple[str, Any]]:
    """Inputs that were given a version their query would not have found, where the user may know of it."""
    marked = [(name, found) for name, found in sorted(execution.resolution.items()) if found.get("outside")]
    return [
        (name, found) for name, found in marked if access.can(request.user, Action.READ, *_place(found["artifact"]))
    ]


def _place(artifact: str) -> tuple[str, str]:
    project, domain, _ = artifact.split("/", 2)
    return project, domain


def _open_gates(execution: Execution) -> list[Gate]:
    rows = Gate.objects.filter(execution=execution, decided_at__isnull=True, waiting_since__isnull=False)
    return list(rows.exclude(kind=GateKind.SLEEP).order_by("id"))


def nodes_context(execution: Execution, gates: list[Gate], after: str = "") -> dict[str, Any]:
    """The tree of nodes in the order they began, with bars on the execution's own time scale.

    `after`: primary key of the last node of the page before. Nodes whose parent is on another page keep their depth.
    """
    start = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
    nodes = list(
        NodeExecution.objects.filter(execution=execution, pk__gt=start)
        .exclude(kind__in=(NodeKind.START, NodeKind.END))
        .defer("error", "state")
        .order_by("id")[: NODES_SHOWN + 1]
    )
    titles = NodeTitles(compiled_workflow(execution.workflow))
    scale = _Scale(execution)
    waiting = {gate.node_id: gate for gate in gates}
    children: dict[int | None, list[NodeExecution]] = defaultdict(list)
    shown = nodes[:NODES_SHOWN]
    above = paths_above(shown) if start else {}
    dynamic = dynamic_of(execution) if any(node.parent_id is not None for node in shown) else {}
    for node in shown:
        children[node.parent_id].append(node)
    now = doing.of_nodes(execution, shown) if execution.phase not in EXECUTION_TERMINAL else {}
    rows: list[NodeRow] = []
    stack: list[tuple[NodeExecution, Path]] = []
    for parent, path in [*above.items(), (None, Path())]:
        stack.extend((node, path.to(node)) for node in reversed(children[parent]))
    while stack:
        node, path = stack.pop()
        spec = titles.find(path.ids, path.dynamic(dynamic))
        rows.append(_row(node, path.depth, spec, scale, waiting.get(node.pk), now.get(node.pk)))
        stack.extend((child, path.to(child)) for child in reversed(children[node.pk]))
    more = shown[-1].pk if len(nodes) > NODES_SHOWN else None
    return {"nodes": rows, "more_nodes": more, "first_nodes": bool(start), "titles": titles}


STEADY = 64  # of that many parts of a timeline, one passes before it is drawn anew


def steady_end(start: datetime, now: datetime) -> datetime:
    """Where a timeline of what still runs ends: at `now` or up to a 64th later, the same for a while, so that a poll is
    answered by "nothing new" until the drawing has changed enough to be seen. After: at least 1 ms after `start`."""
    span = max((now - start).total_seconds(), 0.001)
    step = 2.0 ** math.floor(math.log2(span / STEADY))
    return start + timedelta(seconds=math.ceil(span / step) * step)


class _Scale:
    """Maps moments of an execution to the units of its timeline."""

    def __init__(self, execution: Execution) -> None:
        self.start = execution.started_at or execution.created_at
        self.end = execution.ended_at or steady_end(self.start, timezone.now())
        self.span = max((self.end - self.start).total_seconds(), 0.001)

    def bar(self, start: datetime | None, end: datetime | None) -> tuple[float, float]:
        if start is None:
            return 0.0, 0.0
        x = BAR_UNITS * min(max((start - self.start).total_seconds() / self.span, 0.0), 1.0)
        stop = BAR_UNITS * min(max(((end or self.end) - self.start).total_seconds() / self.span, 0.0), 1.0)
        width = max(stop - x, 6.0)
        return round(min(x, BAR_UNITS - width), 1), round(width, 1)


def _row(
    node: NodeExecution,
    depth: int,
    spec: SpecNode | None,
    scale: _Scale,
    gate: Gate | None,
    now: Doing | None,
) -> NodeRow:
    x, width = scale.bar(node.started_at, node.ended_at)
    badge = node_badge(node, now)
    name = spec.name if spec is not None else node.spec_node_id
    kind = badges.NODE_KIND.get(node.kind, node.kind)
    entity = spec.entity if spec is not None else ""
    upstream = spec.upstream if spec is not None else ()
    return NodeRow(node, name, kind, entity, depth, badge, x, width, gate, max(node.attempts, 0), now, upstream)


def node_badge(node: NodeExecution, now: Doing | None) -> Badge:
    """What it does while it goes on, its phase else."""
    plain = node.phase in (NodePhase.UNDEFINED, NodePhase.QUEUED, NodePhase.RUNNING, NodePhase.DYNAMIC_RUNNING)
    return badges.STATE[now.state] if now is not None and plain else badges.NODE[node.phase]


@dataclass(frozen=True)
class Used:
    edge: VersionEdge
    version: ArtifactVersion


def artifacts_of(request: HttpRequest, execution: Execution) -> dict[str, list[Used]]:
    """The versions an execution consumed and produced, each once, that the user may read."""
    readable = access.readable(request.user, project="version__artifact__project", domain="version__artifact__domain")
    edges = VersionEdge.objects.filter(readable, execution_key=execution.key).select_related("version__artifact")
    found: dict[str, dict[int, Used]] = {"consumed": {}, "produced": {}}
    for edge in edges.defer("version__literal", "version__literal_type", "version__card").order_by("id")[:200]:
        found[edge.role].setdefault(edge.version_id, Used(edge, edge.version))
    return {role: list(rows.values()) for role, rows in found.items()}


@dataclass(frozen=True)
class Deck:
    node_id: str
    title: str


def decks_of(execution: Execution) -> list[Deck]:
    """Those of its nodes, by what the nodes are called."""
    titles = NodeTitles(compiled_workflow(execution.workflow))
    rows = NodeExecution.objects.filter(execution=execution).exclude(deck_uri="").order_by("id")
    found = []
    for node in rows.select_related("parent__parent").defer("state", "error"):
        spec = spec_of(execution, node, titles)
        found.append(Deck(node.node_id, spec.name if spec is not None else node.node_id))
    return found


@dataclass(frozen=True)
class Event:
    at: datetime
    what: str
    badge: Badge
    reason: str
    actor: str


_BADGES = {"execution": badges.EXECUTION, "node": badges.NODE, "attempt": badges.ATTEMPT}


def events_of(execution: Execution) -> list[Event]:
    rows = list(PhaseEvent.objects.filter(execution_id=execution.pk).order_by("-id")[:EVENTS_SHOWN])
    names = {("execution", execution.pk): "execution"}
    nodes = NodeExecution.objects.filter(pk__in={row.object_id for row in rows if row.machine == "node"})
    names |= {("node", pk): f"node {node_id}" for pk, node_id in nodes.values_list("pk", "node_id")}
    attempts = TaskExecution.objects.filter(pk__in={row.object_id for row in rows if row.machine == "attempt"})
    for pk, node_id, number, index in attempts.values_list("pk", "node__node_id", "attempt", "index"):
        item = f", item {index}" if index >= 0 else ""
        names["attempt", pk] = f"attempt {number + 1} of {node_id}{item}"
    return [
        Event(
            row.at,
            names.get((row.machine, row.object_id), row.machine),
            _BADGES[row.machine].get(row.to_phase, Badge("Unknown")),
            row.reason,
            row.actor,
        )
        for row in rows
    ]


def is_node_live(node: NodeExecution) -> bool:
    return node.phase not in NODE_TERMINAL
