from __future__ import annotations

from flyteidl.admin import common_pb2, node_execution_pb2
from flyteidl.core import compiler_pb2, identifier_pb2

from artifacts.exceptions import NotFound
from artifacts.store import store
from console.accounts import access
from console.rpc.caller import Caller
from console.rpc.convert import nodes
from console.rpc.convert.registry import hide_code
from console.rpc.literals import literal_map
from console.rpc.requests import find_execution, list_request, missing
from scheduler.models import Execution, NodeExecution, NodeKind
from scheduler.queries import get_node, launched_by, list_nodes


def find_node(identifier: identifier_pb2.NodeExecutionIdentifier, caller: Caller) -> tuple[Execution, NodeExecution]:
    """Raises InvalidArgument, PermissionDenied or NotFound."""
    if not identifier.HasField("execution_id"):
        raise missing("execution_id")
    if not identifier.node_id:
        raise missing("node_id")
    execution = find_execution(identifier.execution_id, caller)
    return execution, get_node(execution, identifier.node_id)


def get_node_execution(
    request: node_execution_pb2.NodeExecutionGetRequest, caller: Caller
) -> node_execution_pb2.NodeExecution:
    execution, node = find_node(request.id, caller)
    return nodes.node_execution(node, execution, launched=launched_by([node]).get(node.id))


def list_node_executions(
    request: node_execution_pb2.NodeExecutionListRequest, caller: Caller
) -> node_execution_pb2.NodeExecutionList:
    execution = find_execution(request.workflow_execution_id, caller)
    rows, token = list_nodes(execution, list_request(request), parent_node_id=request.unique_parent_id)
    return node_list(rows, token, execution)


def node_list(rows: list[NodeExecution], token: str, execution: Execution) -> node_execution_pb2.NodeExecutionList:
    """A page of nodes, with what their launch-plan nodes started read in one statement."""
    launching = [row for row in rows if row.kind == NodeKind.LAUNCH_PLAN]
    launched = launched_by(launching) if launching else {}
    found = [nodes.node_execution(row, execution, launched=launched.get(row.id), listed=True) for row in rows]
    return node_execution_pb2.NodeExecutionList(node_executions=found, token=token)


def get_node_execution_data(
    request: node_execution_pb2.NodeExecutionGetDataRequest, caller: Caller
) -> node_execution_pb2.NodeExecutionGetDataResponse:
    execution, node = find_node(request.id, caller)
    full_inputs, inputs = literal_map(node.input_uri)
    full_outputs, outputs = literal_map(node.output_uri)
    response = node_execution_pb2.NodeExecutionGetDataResponse(
        inputs=inputs,
        outputs=outputs,
        full_inputs=full_inputs,
        full_outputs=full_outputs,
        flyte_urls=flyte_urls(f"{execution.key}/{node.node_id}", deck=bool(node.deck_uri)),
    )
    if node.dynamic_uri:
        compiled = _dynamic_workflow(node, caller)
        response.dynamic_workflow.compiled_workflow.CopyFrom(compiled)
        response.dynamic_workflow.id.CopyFrom(compiled.primary.template.id)
        response.dynamic_workflow.dynamic_job_spec_uri = node.dynamic_uri
    return response


def get_dynamic_node_workflow(
    request: node_execution_pb2.GetDynamicNodeWorkflowRequest, caller: Caller
) -> node_execution_pb2.DynamicNodeWorkflowResponse:
    _, node = find_node(request.id, caller)
    if not node.dynamic_uri:
        raise NotFound("node does not contain dynamic workflow")
    return node_execution_pb2.DynamicNodeWorkflowResponse(compiled_workflow=_dynamic_workflow(node, caller))


def _dynamic_workflow(node: NodeExecution, caller: Caller) -> compiler_pb2.CompiledWorkflowClosure:
    compiled = compiler_pb2.CompiledWorkflowClosure.FromString(store().get(node.dynamic_uri))
    hide_code(compiled, access.reader(caller.user))
    return compiled


def flyte_urls(path: str, *, deck: bool) -> common_pb2.FlyteURLs:
    """What a client passes to GetData: `flyte://v1/<project>/<domain>/<execution>/<node>[/<attempt>]/i`."""
    base = f"flyte://v1/{path}"
    return common_pb2.FlyteURLs(inputs=f"{base}/i", outputs=f"{base}/o", deck=f"{base}/d" if deck else "")
