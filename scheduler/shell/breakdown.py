"""An execution whose evaluation itself breaks must not hang for ever: after some tries it fails with a system error."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from flyteidl.core import execution_pb2

from scheduler.actions.attempts import request_cancel
from scheduler.models import Execution, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, EXECUTION_TERMINAL, ExecutionPhase
from scheduler.shell.ends import after_end
from scheduler.shell.statements import lock
from scheduler.shell.turn import ACTOR
from scheduler.transitions import move_execution

logger = logging.getLogger(__name__)

TRIES = 3
TRANSIENT = (InterfaceError, OperationalError, OSError)  # of the surroundings: they pass, or an operator sees to them


def note(execution_id: int, error: Exception) -> None:
    """Count the breakdown; fail the execution at the third one that is not the surroundings' fault."""
    if isinstance(error, TRANSIENT):
        return
    with transaction.atomic():
        execution = lock(Execution, execution_id)
        if execution is None or execution.phase in EXECUTION_TERMINAL:
            return
        tries = int(execution.counters.get("breakdowns", 0)) + 1
        if tries < TRIES:
            counters = {**execution.counters, "breakdowns": tries}
            Execution.objects.filter(pk=execution.pk).update(counters=counters, dirty=True)
            return
        _give_up(execution, error)


def _give_up(execution: Execution, error: Exception) -> None:
    logger.error("execution %s: given up after %d breakdowns", execution.key, TRIES)
    running = TaskExecution.objects.filter(execution_id=execution.pk).exclude(phase__in=sorted(ATTEMPT_TERMINAL))
    request_cancel(list(running), cause="the execution broke down", actor=ACTOR, now=timezone.now())
    kinds = execution_pb2.ExecutionError
    message = f"Causeway could not evaluate this execution: {type(error).__name__}: {error}"
    failure = kinds(code="EvaluationBrokeDown", message=message, kind=kinds.SYSTEM)
    to = ExecutionPhase.ABORTED if execution.phase == ExecutionPhase.ABORTING else ExecutionPhase.FAILED
    move_execution(
        execution,
        to,
        at=timezone.now(),
        reason="EvaluationBrokeDown",
        actor=ACTOR,
        error=failure.SerializeToString(),
        dirty=False,
        wake_at=None,
    )
    after_end(execution)
