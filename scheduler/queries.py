"""Reads for doors: what can be listed, by which filters, and how one row is found by its identifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.db import models
from django.db.models import Count, DurationField, ExpressionWrapper, F, Prefetch, QuerySet
from django.db.models.expressions import CombinedExpression

from artifacts.exceptions import InvalidArgument, NotFound
from scheduler.filters import (
    Column,
    Entity,
    apply_filters,
    apply_sort,
    filters_on,
    page,
    parse_choice,
    parse_duration,
    parse_integer,
    parse_time,
)
from scheduler.models import (
    Execution,
    Gate,
    GateKind,
    LaunchPlan,
    NamedEntity,
    NodeExecution,
    Project,
    ResourceType,
    Task,
    TaskExecution,
    Workflow,
)
from scheduler.models.registry import RegisteredVersion
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase

Row = TypeVar("Row", bound=models.Model)
Version = TypeVar("Version", bound=RegisteredVersion)

# The inputs and compiled closures are large; a list of executions needs only the identifiers beside them.
_HEAVY = [f"{entity}__{name}" for entity in ("task", "workflow", "launch_plan") for name in ("spec", "closure")]


def _duration() -> ExpressionWrapper[CombinedExpression]:
    return ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())


def _archived(value: str) -> object:
    """Flyte's state of an execution or name: 0 or ...ACTIVE, 1 or ...ARCHIVED."""
    if value == "0" or value.upper().endswith("ACTIVE"):
        return False
    if value == "1" or value.upper().endswith("ARCHIVED"):
        return True
    raise InvalidArgument(f"{value!r} is no state: 0 is active, 1 is archived")


_VERSION_COLUMNS = {
    "project": Column("project"),
    "domain": Column("domain"),
    "name": Column("name"),
    "version": Column("version"),
    "created_at": Column("created_at", parse_time),
    "id": Column("id", parse_integer),
}
TASK = Entity("task", {**_VERSION_COLUMNS, "type": Column("type"), "short_description": Column("short_description")})
WORKFLOW = Entity("workflow", {**_VERSION_COLUMNS, "short_description": Column("short_description")})
LAUNCH_PLAN = Entity(
    "launch_plan",
    {
        **_VERSION_COLUMNS,
        "state": Column("state", parse_choice(LaunchPlan.State)),
        "updated_at": Column("state_changed_at", parse_time),
        "workflow_id": Column("workflow_id", parse_integer),
    },
    {"workflow": ("workflow", WORKFLOW)},
)
_RUN_COLUMNS = {
    "created_at": Column("created_at", parse_time),
    "started_at": Column("started_at", parse_time),
    "updated_at": Column("updated_at", parse_time),
    "duration": Column("run_time", parse_duration, _duration()),
    "id": Column("id", parse_integer),
}
EXECUTION = Entity(
    "execution",
    {
        **_RUN_COLUMNS,
        "project": Column("project"),
        "domain": Column("domain"),
        "name": Column("name"),
        "execution_project": Column("project"),
        "execution_domain": Column("domain"),
        "execution_name": Column("name"),
        "execution_created_at": Column("created_at", parse_time),
        "execution_updated_at": Column("updated_at", parse_time),
        "phase": Column("phase", parse_choice(ExecutionPhase)),
        "mode": Column("mode", parse_integer),
        "user": Column("principal"),
        "abort_cause": Column("abort_cause"),
        "state": Column("archived", _archived),
        "launch_plan_id": Column("launch_plan_id", parse_integer),
        "workflow_id": Column("workflow_id", parse_integer),
        "task_id": Column("task_id", parse_integer),
        "source_execution_id": Column("reference_id", parse_integer),
        "parent_node_execution_id": Column("parent_node_id", parse_integer),
    },
    {"launch_plan": ("launch_plan", LAUNCH_PLAN), "workflow": ("workflow", WORKFLOW), "task": ("task", TASK)},
    tagged=True,
)
NODE_EXECUTION = Entity(
    "node_execution",
    {
        **_RUN_COLUMNS,
        "node_id": Column("node_id"),
        "phase": Column("phase", parse_choice(NodePhase)),
        "parent_id": Column("parent_id", parse_integer),
        "node_execution_created_at": Column("created_at", parse_time),
        "node_execution_updated_at": Column("updated_at", parse_time),
        "cache_status": Column("cache_status", parse_integer),
        "execution_project": Column("execution__project"),
        "execution_domain": Column("execution__domain"),
        "execution_name": Column("execution__name"),
    },
    {"execution": ("execution", EXECUTION)},
)
TASK_EXECUTION = Entity(
    "task_execution",
    {
        **_RUN_COLUMNS,
        "retry_attempt": Column("attempt", parse_integer),
        "phase": Column("phase", parse_choice(AttemptPhase)),
        "task_execution_created_at": Column("created_at", parse_time),
        "task_execution_updated_at": Column("updated_at", parse_time),
        "node_id": Column("node__node_id"),
    },
    {
        "task": ("task", TASK),
        "node_execution": ("node", NODE_EXECUTION),
        "execution": ("node__execution", EXECUTION),
    },
)
SIGNAL = Entity(
    "signal",
    {
        "signal_id": Column("signal_id"),
        "created_at": Column("created_at", parse_time),
        "updated_at": Column("decided_at", parse_time),
        "id": Column("id", parse_integer),
    },
)
PROJECT = Entity(
    "project",
    {
        "identifier": Column("identifier"),
        "name": Column("name"),
        "description": Column("description"),
        "state": Column("state", parse_choice(Project.State)),
        "created_at": Column("created_at", parse_time),
        "id": Column("id", parse_integer),
    },
)
_NAMED_COLUMNS = {
    "project": Column("project"),
    "domain": Column("domain"),
    "name": Column("name"),
    "description": Column("description"),
    "state": Column("archived", _archived),
}
NAMED_ENTITY_METADATA = Entity("named_entity_metadata", _NAMED_COLUMNS)
NAMED_ENTITY = Entity("entities", _NAMED_COLUMNS, {"named_entity_metadata": ("", NAMED_ENTITY_METADATA)})

