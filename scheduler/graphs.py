"""From a compiled workflow closure (FlyteIDL) to the engine's graph; cached, for neither ever changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from flyteidl.admin import task_pb2 as admin_task
from flyteidl.admin import workflow_pb2 as admin_workflow
from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2
from google.protobuf import duration_pb2

from artifacts.store import store
from scheduler import pods
from scheduler.compiler.single_task import PREFIX
from scheduler.engine.graph import (
    END_NODE,
    START_NODE,
    ArraySpec,
    Case,
    GateSpec,
    GateType,
    Kind,
    NodeSpec,
    RetryPolicy,
    Scope,
)
from scheduler.models import Task, Workflow

SYSTEM_RETRIES = 3
INPUTS = ("", START_NODE, "globals")  # the node ids by which a binding means the inputs of the scope


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What the shell has to know of a node: its template, its task's template, and whether outputs are published."""

    node: workflow_pb2.Node
    task: tasks_pb2.TaskTemplate | None = None
    task_pk: int | None = None  # None for a task that only a dynamic spec knows
    publishes: bool = False
    interface: interface_pb2.TypedInterface | None = None  # of a sub-workflow
    item_outputs: interface_pb2.VariableMap | None = None  # of a mapped task whose items publish


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What the shell has to know of a scope: how its outputs are bound. A branch has none: it borrows its parent's."""

    identifier: identifier_pb2.Identifier | None
    interface: interface_pb2.TypedInterface
    outputs: tuple[literals_pb2.Binding, ...]
    publishes: bool
    aliases: Mapping[str, Mapping[str, str]]  # node id -> alias -> the node's variable


def is_published(variables: interface_pb2.VariableMap) -> bool:
    return any(variable.HasField("artifact_partial_id") for variable in variables.variables.values())


@lru_cache(maxsize=512)
def workflow_scope(workflow_id: int) -> Scope:
    """The graph of a registered workflow version."""
    closure = Workflow.objects.values_list("closure", flat=True).get(pk=workflow_id)
    return compile_scope(admin_workflow.WorkflowClosure.FromString(bytes(closure)).compiled_workflow)


@lru_cache(maxsize=256)
def dynamic_scope(uri: str) -> Scope:
    """The graph of what a dynamic task returned, from its compiled closure in the object store."""
    return compile_scope(compiler_pb2.CompiledWorkflowClosure.FromString(store().get(uri)))


def compile_scope(closure: compiler_pb2.CompiledWorkflowClosure) -> Scope:
    return _Builder(closure).scope(closure.primary.template)


Identity = tuple[str, str, str, str]  # project, domain, name, version


def identity(identifier: identifier_pb2.Identifier) -> Identity:
    return (identifier.project, identifier.domain, identifier.name, identifier.version)


def registered(tasks: Collection[Identity]) -> dict[Identity, int]:
    """Primary keys of those of the tasks that are registered."""
    rows = Task.objects.filter(name__in={name for _, _, name, _ in tasks}, version__in={key[3] for key in tasks})
    found = rows.values_list("project", "domain", "name", "version", "pk")
    return {(project, domain, name, version): pk for project, domain, name, version, pk in found}


