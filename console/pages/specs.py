"""What pages read out of registered specs: titles of nodes, edges, interfaces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2, types_pb2
from flyteidl.core import workflow_pb2 as core_workflow_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import CausewayError
from artifacts.store import store
from scheduler.models import LaunchPlan, NodeKind, Task, Workflow

HIDDEN_NODES = frozenset({"start-node", "end-node"})
GENERATED_PREFIX = ".flytegen"
DYNAMIC_READ = 4_000_000  # bytes of what a dynamic task wrote
_MAP = re.compile(r"map_(.+?)_[0-9a-f]{32}(?:-arraynode)?")


@dataclass(frozen=True)
class SpecNode:
    """A node as its workflow was written: what it is called, what it is, and which entity it runs."""

    id: str
    name: str
    kind: str
    entity: str
    place: tuple[str, str]  # project and domain of the entity
    upstream: tuple[str, ...]


def compiled_workflow(workflow: Workflow) -> compiler_pb2.CompiledWorkflowClosure:
    closure = workflow_pb2.WorkflowClosure()
    closure.ParseFromString(bytes(workflow.closure))
    return closure.compiled_workflow


def workflow_interface(workflow: Workflow) -> interface_pb2.TypedInterface:
    return compiled_workflow(workflow).primary.template.interface


def task_template(task: Task) -> task_pb2.TaskSpec:
    spec = task_pb2.TaskSpec()
    spec.ParseFromString(bytes(task.spec))
    return spec


def plan_spec(plan: LaunchPlan) -> launch_plan_pb2.LaunchPlanSpec:
    spec = launch_plan_pb2.LaunchPlanSpec()
    spec.ParseFromString(bytes(plan.spec))
    return spec


def expected_inputs(plan: LaunchPlan) -> Mapping[str, interface_pb2.Parameter]:
    closure = launch_plan_pb2.LaunchPlanClosure()
    closure.ParseFromString(bytes(plan.closure))
    return closure.expected_inputs.parameters


def parameters_of(entity: LaunchPlan | Task) -> Mapping[str, interface_pb2.Parameter]:
    """What a launch of it may give; of a task, everything is needed."""
    if isinstance(entity, LaunchPlan):
        return expected_inputs(entity)
    variables = task_template(entity).template.interface.inputs.variables
    return {name: interface_pb2.Parameter(var=one, required=True) for name, one in variables.items()}


class NodeTitles:
    """Finds the spec of a node execution, inside sub-workflows and what dynamic tasks wrote too."""

    def __init__(self, compiled: compiler_pb2.CompiledWorkflowClosure) -> None:
        self.primary = compiled.primary
        self._sub = {_key(sub.template.id): sub for sub in compiled.sub_workflows}
        self._known: dict[int, dict[str, core_workflow_pb2.Node]] = {}

    def top(self) -> list[SpecNode]:
        return list(self._nodes(self.primary).values())

    def find(self, path: Sequence[str], dynamic: Mapping[int, str] | None = None) -> SpecNode | None:
        """`path`: the spec node ids from the outermost node inwards. `dynamic`: by the length of a path to a dynamic
        node, where what it wrote lies (NodeExecution.dynamic_uri).
        """
        workflow: compiler_pb2.CompiledWorkflow | None = self.primary
        found: SpecNode | None = None
        for depth, node_id in enumerate(path, start=1):
            node = self._by_id(workflow).get(node_id) if workflow is not None else None
            if node is None or workflow is None:
                return None
            found = _spec_node(node)
            if depth < len(path) and (uri := (dynamic or {}).get(depth)):
                deeper = {at - depth: rest for at, rest in (dynamic or {}).items() if at > depth}
                inside = written_by_dynamic(uri)
                return inside.find(path[depth:], deeper) if inside is not None else None
            reference = node.workflow_node.sub_workflow_ref if node.HasField("workflow_node") else None
            below = self._sub.get(_key(reference)) if reference is not None and reference.name else None
            workflow = below or workflow  # a branch's nodes belong to the workflow that holds the branch
        return found

    def _by_id(self, workflow: compiler_pb2.CompiledWorkflow) -> dict[str, core_workflow_pb2.Node]:
        known = self._known.get(id(workflow))
        if known is None:
            known = self._known[id(workflow)] = {node.id: node for node in _all_nodes(workflow.template.nodes)}
        return known

    def _nodes(self, workflow: compiler_pb2.CompiledWorkflow) -> dict[str, SpecNode]:
        return {node.id: _spec_node(node) for node in workflow.template.nodes if node.id not in HIDDEN_NODES}


def written_by_dynamic(uri: str) -> NodeTitles | None:
    """Titles of what a dynamic task wrote; None where it cannot be read now, or is too large for a page."""
    try:
        return _written(uri)
    except (CausewayError, DecodeError):
        return None


@lru_cache(maxsize=16)
def _written(uri: str) -> NodeTitles | None:
    """What lies there never changes; that it could not be read is not kept."""
    if store().size(uri) > DYNAMIC_READ:
        return None
    return NodeTitles(compiler_pb2.CompiledWorkflowClosure.FromString(store().get(uri)))


def edges_of(workflow: compiler_pb2.CompiledWorkflow) -> list[tuple[str, str]]:
    """All connections between the nodes of a workflow, those of its start and end nodes left out."""
    pairs = [
        (source, target)
        for source, targets in workflow.connections.downstream.items()
        for target in targets.ids
        if source not in HIDDEN_NODES and target not in HIDDEN_NODES
    ]
    if pairs:
        return sorted(pairs)
    return [(up, node.id) for node in workflow.template.nodes for up in _spec_node(node).upstream]


def _all_nodes(nodes: Iterable[core_workflow_pb2.Node]) -> Iterable[core_workflow_pb2.Node]:
    for node in nodes:
        yield node
        if node.HasField("branch_node"):
            block = node.branch_node.if_else
            arms = [block.case.then_node, *(other.then_node for other in block.other)]
            if block.HasField("else_node"):
                arms.append(block.else_node)
            yield from _all_nodes(arms)


def _key(identifier: identifier_pb2.Identifier) -> tuple[str, str, str, str]:
    return identifier.project, identifier.domain, identifier.name, identifier.version


def _spec_node(node: core_workflow_pb2.Node) -> SpecNode:
    kind, target = _target(node)
    entity, place = target.name, (target.project, target.domain)
    named = {binding.binding.promise.node_id for binding in node.inputs if binding.binding.promise.node_id}
    upstream = tuple(up for up in sorted(set(node.upstream_node_ids) | named) if up not in HIDDEN_NODES)
    return SpecNode(node.id, _title(node, entity), kind, entity, place, upstream)


def _title(node: core_workflow_pb2.Node, entity: str) -> str:
    """The function's name: flytekit calls the nodes of a dynamic task by their ids, and those of a map by a digest."""
    given = node.metadata.name if node.metadata.name != node.id else ""
    name = (given or entity or node.id).rsplit(".", 1)[-1]
    is_map = _MAP.fullmatch(name)
    return is_map[1] if is_map else name


