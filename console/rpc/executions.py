from __future__ import annotations

from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import identifier_pb2

from artifacts.exceptions import InvalidArgument
from console.accounts import access
from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.convert import executions
from console.rpc.convert.common import execution_id
from console.rpc.literals import literal_map
from console.rpc.requests import check_identifier, find_execution, list_request, missing, require_scope
from scheduler.actions.executions import abort, archive
from scheduler.actions.launch import LaunchRequest, launch, recover, relaunch
from scheduler.models import Execution
from scheduler.queries import list_executions as find_executions

_LAUNCHABLE = (identifier_pb2.LAUNCH_PLAN, identifier_pb2.TASK)


def create_execution(
    request: execution_pb2.ExecutionCreateRequest, caller: Caller
) -> execution_pb2.ExecutionCreateResponse:
    require_scope(request)
    if not request.HasField("spec"):
        raise missing("spec")
    entity = request.spec.launch_plan
    if entity.resource_type not in _LAUNCHABLE:
        raise InvalidArgument("invalid reference entity resource type: a launch plan or a task can be launched")
    key = check_identifier(entity, entity.resource_type)
    caller.may(Action.LAUNCH, request.project, request.domain)
    caller.may(Action.READ, key.project, key.domain)
    inputs = request.inputs if request.HasField("inputs") else request.spec.inputs
    wanted = LaunchRequest(request.project, request.domain, request.name, request.spec, inputs)
    started = launch(wanted, actor=caller.name, alone=True)
    return _started(started)


def relaunch_execution(
    request: execution_pb2.ExecutionRelaunchRequest, caller: Caller
) -> execution_pb2.ExecutionCreateResponse:
    found = find_execution(request.id, caller, Action.LAUNCH)
    started = relaunch(found, name=request.name, overwrite_cache=request.overwrite_cache, actor=caller.name)
    return _started(started)


def recover_execution(
    request: execution_pb2.ExecutionRecoverRequest, caller: Caller
) -> execution_pb2.ExecutionCreateResponse:
    found = find_execution(request.id, caller, Action.LAUNCH)
    started = recover(found, name=request.name, actor=caller.name)
    return _started(started)


def _started(execution: Execution) -> execution_pb2.ExecutionCreateResponse:
    return execution_pb2.ExecutionCreateResponse(id=execution_id(execution))


def get_execution(request: execution_pb2.WorkflowExecutionGetRequest, caller: Caller) -> execution_pb2.Execution:
    return executions.execution(find_execution(request.id, caller), may_read=access.may_read(caller.user))


def get_execution_data(
    request: execution_pb2.WorkflowExecutionGetDataRequest, caller: Caller
) -> execution_pb2.WorkflowExecutionGetDataResponse:
    found = find_execution(request.id, caller)
    full_inputs, inputs = literal_map(found.inputs_uri)
    full_outputs, outputs = literal_map(found.outputs_uri)
    return execution_pb2.WorkflowExecutionGetDataResponse(
        inputs=inputs, outputs=outputs, full_inputs=full_inputs, full_outputs=full_outputs
    )


def list_executions(request: common_pb2.ResourceListRequest, caller: Caller) -> execution_pb2.ExecutionList:
    require_scope(request.id)
    caller.may(Action.READ, request.id.project, request.id.domain)
    rows, token = find_executions(
        list_request(request), project=request.id.project, domain=request.id.domain, name=request.id.name
    )
    may_read = access.reader(caller.user)
    found = [executions.execution(row, may_read=may_read, listed=True) for row in rows]
    return execution_pb2.ExecutionList(executions=found, token=token)


def terminate_execution(
    request: execution_pb2.ExecutionTerminateRequest, caller: Caller
) -> execution_pb2.ExecutionTerminateResponse:
    found = find_execution(request.id, caller, Action.LAUNCH)
    abort(found, cause=request.cause, actor=caller.name)
    return execution_pb2.ExecutionTerminateResponse()


def update_execution(
    request: execution_pb2.ExecutionUpdateRequest, caller: Caller
) -> execution_pb2.ExecutionUpdateResponse:
    """Archives an execution, or takes it out of the archive."""
    if request.state not in execution_pb2.ExecutionState.values():
        raise InvalidArgument(f"unrecognized execution state {request.state}")
    found = find_execution(request.id, caller, Action.LAUNCH)
    archive(found, archived=request.state == execution_pb2.EXECUTION_ARCHIVED, actor=caller.name)
    return execution_pb2.ExecutionUpdateResponse()