GENERATED_PREFIX = ".flytegen"  # names of workflows made for single-task executions; hidden from lists of names


@dataclass(frozen=True)
class ListRequest:
    """One page of a list: Flyte's filters and sort key, limit and offset token."""

    limit: int
    token: str = ""
    filters: str = ""
    sort_key: str = ""
    descending: bool = True


def listed(
    rows: QuerySet[Row], entity: Entity, request: ListRequest, *, default: tuple[str, ...]
) -> tuple[list[Row], str]:
    """The page of `rows` asked for, and the token of the next. Raises InvalidArgument for a bad request."""
    rows = apply_filters(rows, entity, request.filters)
    rows = apply_sort(rows, entity, request.sort_key, descending=request.descending, default=default)
    return page(rows, limit=request.limit, token=request.token)


def scoped(rows: QuerySet[Row], project: str, domain: str = "", name: str = "") -> QuerySet[Row]:
    """The rows of a project, narrowed by domain and name where those are given."""
    given = {"project": project, "domain": domain, "name": name}
    return rows.filter(**{key: value for key, value in given.items() if value})


_NEWEST_FIRST = ("-created_at", "-id")


_VERSION_ENTITIES: Mapping[type[RegisteredVersion], Entity] = {Task: TASK, Workflow: WORKFLOW, LaunchPlan: LAUNCH_PLAN}


def list_versions(
    model: type[Version], request: ListRequest, *, project: str, domain: str, name: str = "", with_spec: bool = False
) -> tuple[list[Version], str]:
    """Versions of tasks, workflows or launch plans, newest first unless sorted otherwise.

    `with_spec` reads the specs along, which a launch plan's always is.
    """
    rows = scoped(model._default_manager.all(), project, domain, name)
    if not with_spec and model is not LaunchPlan:
        rows = rows.defer("spec")
    return listed(rows, _VERSION_ENTITIES[model], request, default=_NEWEST_FIRST)


