"""What others outside are told of a change of phase, noted with it: notifications, and OpenLineage run events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from flyteidl.core import execution_pb2

from lineage.actions.export import note
from lineage.models import RunEventType
from scheduler.models import Execution, NodeExecution
from scheduler.notifications.outbox import note_phases
from scheduler.phases import ExecutionPhase

EVENTS = {
    ExecutionPhase.RUNNING: RunEventType.START,
    ExecutionPhase.SUCCEEDED: RunEventType.COMPLETE,
    ExecutionPhase.FAILED: RunEventType.FAIL,
    ExecutionPhase.TIMED_OUT: RunEventType.FAIL,
    ExecutionPhase.ABORTED: RunEventType.ABORT,
}


def tell(moves: Sequence[tuple[Execution, ExecutionPhase]], *, at: datetime) -> None:
    """In the transaction that moved each of the executions to its phase."""
    note_phases(moves, at=at)
    if settings.CAUSEWAY_OPENLINEAGE_URL:
        for execution, phase in moves:
            _tell_lineage(execution, phase, at=at)


def _tell_lineage(execution: Execution, phase: ExecutionPhase, *, at: datetime) -> None:
    kind = EVENTS.get(phase)
    if kind is None:
        return
    if kind is not RunEventType.START and execution.started_at is None:  # it ended before it began: still a run
        note(execution.key, RunEventType.START, at=at, facts=_facts(execution))
    note(execution.key, kind, at=at, facts=_facts(execution), error=_error(execution) if phase in _UNHAPPY else "")


_UNHAPPY = (ExecutionPhase.FAILED, ExecutionPhase.TIMED_OUT, ExecutionPhase.ABORTED)


def _error(execution: Execution) -> str:
    if execution.phase == ExecutionPhase.ABORTED:
        return f"aborted by {execution.aborted_by or 'somebody'}: {execution.abort_cause}"
    error = execution_pb2.ExecutionError.FromString(bytes(execution.error or b""))
    return f"{error.code}: {error.message}" if error.code else error.message


def _facts(execution: Execution) -> dict[str, object]:
    facts: dict[str, object] = {"job": _job(execution), "owner": execution.principal}
    if execution.parent_node_id is not None:
        node = NodeExecution.objects.select_related("execution").get(pk=execution.parent_node_id)
        facts |= {"parent": node.execution.key, "parent_job": _job(node.execution)}
    return facts


def _job(execution: Execution) -> str:
    name, version = (
        type(execution).objects.filter(pk=execution.pk).values_list("workflow__name", "workflow__version").get()
    )
    return f"workflow:{name}@{version}"
