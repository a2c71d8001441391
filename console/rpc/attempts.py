"""Task executions: the attempts of a node, or the one attempt that stands for a map."""

from __future__ import annotations

from flyteidl.admin import node_execution_pb2, task_execution_pb2
from flyteidl.core import identifier_pb2

from artifacts.exceptions import NotFound
from console.jobs import jobs_of
from console.rpc.caller import Caller
from console.rpc.convert import attempts
from console.rpc.literals import literal_map
from console.rpc.nodes import find_node, flyte_urls, node_list
from console.rpc.requests import list_request, missing
from scheduler.doing import Doing, of_attempts
from scheduler.models import Execution, NodeExecution, NodeKind
from scheduler.phases import AttemptPhase
from scheduler.queries import get_attempt, list_attempts, list_nodes, map_items


def find_attempts_node(
    identifier: identifier_pb2.TaskExecutionIdentifier, caller: Caller
) -> tuple[Execution, NodeExecution]:
    """The node an attempt belongs to. Raises InvalidArgument, PermissionDenied or NotFound."""
    if not identifier.HasField("node_execution_id"):
        raise missing("node_execution_id")
    return find_node(identifier.node_execution_id, caller)


def get_task_execution(
    request: task_execution_pb2.TaskExecutionGetRequest, caller: Caller
) -> task_execution_pb2.TaskExecution:
    return _find(request.id, caller)


def _find(identifier: identifier_pb2.TaskExecutionIdentifier, caller: Caller) -> task_execution_pb2.TaskExecution:
    if not identifier.HasField("task_id"):
        raise missing("task_id")
    execution, node = find_attempts_node(identifier, caller)
    found = read_attempt(execution, node, identifier.retry_attempt)
    if found.id.HasField("task_id") and found.id.task_id != identifier.task_id:
        raise NotFound(f"node {node.node_id} ran another task than {identifier.task_id.name}")
    return found


def read_attempt(execution: Execution, node: NodeExecution, attempt: int) -> task_execution_pb2.TaskExecution:
    """Raises NotFound."""
    if node.kind == NodeKind.ARRAY:
        found = _map(node, execution) if attempt == 0 else None
        if found is None:
            raise NotFound(f"missing entity of type task execution: attempt {attempt} of {node.node_id}")
        return found
    row = get_attempt(node, attempt)
    return attempts.task_execution(
        row, node, execution, _said(of_attempts([row]).get(row.pk)), jobs_of([row]).get(row.pk)
    )


def _said(now: Doing | None) -> str:
    """Why it waits, where it does."""
    return now.why.words if now is not None and now.why is not None else ""


def _map(node: NodeExecution, execution: Execution) -> task_execution_pb2.TaskExecution | None:
    """What its items wait for is said as long as none runs."""
    items = list(map_items(node))
    idle = not any(item.phase == AttemptPhase.RUNNING for item in items)
    waiting = next((item for item in items if idle and item.phase == AttemptPhase.QUEUED), None)
    now = of_attempts([waiting]).get(waiting.pk) if waiting is not None else None
    return attempts.map_execution(items, node, execution, _said(now), jobs_of(items))


def list_task_executions(
    request: task_execution_pb2.TaskExecutionListRequest, caller: Caller
) -> task_execution_pb2.TaskExecutionList:
    execution, node = find_node(request.node_execution_id, caller)
    page = list_request(request)
    if node.kind == NodeKind.ARRAY:
        only = None if page.token else _map(node, execution)
        return task_execution_pb2.TaskExecutionList(task_executions=[only] if only is not None else [])
    rows, token = list_attempts(node, page)
    now, jobs = of_attempts(rows), jobs_of(rows)
    found = [attempts.task_execution(row, node, execution, _said(now.get(row.pk)), jobs.get(row.pk)) for row in rows]
    return task_execution_pb2.TaskExecutionList(task_executions=found, token=token)


def get_task_execution_data(
    request: task_execution_pb2.TaskExecutionGetDataRequest, caller: Caller
) -> task_execution_pb2.TaskExecutionGetDataResponse:
    found = _find(request.id, caller)
    full_inputs, inputs = literal_map(found.input_uri)
    full_outputs, outputs = literal_map(found.closure.output_uri)
    node = request.id.node_execution_id
    run = node.execution_id
    path = f"{run.project}/{run.domain}/{run.name}/{node.node_id}/{request.id.retry_attempt}"
    return task_execution_pb2.TaskExecutionGetDataResponse(
        inputs=inputs,
        outputs=outputs,
        full_inputs=full_inputs,
        full_outputs=full_outputs,
        flyte_urls=flyte_urls(path, deck=False),
    )


def list_for_task(
    request: node_execution_pb2.NodeExecutionForTaskListRequest, caller: Caller
) -> node_execution_pb2.NodeExecutionList:
    """The nodes that an attempt made: the children of its dynamic node."""
    execution, node = find_attempts_node(request.task_execution_id, caller)
    rows, token = list_nodes(execution, list_request(request), parent_node_id=node.node_id)
    return node_list(rows, token, execution)