def get_version(model: type[Version], *, project: str, domain: str, name: str, version: str) -> Version:
    """Raises NotFound."""
    row = model._default_manager.filter(project=project, domain=domain, name=name, version=version).first()
    if row is None:
        raise NotFound(f"missing entity of type {model._meta.verbose_name} {project}/{domain}/{name}@{version}")
    return row


def active_launch_plan(*, project: str, domain: str, name: str) -> LaunchPlan:
    """The one active version of a launch plan name. Raises NotFound."""
    row = LaunchPlan.objects.filter(project=project, domain=domain, name=name, state=LaunchPlan.State.ACTIVE).first()
    if row is None:
        raise NotFound(f"no active launch plan could be found: {project}:{domain}:{name}")
    return row


def list_active_launch_plans(request: ListRequest, *, project: str, domain: str) -> tuple[list[LaunchPlan], str]:
    """The active versions, newest first unless sorted otherwise."""
    rows = scoped(LaunchPlan.objects.filter(state=LaunchPlan.State.ACTIVE), project, domain)
    return listed(rows, LAUNCH_PLAN, request, default=_NEWEST_FIRST)


def list_names(
    resource_type: ResourceType, request: ListRequest, *, project: str, domain: str
) -> tuple[list[NamedEntity], str]:
    """Names with at least one version, alphabetically, without generated ones unless filters are given."""
    rows = scoped(NamedEntity.objects.filter(resource_type=resource_type), project, domain)
    if not request.filters:
        rows = rows.exclude(name__startswith=GENERATED_PREFIX)
    return listed(rows, NAMED_ENTITY, request, default=("name", "id"))


def get_name(resource_type: ResourceType, *, project: str, domain: str, name: str) -> NamedEntity:
    """Raises NotFound."""
    row = NamedEntity.objects.filter(resource_type=resource_type, project=project, domain=domain, name=name).first()
    if row is None:
        raise NotFound(f"missing entity of type {ResourceType(resource_type).label.lower()} {project}/{domain}/{name}")
    return row


def list_projects(request: ListRequest, *, visible: list[str] | None) -> tuple[list[Project], str]:
    """Projects by identifier; archived ones only with filters. `visible`: what the caller may see, None: all."""
    rows = Project.objects.all() if visible is None else Project.objects.filter(identifier__in=visible)
    if not request.filters:
        rows = rows.exclude(state=Project.State.ARCHIVED)
    return listed(rows, PROJECT, request, default=("identifier",))


def get_project(identifier: str) -> Project:
    """Raises NotFound."""
    row = Project.objects.filter(identifier=identifier).first()
    if row is None:
        raise NotFound(f"missing entity of type project {identifier}")
    return row


def _executions() -> QuerySet[Execution]:
    """Executions with all that describes one. Where they come from is asked for apart, and only where one has a parent
    or a reference: to plan a join of all seven tables takes PostgreSQL ten times as long as to run it.
    """
    parent = NodeExecution.objects.select_related("execution").defer("state", "execution__spec")
    origins = (Prefetch("parent_node", parent), Prefetch("reference", Execution.objects.defer("spec")))
    described = Execution.objects.select_related("launch_plan", "workflow", "task").defer(*_HEAVY)
    return described.prefetch_related(*origins)


def list_executions(request: ListRequest, *, project: str, domain: str, name: str = "") -> tuple[list[Execution], str]:
    """Executions, newest first; archived ones only when the filters name `state`."""
    rows = scoped(_executions(), project, domain, name)
    if not filters_on(request.filters, "state"):
        rows = rows.filter(archived=False)
    return listed(rows, EXECUTION, request, default=_NEWEST_FIRST)


def get_execution(*, project: str, domain: str, name: str) -> Execution:
    """With its launch plan, workflow, task, parent and reference loaded. Raises NotFound."""
    row = _executions().filter(project=project, domain=domain, name=name).first()
    if row is None:
        raise NotFound(f"missing entity of type execution {project}/{domain}/{name}")
    return row


