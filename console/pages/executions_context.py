"""What the pages about an execution show."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from flyteidl.core import execution_pb2

from artifacts.models import ArtifactVersion
from console.accounts import access
from console.accounts.access import Action
from console.pages import badges, graphs
from console.pages.badges import Badge
from console.pages.scope import in_scope
from console.pages.specs import NodeTitles, SpecNode, compiled_workflow, edges_of
from console.pods import WAITING, Waiting, waiting_of
from lineage.models import VersionEdge
from scheduler.models import Execution, Gate, GateKind, NodeExecution, NodeKind, PhaseEvent, TaskExecution
from scheduler.phases import EXECUTION_TERMINAL, NODE_TERMINAL, ExecutionPhase, NodePhase
from scheduler.quotas import why

NODES_SHOWN, EVENTS_SHOWN, DEPTHS = 400, 200, 4
BAR_UNITS = 1000.0
SUMMARY_LETTERS = 300

HEAVY = tuple(f"{entity}__{name}" for entity in ("workflow", "launch_plan", "task") for name in ("spec", "closure"))


def readable_executions(request: HttpRequest) -> QuerySet[Execution]:
    rows = Execution.objects.select_related("workflow", "launch_plan", "task").defer("spec", "error", *HEAVY)
    return in_scope(request, rows)


@dataclass(frozen=True)
class Failure:
    """An ExecutionError for people: the traceback is the user's code's."""

    code: str
    origin: str
    summary: str
    trace: str


def describe_error(raw: bytes | memoryview | None) -> Failure | None:
    if not raw:
        return None
    error = execution_pb2.ExecutionError.FromString(bytes(raw))
    lines = error.message.strip().splitlines()
    origin = "user code" if error.kind == execution_pb2.ExecutionError.USER else "system"
    if error.kind == execution_pb2.ExecutionError.UNKNOWN:
        origin = ""
    return Failure(error.code, origin, _summary(lines) or error.code, error.message.strip() if len(lines) > 1 else "")


def _summary(lines: list[str]) -> str:
    """The line of an error's message that says most, cut where it is long.

    flytekit writes `Trace:`, the traceback, `Message:`, the exception; Python's own traceback ends with the exception;
    anything else begins with what it says, as an error of a map does.
    """
    said = [line.strip() for line in lines if line.strip()]
    if not said:
        return ""
    if said[0].startswith("Trace:") and "Message:" in said[:-1]:
        found = said[said.index("Message:") + 1]
    else:
        found = said[-1] if said[0].startswith("Trace") else said[0]
    return found if len(found) <= SUMMARY_LETTERS else f"{found[: SUMMARY_LETTERS - 1]}…"


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
    waits: Waiting | None


def head_context(request: HttpRequest, execution: Execution) -> dict[str, Any]:
    """The part of the page that changes while the execution runs."""
    user, project, domain = request.user, execution.project, execution.domain
    is_live = execution.phase not in EXECUTION_TERMINAL
    gates = [] if not is_live else _open_gates(execution)
    return {
        "execution": execution,
        "is_live": is_live,
        "failure": describe_error(execution.error),
        "launcher": launched_by(request, execution),
        "open_gates": gates,
        "why": why.of_execution(execution) if is_live and not gates else None,
        "may_launch": access.can(user, Action.LAUNCH, project, domain),
        "may_recover": execution.phase in (ExecutionPhase.FAILED, ExecutionPhase.ABORTED, ExecutionPhase.TIMED_OUT),
    }


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
    above = _paths_above(shown) if start else {}
    for node in shown:
        children[node.parent_id].append(node)
    waits = _waits(shown) if execution.phase not in EXECUTION_TERMINAL else {}
    rows: list[NodeRow] = []
    stack: list[tuple[NodeExecution, int, tuple[str, ...]]] = []
    for parent, path in [*above.items(), (None, ())]:
        depth = min(len(path), DEPTHS)
        stack.extend((node, depth, (*path, node.spec_node_id)) for node in reversed(children[parent]))
    while stack:
        node, depth, path = stack.pop()
        rows.append(_row(node, depth, titles.find(path), scale, waiting.get(node.pk), waits.get(node.pk)))
        inner = reversed(children[node.pk])
        stack.extend((child, min(depth + 1, DEPTHS), (*path, child.spec_node_id)) for child in inner)
    more = shown[-1].pk if len(nodes) > NODES_SHOWN else None
    return {"nodes": rows, "more_nodes": more, "first_nodes": bool(start), "titles": titles}


def _waits(nodes: list[NodeExecution]) -> dict[int, Waiting]:
    """For what the newest attempt of each waits, by the node's primary key: one query."""
    rows = TaskExecution.objects.filter(node__in=nodes, phase__in=WAITING).order_by("node_id", "-id")
    found = rows.distinct("node_id").only("node_id", "phase", "reason", "updated_at")
    return {row.node_id: waiting for row in found if (waiting := waiting_of(row)) is not None}


