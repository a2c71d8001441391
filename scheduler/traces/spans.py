"""What an execution was, as spans of OpenTelemetry: the execution, its nodes, their attempts.

Identities are computed, not kept: what is told twice is the same span, and a child execution, told when it ends, hangs
in the trace of the whole below the node that launched it, whichever of the two is told first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from flyteidl.core import execution_pb2
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from scheduler.models import Execution, NodeExecution, NodeKind, TaskExecution
from scheduler.phases import EXECUTION_FAILED, AttemptPhase, ExecutionPhase, NodePhase

MAX_TEXT = 1000  # of an error


def trace_id(root: Execution) -> bytes:
    """16 bytes. `root`: the execution above all the others, which a person, a schedule or a trigger launched."""
    return _digest("trace", root.pk, root.created_at.isoformat(), size=16)


def spans_of(
    execution: Execution, root: Execution, nodes: Sequence[NodeExecution], attempts: Iterable[TaskExecution]
) -> Iterator[Span]:
    """Of an execution that has ended; times are Unix nanoseconds."""
    trace, ran = trace_id(root), execution.launch_plan or execution.task or execution.workflow
    above = _of_node(execution.parent_node_id) if execution.parent_node_id else b""
    own = _digest("execution", execution.pk)
    yield _span(
        trace,
        own,
        above,
        ran.name,
        (execution.created_at, execution.ended_at),
        {
            "causeway.execution": execution.key,
            "causeway.project": execution.project,
            "causeway.domain": execution.domain,
            "causeway.version": ran.version,
            "causeway.principal": execution.principal,
            "causeway.phase": ExecutionPhase(execution.phase).name,
        },
        failed=execution.phase in EXECUTION_FAILED,
        error=execution.error,
    )
    ends = {node.pk: node.ended_at or execution.ended_at for node in nodes}
    for node in nodes:
        if node.kind in (NodeKind.START, NodeKind.END):
            continue
        yield _span(
            trace,
            _of_node(node.pk),
            _of_node(node.parent_id) if node.parent_id else own,
            node.node_id,
            (node.started_at or node.created_at, ends[node.pk]),
            {"causeway.node": node.node_id, "causeway.kind": node.kind, "causeway.phase": NodePhase(node.phase).name},
            failed=node.phase in (NodePhase.FAILED, NodePhase.TIMED_OUT),
            error=node.error,
        )
    for attempt in attempts:
        yield _of_attempt(trace, attempt, ends.get(attempt.node_id) or execution.ended_at)


def _of_attempt(trace: bytes, attempt: TaskExecution, end: datetime | None) -> Span:
    """From when it was queued; an event says when it began to run."""
    span = _span(
        trace,
        _digest("attempt", attempt.pk),
        _of_node(attempt.node_id),
        f"attempt {attempt.attempt}" + (f" of item {attempt.index}" if attempt.index >= 0 else ""),
        (attempt.created_at, attempt.ended_at or end),
        {
            "causeway.attempt": attempt.attempt,
            **({"causeway.item": attempt.index} if attempt.index >= 0 else {}),
            "causeway.executor": attempt.executor,
            **({"causeway.cluster": attempt.cluster} if attempt.cluster else {}),
            "causeway.phase": AttemptPhase(attempt.phase).name,
        },
        failed=attempt.phase == AttemptPhase.FAILED,
        error=attempt.error,
    )
    if attempt.started_at is not None:
        span.events.add(name="running", time_unix_nano=_nanoseconds(attempt.started_at))
    return span


def _span(
    trace: bytes,
    own: bytes,
    above: bytes,
    name: str,
    times: tuple[datetime, datetime | None],
    attributes: dict[str, str | int],
    *,
    failed: bool,
    error: bytes | memoryview | None,
) -> Span:
    began, ended = times
    said = execution_pb2.ExecutionError.FromString(bytes(error)) if failed and error else None
    if said is not None and said.code:
        attributes["error.type"] = said.code
    status = Status(code=Status.STATUS_CODE_ERROR, message=said.message[:MAX_TEXT] if said else "") if failed else None
    return Span(
        trace_id=trace,
        span_id=own,
        parent_span_id=above,
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_nanoseconds(began),
        end_time_unix_nano=_nanoseconds(max(began, ended or began)),
        attributes=[KeyValue(key=key, value=_value(value)) for key, value in attributes.items()],
        status=status,
    )


def _value(value: str | int) -> AnyValue:
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp()) * 10**9 + at.microsecond * 1000


def _of_node(pk: int) -> bytes:
    return _digest("node", pk)


def _digest(*parts: object, size: int = 8) -> bytes:
    return hashlib.blake2b("\x00".join(map(str, parts)).encode(), digest_size=size).digest()
