"""Executions as flyteidl.admin.Execution."""

from __future__ import annotations

from flyteidl.admin import execution_pb2

from artifacts.queries import MayRead
from console.rpc.convert.common import duration, execution_error, execution_id, identifier, node_id, timestamp
from scheduler.models import Execution
from scheduler.phases import ExecutionPhase

_ABORTED = frozenset({ExecutionPhase.ABORTING, ExecutionPhase.ABORTED})


def execution(row: Execution, *, may_read: MayRead, listed: bool = False) -> execution_pb2.Execution:
    """One execution; `listed` leaves out what only a single look-up needs, as Flyte's lists do.

    Where it came from is left out where that is not for the caller to read.
    """
    spec, closure = _spec(row, may_read), _closure(row, listed=listed)
    return execution_pb2.Execution(id=execution_id(row), spec=spec, closure=closure)


def _spec(row: Execution, may_read: MayRead) -> execution_pb2.ExecutionSpec:
    spec = execution_pb2.ExecutionSpec.FromString(bytes(row.spec))
    spec.ClearField("inputs")  # deprecated; GetExecutionData has them
    # Flyte calls it launch_plan for a single task as well, and flytekit tells them apart by the resource type.
    launched = row.task or row.launch_plan
    if launched is not None:
        spec.launch_plan.CopyFrom(identifier(launched))
    spec.metadata.mode = row.mode  # type: ignore[assignment]
    spec.metadata.principal = row.principal
    told = [
        one
        for one in spec.metadata.artifact_ids
        if may_read(one.artifact_key.project or row.project, one.artifact_key.domain or row.domain)
    ]
    del spec.metadata.artifact_ids[:]
    spec.metadata.artifact_ids.extend(told)
    parent = row.parent_node.execution if row.parent_node is not None else None
    if row.parent_node is not None and parent is not None and may_read(parent.project, parent.domain):
        spec.metadata.parent_node_execution.CopyFrom(node_id(row.parent_node, parent))
    if row.reference is not None and may_read(row.reference.project, row.reference.domain):
        spec.metadata.reference_execution.CopyFrom(execution_id(row.reference))
    return spec


def _closure(row: Execution, *, listed: bool) -> execution_pb2.ExecutionClosure:
    closure = execution_pb2.ExecutionClosure(
        phase=row.phase,  # type: ignore[arg-type]
        created_at=timestamp(row.created_at),
        started_at=timestamp(row.started_at),
        updated_at=timestamp(row.updated_at),
        duration=duration(row.started_at, row.ended_at),
        workflow_id=identifier(row.workflow),
        state_change_details=_state(row),
    )
    if row.phase in _ABORTED:
        closure.abort_metadata.cause = row.abort_cause
        closure.abort_metadata.principal = row.aborted_by
    elif (error := execution_error(row.error, trim=listed)) is not None:
        closure.error.CopyFrom(error)
    elif row.phase == ExecutionPhase.SUCCEEDED and row.outputs_uri:
        closure.outputs.uri = row.outputs_uri
    return closure


def _state(row: Execution) -> execution_pb2.ExecutionStateChangeDetails:
    state = execution_pb2.EXECUTION_ARCHIVED if row.archived else execution_pb2.EXECUTION_ACTIVE
    changed = row.updated_at if row.archived else row.created_at
    return execution_pb2.ExecutionStateChangeDetails(
        state=state, occurred_at=timestamp(changed), principal=row.principal
    )
