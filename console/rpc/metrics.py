"""GetExecutionMetrics: an execution's time as nested spans, told from the timestamps of its rows."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flyteidl.admin import execution_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, metrics_pb2

from console.rpc.caller import Caller
from console.rpc.convert.common import execution_id, identifier, node_id, timestamp
from console.rpc.requests import find_execution
from scheduler.models import Execution, NodeExecution, NodeKind, TaskExecution
from scheduler.queries import ListedRun, whole_run

MAX_DEPTH = 32
_Timed = Execution | NodeExecution | TaskExecution
_MARKERS = (NodeKind.START, NodeKind.END)


def get_execution_metrics(
    request: execution_pb2.WorkflowExecutionGetMetricsRequest, caller: Caller
) -> execution_pb2.WorkflowExecutionGetMetricsResponse:
    """`depth` limits how far spans are taken apart: 1 shows the execution's nodes, 2 their attempts or child nodes.

    Below 0, which `pyflyte metrics` sends, takes everything apart (flyteadmin, metrics_manager.go: parseExecution).
    """
    execution = find_execution(request.id, caller)
    depth = min(request.depth, MAX_DEPTH) if request.depth >= 0 else MAX_DEPTH
    return execution_pb2.WorkflowExecutionGetMetricsResponse(span=_execution_span(execution, depth))


def _operation(name: str, start: dt.datetime, end: dt.datetime) -> metrics_pb2.Span:
    return metrics_pb2.Span(start_time=timestamp(start), end_time=timestamp(max(start, end)), operation_id=name)


def _execution_span(execution: Execution, depth: int) -> metrics_pb2.Span:
    span = metrics_pb2.Span(
        start_time=timestamp(execution.created_at),
        end_time=timestamp(_end(execution)),
        workflow_id=execution_id(execution),
    )
    if depth:
        span.spans.extend(_Run(execution).execution_spans(depth))
    return span


def _end(row: _Timed) -> dt.datetime:
    return row.ended_at or row.updated_at


def _upstream(execution: Execution) -> Mapping[str, Sequence[str]]:
    """For each node of the execution's own workflow, the nodes it waits for."""
    closure = workflow_pb2.WorkflowClosure.FromString(bytes(execution.workflow.closure))
    connections = closure.compiled_workflow.primary.connections.upstream
    return {node: list(ids.ids) for node, ids in connections.items()}


@dataclass
class _Run:
    """One execution with all rows below it, read in three statements however large it is."""

    execution: Execution

    def __post_init__(self) -> None:
        run: ListedRun = whole_run(self.execution)
        self.children: dict[int | None, list[NodeExecution]] = defaultdict(list)
        for node in run.nodes:
            self.children[node.parent_id].append(node)
        self.attempts: dict[int, list[TaskExecution]] = defaultdict(list)
        for attempt in run.attempts:
            self.attempts[attempt.node_id].append(attempt)
        self.launched = run.launched

    def execution_spans(self, depth: int) -> Iterator[metrics_pb2.Span]:
        nodes = self.children[None]
        began = min((node.created_at for node in nodes), default=_end(self.execution))
        yield _operation("WORKFLOW_SETUP", self.execution.created_at, began)
        yield from self._node_spans(nodes, _upstream(self.execution), depth)
        if nodes and self.execution.ended_at is not None:
            yield _operation("WORKFLOW_TEARDOWN", _last_end(nodes), self.execution.ended_at)

    def _node_spans(
        self, nodes: Iterable[NodeExecution], upstream: Mapping[str, Sequence[str]], depth: int
    ) -> Iterator[metrics_pb2.Span]:
        by_spec_id = {node.spec_node_id: node for node in nodes}
        for node in by_spec_id.values():
            if node.kind in _MARKERS:
                continue
            span = metrics_pb2.Span(
                start_time=timestamp(node.created_at),
                end_time=timestamp(_end(node)),
                node_id=node_id(node, self.execution),
            )
            before = [by_spec_id[name] for name in upstream.get(node.spec_node_id, ()) if name in by_spec_id]
            if before:
                span.spans.append(_operation("NODE_TRANSITION", _last_end(before), node.started_at or _end(node)))
            if depth > 1:
                span.spans.extend(self._inside(node, depth - 1))
            yield span

    def _inside(self, node: NodeExecution, depth: int) -> Iterator[metrics_pb2.Span]:
        """What a node's time went into: its attempts, its child nodes, the execution it launched, or waiting."""
        attempts, children, launched = self.attempts[node.id], self.children[node.id], self.launched.get(node.id)
        started = node.started_at or _end(node)
        if node.kind == NodeKind.GATE:
            yield _operation("NODE_IDLE", started, _end(node))
            return
        inner: list[_Timed] = [*attempts, *children, *([launched] if launched else [])]
        first = min((row.created_at for row in inner), default=_end(node))
        yield _operation("NODE_SETUP", node.created_at, first)
        yield from self._attempt_spans(attempts, node)
        yield from self._node_spans(children, {}, depth)
        if launched is not None:
            yield _execution_span(launched, depth - 1)
        if inner and node.ended_at is not None:
            yield _operation("NODE_TEARDOWN", _last_end(inner), node.ended_at)

    def _attempt_spans(self, attempts: Sequence[TaskExecution], node: NodeExecution) -> Iterator[metrics_pb2.Span]:
        for number, attempt in enumerate(attempts):
            if number and attempt.index < 0:
                yield _operation("NODE_RESET", _end(attempts[number - 1]), attempt.created_at)
            span = metrics_pb2.Span(
                start_time=timestamp(attempt.created_at),
                end_time=timestamp(_end(attempt)),
                task_id=identifier_pb2.TaskExecutionIdentifier(
                    task_id=identifier(attempt.task) if attempt.task else None,
                    node_execution_id=node_id(node, self.execution),
                    retry_attempt=attempt.attempt,
                ),
            )
            started = attempt.started_at or _end(attempt)
            span.spans.append(_operation("TASK_SETUP", attempt.created_at, started))
            if attempt.started_at is not None:
                span.spans.append(_operation("TASK_RUNTIME", started, _end(attempt)))
            yield span


def _last_end(rows: Iterable[_Timed]) -> dt.datetime:
    return max(_end(row) for row in rows)