def _paths_above(nodes: list[NodeExecution]) -> dict[int | None, tuple[str, ...]]:
    """By their parents on earlier pages: the spec ids from the top down to these. A query for each level."""
    here = {node.pk for node in nodes}
    outside = {node.parent_id for node in nodes if node.parent_id is not None} - here
    known: dict[int, tuple[int | None, str]] = {}
    missing = set(outside)
    while missing:
        rows = NodeExecution.objects.filter(pk__in=missing).values_list("pk", "parent_id", "spec_node_id")
        known |= {pk: (parent, spec_id) for pk, parent, spec_id in rows}
        missing = {parent for parent, _ in known.values() if parent is not None} - known.keys()
    paths: dict[int | None, tuple[str, ...]] = {}
    for pk in sorted(outside):
        path: tuple[str, ...] = ()
        step: int | None = pk
        while step is not None:
            step, spec_id = known[step]
            path = (spec_id, *path)
        paths[pk] = path
    return paths


class _Scale:
    """Maps moments of an execution to the units of its timeline."""

    def __init__(self, execution: Execution) -> None:
        self.start = execution.started_at or execution.created_at
        self.end = execution.ended_at or timezone.now()
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
    waits: Waiting | None,
) -> NodeRow:
    x, width = scale.bar(node.started_at, node.ended_at)
    badge = badges.WAITING if gate is not None else badges.NODE[node.phase]
    name = spec.name if spec is not None else node.spec_node_id
    kind = badges.NODE_KIND.get(node.kind, node.kind)
    entity = spec.entity if spec is not None else ""
    return NodeRow(node, name, kind, entity, depth, badge, x, width, gate, max(node.attempts, 0), waits)


@dataclass(frozen=True)
class GraphBox:
    id: str
    title: str
    sub: str
    tone: str
    url: str
    x: float
    y: float


def graph_context(execution: Execution, titles: NodeTitles, rows: list[NodeRow]) -> dict[str, Any]:
    """The workflow as a drawing, each node in the colour of its phase."""
    top = {row.node.spec_node_id: row for row in rows if row.node.parent_id is None}
    nodes = titles.top()
    drawing = graphs.layout([node.id for node in nodes], edges_of(titles.primary))
    boxes = []
    for node in nodes:
        row, place = top.get(node.id), drawing.places[node.id]
        badge = row.badge if row is not None else badges.NODE[NodePhase.UNDEFINED]
        title = graphs.shorten(node.name)
        sub = f"{badges.NODE_KIND.get(node.kind, node.kind)} · {badge.label.lower()}"
        where = (execution.project, execution.domain, execution.name)
        url = reverse("node", args=[*where, row.node.node_id]) if row is not None else ""
        boxes.append(GraphBox(node.id, title, sub, badge.tone, url, place.x, place.y))
    return {"drawing": drawing, "boxes": boxes}


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
