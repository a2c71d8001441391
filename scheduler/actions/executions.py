"""What people do to executions that exist: abort, archive."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition
from audit.record import record
from scheduler.authority import SYSTEM
from scheduler.models import Execution
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase
from scheduler.transitions import move_execution
from scheduler.wake import wake_execution


def abort(execution: Execution, *, cause: str, actor: str) -> Execution:
    """Ask for the execution and all that runs for it to be stopped; the engine ends it ABORTED with the cause.

    A second request changes nothing, the first cause stands. FailedPrecondition if the execution has ended.
    """
    with transaction.atomic():
        row = Execution.objects.select_for_update(of=("self",), no_key=True).get(pk=execution.pk)
        if row.phase in EXECUTION_TERMINAL:
            label = ExecutionPhase(row.phase).name
            raise FailedPrecondition(f"execution {row.key} has ended already ({label}), there is nothing to abort")
        if row.phase != ExecutionPhase.ABORTING:
            move_execution(
                row,
                ExecutionPhase.ABORTING,
                at=timezone.now(),
                reason=cause,
                actor=actor,
                abort_cause=cause,
                aborted_by=actor,
                dirty=True,
            )
            if row.parent_node_id is None or not actor.startswith(SYSTEM):  # those of children go without saying
                record(actor, "execution.abort", row, detail={"cause": cause})
        wake_execution(row.pk)
    return row


def archive(execution: Execution, *, archived: bool = True, actor: str) -> Execution:
    """Leave the execution out of lists, or bring it back. It goes on as it did."""
    with transaction.atomic():
        Execution.objects.filter(pk=execution.pk).update(archived=archived, updated_at=timezone.now())
        record(actor, "execution.archive", execution, detail={"archived": archived})
    execution.archived = archived
    return execution
