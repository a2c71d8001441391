"""What a workflow needs from the registry, and what the registry gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2, tasks_pb2, workflow_pb2

from scheduler.authority import Place
from scheduler.compiler.errors import spell

Key = tuple[str, str, str, str]


def key_of(identifier: identifier_pb2.Identifier) -> Key:
    return identifier.project, identifier.domain, identifier.name, identifier.version


@dataclass(frozen=True)
class LaunchPlanInterface:
    inputs: interface_pb2.ParameterMap
    outputs: interface_pb2.VariableMap


@dataclass
class Available:
    """What nodes may refer to, by (project, domain, name, version)."""

    tasks: dict[Key, tasks_pb2.TaskTemplate] = field(default_factory=dict)
    launch_plans: dict[Key, LaunchPlanInterface] = field(default_factory=dict)
    workflows: dict[Key, workflow_pb2.WorkflowTemplate] = field(default_factory=dict)
    unreadable: set[Place] = field(default_factory=set)  # where nothing was looked for

    def says_missing(self, what: str, reference: identifier_pb2.Identifier, lacks: str = "is not registered") -> str:
        """The same whether it is missing or may not be read: of a place that may not be read, nothing is told."""
        said = f"{what} {spell(reference)} {lacks}"
        place = (reference.project, reference.domain)
        return f"{said}, or not for you to read" if place in self.unreadable else said


@dataclass
class Requirements:
    tasks: set[Key] = field(default_factory=set)
    launch_plans: set[Key] = field(default_factory=set)
    workflows: set[Key] = field(default_factory=set)  # sub-workflows that the templates do not bring themselves


def places_of(closure: compiler_pb2.CompiledWorkflowClosure) -> frozenset[Place]:
    """The projects and domains of everything that a compiled workflow holds or starts."""
    templates = [closure.primary.template, *(sub.template for sub in closure.sub_workflows)]
    needs = requirements_of(templates)
    keys = needs.tasks | needs.launch_plans | needs.workflows | {key_of(template.id) for template in templates}
    keys |= {key_of(task.template.id) for task in closure.tasks}
    return frozenset((project, domain) for project, domain, _, _ in keys)


def requirements_of(templates: Iterable[workflow_pb2.WorkflowTemplate]) -> Requirements:
    """The tasks, launch plans and workflows that the nodes of all these templates refer to."""
    needs = Requirements()
    brought = set()
    for template in templates:
        brought.add(key_of(template.id))
        nodes = [*template.nodes, *([template.failure_node] if template.HasField("failure_node") else [])]
        for node in _walk(nodes):
            if node.HasField("task_node"):
                needs.tasks.add(key_of(node.task_node.reference_id))
            elif node.HasField("workflow_node") and node.workflow_node.HasField("launchplan_ref"):
                needs.launch_plans.add(key_of(node.workflow_node.launchplan_ref))
            elif node.HasField("workflow_node") and node.workflow_node.HasField("sub_workflow_ref"):
                needs.workflows.add(key_of(node.workflow_node.sub_workflow_ref))
    needs.workflows -= brought
    return needs


def inner_nodes(node: workflow_pb2.Node) -> list[workflow_pb2.Node]:
    """The nodes written inside a branch or array node."""
    if node.HasField("array_node"):
        return [node.array_node.node]
    if not node.HasField("branch_node"):
        return []
    block = node.branch_node.if_else
    nodes = [case.then_node for case in [block.case, *block.other] if case.HasField("then_node")]
    return [*nodes, block.else_node] if block.HasField("else_node") else nodes


def _walk(nodes: Iterable[workflow_pb2.Node]) -> Iterator[workflow_pb2.Node]:
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(inner_nodes(node))