def _target(node: core_workflow_pb2.Node) -> tuple[str, identifier_pb2.Identifier]:
    which = node.WhichOneof("target")
    if which == "task_node":
        return NodeKind.TASK, node.task_node.reference_id
    if which == "workflow_node":
        plan = node.workflow_node.launchplan_ref
        if plan.name:
            return NodeKind.LAUNCH_PLAN, plan
        return NodeKind.WORKFLOW, node.workflow_node.sub_workflow_ref
    if which == "gate_node":
        gate = node.gate_node
        return NodeKind.GATE, identifier_pb2.Identifier(name=gate.approve.signal_id or gate.signal.signal_id)
    if which == "branch_node":
        return NodeKind.BRANCH, identifier_pb2.Identifier()
    if which == "array_node":
        return NodeKind.ARRAY, _target(node.array_node.node)[1]
    return NodeKind.TASK, identifier_pb2.Identifier()


def example_of(literal_type: types_pb2.LiteralType) -> str:
    """How a value is typed where the name of its type does not say it; empty for numbers, texts and structures."""
    items = {types_pb2.STRING: '"a"', types_pb2.INTEGER: "1", types_pb2.FLOAT: "1.5"}
    if literal_type.HasField("collection_type"):
        item = items.get(literal_type.collection_type.simple)
        return f"[{item}, {item}]" if item else ""
    if literal_type.HasField("map_value_type"):
        item = items.get(literal_type.map_value_type.simple)
        return f'{{"key": {item}}}' if item else ""
    return {types_pb2.DATETIME: "2026-01-31T09:00", types_pb2.DURATION: "1h 30m"}.get(literal_type.simple, "")