class _Builder:
    def __init__(self, closure: compiler_pb2.CompiledWorkflowClosure) -> None:
        self.tasks = {identity(task.template.id): task.template for task in closure.tasks}
        self.workflows = {identity(sub.template.id): sub.template for sub in closure.sub_workflows}
        self.task_pks = registered(self.tasks)
        self.scopes: dict[Identity, Scope] = {}

    def scope(self, template: workflow_pb2.WorkflowTemplate) -> Scope:
        key = identity(template.id)
        if key in self.scopes:
            return self.scopes[key]
        nodes = [node for node in template.nodes if node.id not in (START_NODE, END_NODE)]
        failure = template.failure_node if template.HasField("failure_node") else None
        policies = workflow_pb2.WorkflowMetadata
        default_interruptible = template.metadata_defaults.interruptible
        scope = Scope(
            nodes=self.nodes(nodes, default_interruptible),
            fail_immediately=template.metadata.on_failure != policies.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE,
            failure_node=None if failure is None else self.spec(failure, (), (), default_interruptible),
            source=Source(
                identifier=template.id,
                interface=template.interface,
                outputs=tuple(template.outputs),
                # A task launched alone publishes by itself; the workflow made for it has only its interface.
                publishes=is_published(template.interface.outputs) and not template.id.name.startswith(PREFIX),
                aliases={
                    node.id: {alias.alias: alias.var for alias in node.output_aliases}
                    for node in nodes
                    if node.output_aliases
                },
            ),
        )
        self.scopes[key] = scope
        return scope

    def nodes(self, nodes: Iterable[workflow_pb2.Node], interruptible: bool) -> dict[str, NodeSpec]:
        upstream = {node.id: dict.fromkeys(upstream_of(node)) for node in nodes}
        downstream: dict[str, list[str]] = {node_id: [] for node_id in upstream}
        for node_id, sources in upstream.items():
            for source in [source for source in sources if source not in upstream]:
                del sources[source]
            for source in sources:
                downstream[source].append(node_id)
        return {
            node.id: self.spec(node, tuple(upstream[node.id]), tuple(downstream[node.id]), interruptible)
            for node in nodes
        }

    def spec(
        self, node: workflow_pb2.Node, upstream: tuple[str, ...], downstream: tuple[str, ...], interruptible: bool
    ) -> NodeSpec:
        kind = kind_of_node(node)
        task = None
        body: Scope | None = None
        cases: tuple[Case, ...] = ()
        if kind is Kind.TASK:
            task = self.tasks.get(identity(node.task_node.reference_id))
        elif kind is Kind.WORKFLOW:
            body = self.scope(self.workflows[identity(node.workflow_node.sub_workflow_ref)])
        elif kind is Kind.BRANCH:
            cases = tuple(branch_cases(node.branch_node.if_else))
            arms = branch_arms(node.branch_node.if_else)
            specs = {arm.id: self.spec(arm, (), (), interruptible) for arm in arms}
            empty = interface_pb2.TypedInterface()
            body = Scope(nodes=specs, has_markers=False, source=Source(None, empty, (), publishes=False, aliases={}))
        metadata = node.metadata
        return NodeSpec(
            id=node.id,
            kind=kind,
            upstream=upstream,
            downstream=downstream,
            retry=retry_policy(metadata, task, interruptible),
            timeout=duration(metadata.timeout) if metadata.HasField("timeout") else None,
            takes_slot=kind in (Kind.TASK, Kind.LAUNCH_PLAN),
            body=body,
            cases=cases,
            gate=gate_spec(node.gate_node) if kind is Kind.GATE else None,
            array=self.array(node.array_node, interruptible) if kind is Kind.ARRAY else None,
            target=Target(
                node,
                task,
                task_pk=self.task_pks.get(identity(task.id)) if task is not None else None,
                publishes=task is not None and is_published(task.interface.outputs),
                interface=body.source.interface if body is not None and isinstance(body.source, Source) else None,
            ),
        )

    def array(self, array: workflow_pb2.ArrayNode, interruptible: bool) -> ArraySpec:
        criteria = array.WhichOneof("success_criteria")
        item = self.spec(array.node, (), (), interruptible)
        if isinstance(item.target, Target) and item.target.task is not None:
            item = replace(item, target=replace(item.target, item_outputs=mapped_outputs(item.target.task)))
        parallelism = array.parallelism if array.WhichOneof("parallelism_option") else None
        return ArraySpec(
            node=item if parallelism is None else replace(item, takes_slot=False),  # the map itself counts as one
            parallelism=parallelism,
            min_successes=array.min_successes if criteria == "min_successes" else None,
            min_success_ratio=array.min_success_ratio if criteria == "min_success_ratio" else None,
            run_all=array.run_all_sub_nodes,
        )


