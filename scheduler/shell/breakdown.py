"""An execution whose evaluation itself breaks must not hang for ever: after some tries it fails with a system error."""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from flyteidl.core import execution_pb2

from scheduler.attempts.reports import request_cancel
from scheduler.models import Execution, Gate, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, EXECUTION_TERMINAL, ExecutionPhase
from scheduler.shell.ends import after_end
from scheduler.shell.turn import ACTOR
from scheduler.statements import HeldElsewhere, lock
from scheduler.transitions import move_execution, nodes_aborted

logger = logging.getLogger(__name__)

TRIES = 3
DATABASE = (InterfaceError, OperationalError)  # nothing can be written down meanwhile, and nothing is lost
STORE = (OSError, BotoCoreError, ClientError)  # full, read-only or away: it may pass
PATIENCE = timedelta(minutes=2)  # with the store; after that people learn of it from their executions
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def note(execution_id: int, error: Exception) -> None:
    """Count the breakdown. The execution fails at the third one, or when the store has failed it for too long.

    What is counted lies in the row's counters; the next evaluation that works writes them anew without it.
    """
    if isinstance(error, DATABASE):
        return
    with suppress(HeldElsewhere), transaction.atomic():
        execution = lock(Execution, execution_id)
        if execution is None or execution.phase in EXECUTION_TERMINAL:
            return
        tries = int(execution.counters.get("breakdowns", 0)) + (not isinstance(error, STORE))
        now = timezone.now()
        since = str(execution.counters.get("store_fails_since") or now.isoformat())
        if tries >= TRIES or now - datetime.fromisoformat(since) >= PATIENCE:
            _give_up(execution, error)
            return
        counters = {**execution.counters, "breakdowns": tries}
        if isinstance(error, STORE):
            counters["store_fails_since"] = since
        Execution.objects.filter(pk=execution.pk).update(counters=counters, dirty=True)


def _give_up(execution: Execution, error: Exception) -> None:
    failure = _failure(error)
    logger.error("execution %s: given up: %s", execution.key, failure.message)
    now = timezone.now()
    running = TaskExecution.objects.filter(execution_id=execution.pk).exclude(phase__in=sorted(ATTEMPT_TERMINAL))
    request_cancel(list(running), cause="the execution broke down", actor=ACTOR, now=now)
    nodes_aborted(execution.pk, at=now, reason=failure.code, actor=ACTOR)  # the sweep aborts their child executions
    Gate.objects.filter(execution=execution, decided_at__isnull=True).update(waiting_since=None)
    to = ExecutionPhase.ABORTED if execution.phase == ExecutionPhase.ABORTING else ExecutionPhase.FAILED
    move_execution(
        execution,
        to,
        at=now,
        reason=failure.code,
        actor=ACTOR,
        error=failure.SerializeToString(),
        dirty=False,
        wake_at=None,
    )
    after_end(execution)


def _failure(error: Exception) -> execution_pb2.ExecutionError:
    code, what = "EvaluationBrokeDown", "Causeway could not evaluate this execution"
    if isinstance(error, STORE):
        full = isinstance(error, OSError) and error.errno in DISK_FULL
        code = "DiskFull" if full else "StoreUnavailable"
        what = f"the object store could not be written or read for {PATIENCE}"
    message = f"{what}: {type(error).__name__}: {error}"
    return execution_pb2.ExecutionError(code=code, message=message, kind=execution_pb2.ExecutionError.SYSTEM)
