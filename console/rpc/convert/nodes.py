"""Node executions as flyteidl.admin.NodeExecution."""

from __future__ import annotations

from flyteidl.admin import node_execution_pb2

from console.rpc.convert.common import duration, execution_error, execution_id, node_id, timestamp
from scheduler.models import Execution, NodeExecution, NodeKind


def node_execution(
    row: NodeExecution, execution: Execution, *, launched: Execution | None = None, listed: bool = False
) -> node_execution_pb2.NodeExecution:
    """`launched`: the execution a launch-plan node started."""
    return node_execution_pb2.NodeExecution(
        id=node_id(row, execution),
        input_uri=row.input_uri,
        metadata=node_execution_pb2.NodeExecutionMetaData(
            retry_group=_retry_group(row),
            is_parent_node=is_parent(row),
            spec_node_id=row.spec_node_id,
            is_dynamic=row.is_dynamic,
            is_array=row.kind == NodeKind.ARRAY,
        ),
        closure=_closure(row, launched, listed=listed),
    )


def _retry_group(row: NodeExecution) -> str:
    """The parent's attempt that made this node: `n0-1-n2` came with attempt 1 of n0."""
    if row.parent_id is None:
        return ""
    group = row.node_id.removesuffix(f"-{row.spec_node_id}").rpartition("-")[2]
    return group if group.isdigit() else "0"


def is_parent(row: NodeExecution) -> bool:
    """Whether clients shall look for child nodes, as Flyte tells them: sub-workflows, and a dynamic node once it
    compiled what it made. A branch is none: flytekit asks for its children by itself."""
    return row.kind == NodeKind.WORKFLOW or bool(row.is_dynamic and row.dynamic_uri)


def _closure(
    row: NodeExecution, launched: Execution | None, *, listed: bool
) -> node_execution_pb2.NodeExecutionClosure:
    closure = node_execution_pb2.NodeExecutionClosure(
        phase=row.phase,  # type: ignore[arg-type]
        created_at=timestamp(row.created_at),
        started_at=timestamp(row.started_at),
        updated_at=timestamp(row.updated_at),
        duration=duration(row.started_at, row.ended_at),
        deck_uri=row.deck_uri,
        dynamic_job_spec_uri=row.dynamic_uri,
    )
    if (error := execution_error(row.error, trim=listed)) is not None:
        closure.error.CopyFrom(error)
    elif row.output_uri:
        closure.output_uri = row.output_uri
    if launched is not None:
        closure.workflow_node_metadata.executionId.CopyFrom(execution_id(launched))
    elif row.kind == NodeKind.TASK:
        closure.task_node_metadata.cache_status = row.cache_status  # type: ignore[assignment]
    return closure
