"""Attempts at a node's task as flyteidl.admin.TaskExecution; a map's items are one attempt's external resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from django.conf import settings
from flyteidl.admin import task_execution_pb2
from flyteidl.core import catalog_pb2, execution_pb2, identifier_pb2
from flyteidl.event import event_pb2
from google.protobuf import json_format, struct_pb2

from console.jobs import links_of
from console.rpc.convert.common import duration, execution_error, identifier, node_id, timestamp
from scheduler.engine.memory import Memory
from scheduler.executors.connectors.connectors import KIND
from scheduler.executors.kubernetes.links import log_links
from scheduler.models import ConnectorJob, Execution, NodeExecution, Task, TaskExecution
from scheduler.phases import NODE_TERMINAL, AttemptPhase, NodePhase
from scheduler.shell.rows import mapped_task

# A node's phase as the phase of the one attempt a map is shown as.
_MAP_PHASES = {
    NodePhase.QUEUED: AttemptPhase.QUEUED,
    NodePhase.SUCCEEDED: AttemptPhase.SUCCEEDED,
    NodePhase.RECOVERED: AttemptPhase.SUCCEEDED,
    NodePhase.FAILED: AttemptPhase.FAILED,
    NodePhase.TIMED_OUT: AttemptPhase.FAILED,
    NodePhase.ABORTED: AttemptPhase.ABORTED,
}


def task_execution(
    row: TaskExecution, node: NodeExecution, execution: Execution, waits: str = "", job: ConnectorJob | None = None
) -> task_execution_pb2.TaskExecution:
    """`waits`: why, with the numbers of now, where it does; `job`: at a connector, where it is one."""
    reason = waits or row.reason
    closure = task_execution_pb2.TaskExecutionClosure(
        phase=_phase(row.phase),  # type: ignore[arg-type]
        logs=_logs(row, node, execution, job),
        custom_info=json_format.ParseDict(job.info, struct_pb2.Struct()) if job is not None and job.info else None,
        created_at=timestamp(row.created_at),
        started_at=timestamp(row.started_at),
        updated_at=timestamp(row.updated_at),
        duration=duration(row.started_at, row.ended_at),
        reason=reason,
        task_type=_task_type(row),
        metadata=event_pb2.TaskExecutionMetadata(
            generated_name=row.name,
            plugin_identifier=row.executor,
            instance_class=int(row.interruptible),  # type: ignore[arg-type]
        ),
        event_version=1,
    )
    if reason:
        closure.reasons.add(occurred_at=timestamp(row.updated_at), message=reason)
    if (error := execution_error(row.error)) is not None:
        closure.error.CopyFrom(error)
    elif row.output_uri:
        closure.output_uri = row.output_uri
    return task_execution_pb2.TaskExecution(
        id=_id(row.task, node, execution, row.attempt),
        input_uri=row.command.get("inputs_uri", "") or node.input_uri,
        closure=closure,
        is_parent=node.is_dynamic and bool(node.dynamic_uri),
    )


def map_execution(
    items: Sequence[TaskExecution],
    node: NodeExecution,
    execution: Execution,
    waits: str = "",
    jobs: Mapping[int, ConnectorJob] = MappingProxyType({}),
) -> task_execution_pb2.TaskExecution | None:
    """A map as Flyte shows it: one attempt, whose external resources are the attempts at each item, and the items that
    needed none. None if no item was begun. `jobs`: those at connectors, by attempt."""
    resources = [*(_item(item, node, execution, jobs.get(item.pk)) for item in items), *_reused(items, node)]
    template = None if items else mapped_task(execution, node)
    if not resources or not (items or template):
        return None
    ended = node.ended_at if node.phase in NODE_TERMINAL else None
    closure = task_execution_pb2.TaskExecutionClosure(
        phase=int(_MAP_PHASES.get(NodePhase(node.phase), AttemptPhase.RUNNING)),  # type: ignore[arg-type]
        created_at=timestamp(node.created_at),
        started_at=timestamp(node.started_at),
        updated_at=timestamp(node.updated_at),
        reason=waits,
        duration=duration(node.started_at, ended),
        task_type=template.type if template is not None else _task_type(items[0]),
        metadata=event_pb2.TaskExecutionMetadata(
            generated_name=node.node_id,
            plugin_identifier=items[0].executor if items else "",
            external_resources=resources,
        ),
        event_version=1,
    )
    if (error := execution_error(node.error)) is not None:
        closure.error.CopyFrom(error)
    elif node.output_uri:
        closure.output_uri = node.output_uri
    identifier = _id(items[0].task if items else None, node, execution, 0)
    if template is not None:
        identifier.task_id.CopyFrom(template.id)
    return task_execution_pb2.TaskExecution(id=identifier, input_uri=node.input_uri, closure=closure)


def _item(
    row: TaskExecution, node: NodeExecution, execution: Execution, job: ConnectorJob | None
) -> event_pb2.ExternalResourceInfo:
    return event_pb2.ExternalResourceInfo(
        external_id=row.name,
        index=row.index,
        retry_attempt=row.attempt,
        phase=_phase(row.phase),  # type: ignore[arg-type]
        logs=_logs(row, node, execution, job),
    )


def _reused(items: Sequence[TaskExecution], node: NodeExecution) -> Iterator[event_pb2.ExternalResourceInfo]:
    """The items without an attempt of their own whose outputs were found, in the cache or in what is recovered."""
    known = Memory.unpack(node.state.get("memory", {})).items
    if known is None or not known.reused:
        return
    tried = {item.index for item in items} | {int(index) for index in known.resting}
    for index in range(known.next):
        if index not in tried:
            yield event_pb2.ExternalResourceInfo(
                index=index,
                phase=int(AttemptPhase.SUCCEEDED),  # type: ignore[arg-type]
                cache_status=catalog_pb2.CACHE_HIT,
            )


def _id(
    task: Task | None, node: NodeExecution, execution: Execution, attempt: int
) -> identifier_pb2.TaskExecutionIdentifier:
    return identifier_pb2.TaskExecutionIdentifier(
        task_id=identifier(task) if task is not None else None,
        node_execution_id=node_id(node, execution),
        retry_attempt=attempt,
    )


def _phase(phase: int) -> int:
    """flytekit 1.16 does not know RETRYABLE_FAILED; Flyte shows such attempts as FAILED too."""
    return int(AttemptPhase.FAILED if phase == AttemptPhase.RETRYABLE_FAILED else phase)


def _task_type(row: TaskExecution) -> str:
    return row.task.type if row.task is not None else str(row.command.get("task_type", ""))


def _logs(
    row: TaskExecution, node: NodeExecution, execution: Execution, job: ConnectorJob | None
) -> list[execution_pb2.TaskLog]:
    """A link to the console's log page, where the reader's rights are checked; then those of other systems."""
    others = [execution_pb2.TaskLog(uri=uri, name=name) for name, uri in (*log_links(row), *links_of(job))]
    if not row.log_uri or row.executor == KIND:
        return others
    suffix = f"{row.attempt}" if row.index < 0 else f"{row.attempt}-{row.index}"
    uri = f"{settings.CAUSEWAY_PUBLIC_URL}/executions/{execution.key}/nodes/{node.node_id}/logs/{row.id}/"
    own = execution_pb2.TaskLog(uri=uri, name=f"Log of attempt {suffix}")
    return [own, *others]
