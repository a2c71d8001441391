from __future__ import annotations

from flyteidl.admin import signal_pb2
from flyteidl.core import identifier_pb2, literals_pb2, types_pb2

from console.accounts.access import Action
from console.deciding import require_decider
from console.rpc.caller import Caller
from console.rpc.convert.common import execution_id
from console.rpc.requests import find_execution, list_request, missing
from scheduler.actions.gates import declared_gate, takes_approval
from scheduler.actions.gates import get_or_create_signal as get_or_create
from scheduler.actions.gates import set_signal as decide_signal
from scheduler.models import Execution, Gate
from scheduler.queries import list_signals as find_signals


def _check(identifier: identifier_pb2.SignalIdentifier) -> None:
    if not identifier.HasField("execution_id"):
        raise missing("execution_id")
    if not identifier.signal_id:
        raise missing("signal_id")


def _signal(gate: Gate, execution: Execution) -> signal_pb2.Signal:
    value = literals_pb2.Literal.FromString(bytes(gate.value)) if gate.value else None
    return signal_pb2.Signal(
        id=identifier_pb2.SignalIdentifier(signal_id=gate.signal_id, execution_id=execution_id(execution)),
        type=types_pb2.LiteralType.FromString(bytes(gate.literal_type)),
        value=value,
    )


def get_or_create_signal(request: signal_pb2.SignalGetOrCreateRequest, caller: Caller) -> signal_pb2.Signal:
    _check(request.id)
    if not request.HasField("type"):
        raise missing("type")
    execution = find_execution(request.id.execution_id, caller, Action.LAUNCH)
    return _signal(get_or_create(execution, request.id.signal_id, request.type), execution)


def list_signals(request: signal_pb2.SignalListRequest, caller: Caller) -> signal_pb2.SignalList:
    execution = find_execution(request.workflow_execution_id, caller)
    rows, token = find_signals(execution, list_request(request))
    return signal_pb2.SignalList(signals=[_signal(row, execution) for row in rows], token=token)


def set_signal(request: signal_pb2.SignalSetRequest, caller: Caller) -> signal_pb2.SignalSetResponse:
    """Approving takes the approver's right, giving a value the launcher's."""
    _check(request.id)
    if not request.HasField("value"):
        raise missing("value")
    execution = find_execution(request.id.execution_id, caller)
    gate = declared_gate(execution, request.id.signal_id)
    if takes_approval(gate):
        require_decider(caller.user, gate)
    else:
        caller.may(Action.LAUNCH, execution.project, execution.domain)
    decide_signal(execution, request.id.signal_id, request.value, actor=caller.name)
    return signal_pb2.SignalSetResponse()
