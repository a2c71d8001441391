"""A task launched alone runs in a workflow made for it, named as flyteadmin names it."""

from __future__ import annotations

from flyteidl.admin import launch_plan_pb2
from flyteidl.admin import workflow_pb2 as admin_workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2

from scheduler import pods

MAX_NODE_ID = 63
PREFIX = ".flytegen."
MAP_COMMAND = "pyflyte-map-execute"  # flytekit, ArrayNodeMapTask.get_command
DEFAULT_RETRIES = 3  # when the task says nothing about retries


def generated_identifier(task: identifier_pb2.Identifier, resource_type: int) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=resource_type,  # type: ignore[arg-type]
        project=task.project,
        domain=task.domain,
        name=f"{PREFIX}{task.name}",
        version=task.version,
    )


def node_id_for(task_name: str) -> str:
    return "".join(letter for letter in task_name[-MAX_NODE_ID:] if letter == "-" or letter.isalnum())


def _bind_all(variables: interface_pb2.VariableMap, node_id: str) -> list[literals_pb2.Binding]:
    return [
        literals_pb2.Binding(
            var=name,
            binding=literals_pb2.BindingData(promise=types_pb2.OutputReference(node_id=node_id, var=name)),
        )
        for name in sorted(variables.variables)
    ]


def workflow_for(task: tasks_pb2.TaskTemplate) -> admin_workflow_pb2.WorkflowSpec:
    """One node that runs the task, with the task's interface."""
    node_id = node_id_for(task.id.name)
    retries = literals_pb2.RetryStrategy(retries=DEFAULT_RETRIES)
    node = workflow_pb2.Node(
        id=node_id,
        metadata=workflow_pb2.NodeMetadata(
            name=node_id, retries=task.metadata.retries if task.metadata.HasField("retries") else retries
        ),
        inputs=_bind_all(task.interface.inputs, ""),
        task_node=workflow_pb2.TaskNode(reference_id=task.id),
    )
    if MAP_COMMAND in pods.described(task).args:
        node = _mapped(node)
    template = workflow_pb2.WorkflowTemplate(
        id=generated_identifier(task.id, identifier_pb2.WORKFLOW),
        interface=task.interface,
        nodes=[node],
        outputs=_bind_all(task.interface.outputs, node_id),
    )
    return admin_workflow_pb2.WorkflowSpec(template=template)


def _mapped(node: workflow_pb2.Node) -> workflow_pb2.Node:
    """The node for each item: what a program means that calls `map_task` in an eager workflow, or launches one alone.

    flyteadmin makes a plain node of it, which runs the first item only and gives its output for the list.
    """
    array = workflow_pb2.ArrayNode(node=node, min_success_ratio=1.0)
    return workflow_pb2.Node(id=node.id, metadata=node.metadata, inputs=node.inputs, array_node=array)


def launch_plan_for(task: tasks_pb2.TaskTemplate) -> launch_plan_pb2.LaunchPlanSpec:
    return launch_plan_pb2.LaunchPlanSpec(workflow_id=generated_identifier(task.id, identifier_pb2.WORKFLOW))
