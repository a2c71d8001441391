"""Times, errors and identifiers as FlyteIDL writes them."""

from __future__ import annotations

import datetime as dt

from flyteidl.core import execution_pb2, identifier_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from scheduler.models import Execution, LaunchPlan, NodeExecution, Task, Workflow

TRIMMED_ERROR_BYTES = 10_240  # in lists; getting one row shows the whole message


def timestamp(moment: dt.datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def duration(start: dt.datetime | None, end: dt.datetime | None) -> Duration | None:
    """None until both are known; never negative, clocks being what they are."""
    if start is None or end is None:
        return None
    span = Duration()
    span.FromTimedelta(max(end - start, dt.timedelta()))
    return span


def execution_error(data: bytes | memoryview | None, *, trim: bool = False) -> execution_pb2.ExecutionError | None:
    if not data:
        return None
    error = execution_pb2.ExecutionError.FromString(bytes(data))
    if trim:
        raw = error.message.encode()
        if len(raw) > TRIMMED_ERROR_BYTES:
            error.message = raw[:TRIMMED_ERROR_BYTES].decode("utf-8", "ignore")
    return error


_RESOURCE_TYPES = {
    Task: identifier_pb2.TASK,
    Workflow: identifier_pb2.WORKFLOW,
    LaunchPlan: identifier_pb2.LAUNCH_PLAN,
}


def identifier(version: Task | Workflow | LaunchPlan) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=_RESOURCE_TYPES[type(version)],
        project=version.project,
        domain=version.domain,
        name=version.name,
        version=version.version,
    )


def execution_id(execution: Execution) -> identifier_pb2.WorkflowExecutionIdentifier:
    return identifier_pb2.WorkflowExecutionIdentifier(
        project=execution.project, domain=execution.domain, name=execution.name
    )


def node_id(node: NodeExecution, execution: Execution) -> identifier_pb2.NodeExecutionIdentifier:
    return identifier_pb2.NodeExecutionIdentifier(node_id=node.node_id, execution_id=execution_id(execution))