def mapped_outputs(task: tasks_pb2.TaskTemplate) -> interface_pb2.VariableMap | None:
    """Outputs of the task that a map task runs, if one of them is annotated with an artifact.

    flytekit lifts a mapped task's outputs to lists and loses their annotations on the way, but its command line names
    the task, and `pyflyte register` registers that under the same version.
    """
    args = [*pods.described(task).args, ""]
    named = {option: args[args.index(option) + 1] for option in ("task-module", "task-name") if option in args}
    if len(named) < 2:
        return None
    name = f"{named['task-module']}.{named['task-name']}"
    rows = Task.objects.filter(project=task.id.project, domain=task.id.domain, name=name, version=task.id.version)
    spec = rows.values_list("spec", flat=True).first()
    if spec is None:
        return None
    outputs = admin_task.TaskSpec.FromString(bytes(spec)).template.interface.outputs
    return outputs if is_published(outputs) else None


def kind_of_node(node: workflow_pb2.Node) -> Kind:
    target = node.WhichOneof("target")
    if target == "workflow_node":
        is_plan = node.workflow_node.WhichOneof("reference") == "launchplan_ref"
        return Kind.LAUNCH_PLAN if is_plan else Kind.WORKFLOW
    kinds = {"task_node": Kind.TASK, "branch_node": Kind.BRANCH, "gate_node": Kind.GATE, "array_node": Kind.ARRAY}
    return kinds[target or "task_node"]


def upstream_of(node: workflow_pb2.Node) -> Iterator[str]:
    """Ids of the nodes it names or binds to. A branch waits for what its arms need, too."""
    yield from node.upstream_node_ids
    for binding in node.inputs:
        yield from promised(binding.binding)
    if node.WhichOneof("target") == "branch_node":
        arms = branch_arms(node.branch_node.if_else)
        inside = {arm.id for arm in arms} | {node.id}
        for arm in arms:
            yield from (source for source in upstream_of(arm) if source not in inside)


def promised(binding: literals_pb2.BindingData) -> Iterator[str]:
    match binding.WhichOneof("value"):
        case "promise":
            yield binding.promise.node_id
        case "collection":
            for item in binding.collection.bindings:
                yield from promised(item)
        case "map":
            for item in binding.map.bindings.values():
                yield from promised(item)


def branch_arms(block: workflow_pb2.IfElseBlock) -> list[workflow_pb2.Node]:
    arms = [case.then_node for case in (block.case, *block.other)]
    return [*arms, block.else_node] if block.WhichOneof("default") == "else_node" else arms


def branch_cases(block: workflow_pb2.IfElseBlock) -> Iterator[Case]:
    for case in (block.case, *block.other):
        yield Case(condition=case.condition, node_id=case.then_node.id)
    if block.WhichOneof("default") == "else_node":
        yield Case(condition=None, node_id=block.else_node.id)
    else:
        yield Case(condition=None, error=block.error.message or "no condition of the branch was met")


def gate_spec(gate: workflow_pb2.GateNode) -> GateSpec:
    match gate.WhichOneof("condition"):
        case "approve":
            return GateSpec(GateType.APPROVE, signal_id=gate.approve.signal_id)
        case "signal":
            return GateSpec(GateType.SIGNAL, signal_id=gate.signal.signal_id)
    return GateSpec(GateType.SLEEP, duration=gate.sleep.duration.ToTimedelta())


def gate_type(target: Target) -> types_pb2.LiteralType:
    """What a decision about the gate has to be."""
    gate = target.node.gate_node
    if gate.WhichOneof("condition") == "signal":
        return gate.signal.type
    return types_pb2.LiteralType(simple=types_pb2.BOOLEAN)


def duration(value: duration_pb2.Duration) -> timedelta | None:
    span = value.ToTimedelta()
    return span if span > timedelta(0) else None


def retry_policy(
    metadata: workflow_pb2.NodeMetadata, task: tasks_pb2.TaskTemplate | None, interruptible: bool
) -> RetryPolicy:
    """The node's retries win over the task's, the node's interruptible over the task's over the workflow's."""
    user = metadata.retries.retries or (task.metadata.retries.retries if task is not None else 0)
    if metadata.WhichOneof("interruptible_value"):
        interruptible = metadata.interruptible
    elif task is not None and task.metadata.WhichOneof("interruptible_value"):
        interruptible = task.metadata.interruptible
    backoff = timedelta(seconds=settings.CAUSEWAY_RETRY_BACKOFF_SECONDS)
    return RetryPolicy(user=user, system=SYSTEM_RETRIES, backoff=backoff, interruptible=interruptible)