def phase_counts(rows: QuerySet[Execution]) -> Mapping[ExecutionPhase, int]:
    """How many of the executions are in each phase."""
    counted = rows.order_by().values_list("phase").annotate(number=Count("id"))
    return {ExecutionPhase(phase): number for phase, number in counted}


def _nodes(execution: Execution) -> QuerySet[NodeExecution]:
    """The nodes the engine has come to."""
    return NodeExecution.objects.filter(execution=execution).exclude(phase=NodePhase.UNDEFINED)


def list_nodes(
    execution: Execution, request: ListRequest, *, parent_node_id: str = ""
) -> tuple[list[NodeExecution], str]:
    """The top nodes of an execution, or those of one parent node; in the order they began. Raises NotFound."""
    if parent_node_id:
        rows = _nodes(execution).filter(parent=get_node(execution, parent_node_id))
    else:
        rows = _nodes(execution).filter(parent__isnull=True)
    return listed(rows, NODE_EXECUTION, request, default=("created_at", "id"))


def get_node(execution: Execution, node_id: str) -> NodeExecution:
    """Raises NotFound, also for a node that the engine has not come to."""
    row = _nodes(execution).filter(node_id=node_id).first()
    if row is None:
        raise NotFound(f"missing entity of type node execution {node_id} in {execution.key}")
    return row


def launched_by(nodes: list[NodeExecution]) -> Mapping[int, Execution]:
    """The execution each launch-plan node started, by the node's id; of a node that was repeated, the newest."""
    children = Execution.objects.filter(parent_node__in=nodes).only("project", "domain", "name", "parent_node_id")
    return {child.parent_node_id: child for child in children.order_by("pk") if child.parent_node_id is not None}


def list_attempts(node: NodeExecution, request: ListRequest) -> tuple[list[TaskExecution], str]:
    """The attempts at a node's task, items of a map left out."""
    rows = TaskExecution.objects.filter(node=node, index=-1).select_related("task").defer("task__spec", "task__closure")
    return listed(rows, TASK_EXECUTION, request, default=("attempt", "id"))


def map_items(node: NodeExecution) -> QuerySet[TaskExecution]:
    """Every attempt at every item of a map node, by item."""
    rows = TaskExecution.objects.filter(node=node, index__gte=0).select_related("task")
    return rows.defer("task__spec", "task__closure", "command").order_by("index", "attempt")


def get_attempt(node: NodeExecution, attempt: int) -> TaskExecution:
    """Raises NotFound."""
    row = TaskExecution.objects.filter(node=node, index=-1, attempt=attempt).select_related("task").first()
    if row is None:
        raise NotFound(f"missing entity of type task execution: attempt {attempt} of {node.node_id}")
    return row


def list_signals(execution: Execution, request: ListRequest) -> tuple[list[Gate], str]:
    """The gates of an execution that a client can set: signals and approvals."""
    rows = Gate.objects.filter(execution=execution).exclude(kind=GateKind.SLEEP)
    return listed(rows, SIGNAL, request, default=("created_at", "id"))


@dataclass(frozen=True)
class ListedRun:
    """All rows below one execution; `launched`: the executions its launch-plan nodes started, by node id."""

    nodes: list[NodeExecution]
    attempts: list[TaskExecution]
    launched: Mapping[int, Execution]


def whole_run(execution: Execution) -> ListedRun:
    """For what looks at a whole execution at once (metrics, timelines): three statements, whatever its size."""
    nodes = list(_nodes(execution).defer("state", "error").order_by("created_at", "id"))
    attempts = TaskExecution.objects.filter(execution_id=execution.id).select_related("task")
    attempts = attempts.defer("command", "error", "task__spec", "task__closure").order_by("attempt", "index", "id")
    launched = _executions().filter(parent_node__execution=execution).order_by("pk")
    return ListedRun(nodes, list(attempts), {child.parent_node_id or 0: child for child in launched})
