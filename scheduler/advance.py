"""Advancing an execution: the imperative shell around the engine.

Under the execution's lock: gather what happened, let the engine decide, do what it commands, feed the answers back
until nothing follows, write everything in one transaction. Whoever finds it being evaluated leaves: the holder looks
for news once more after its commit, so that nothing is missed between its last look and the release of the lock.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import connection, transaction
from django.db.utils import IntegrityError, OperationalError
from django.utils import timezone

from scheduler.attempts import validators
from scheduler.models import EndedChild, Execution, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, EXECUTION_TERMINAL
from scheduler.quotas import admission
from scheduler.shell import breakdown
from scheduler.shell.ends import after_end
from scheduler.shell.flush import flush
from scheduler.shell.gather import gather
from scheduler.shell.perform import perform
from scheduler.shell.reuse import write_entries
from scheduler.shell.turn import Turn
from scheduler.statements import HeldElsewhere, lock_and_ask
from scheduler.transitions import StaleTransition
from scheduler.wake import wake_admission, wake_execution_at

logger = logging.getLogger(__name__)

MAX_TURNS = 1000  # then the sweep goes on with it: one busy execution must not hold a worker for ever
MAX_COLLISIONS = 5
HELD_PAUSE = timedelta(seconds=1)

_PENDING = """
    SELECT EXISTS (
        SELECT 1 FROM scheduler_taskexecution WHERE execution_id = %s AND NOT handled AND phase = ANY(%s)
    ) OR EXISTS (
        SELECT 1 FROM scheduler_execution WHERE id = %s AND (dirty OR wake_at <= %s)
    )
"""


def advance(execution_id: int) -> None:
    """Take everything into account that has happened to the execution. Harmless to call at any time, by anybody."""
    collisions = 0
    for _ in range(MAX_TURNS):
        try:
            if not take_turn(execution_id):
                return
        except HeldElsewhere as held:
            logger.warning("execution %s: later: %s", execution_id, held)
            wake_execution_at(execution_id, timezone.now() + HELD_PAUSE)
            return
        except (StaleTransition, IntegrityError, OperationalError) as error:
            collisions += 1
            logger.warning("execution %s: evaluated again: %s", execution_id, error)
            if collisions >= MAX_COLLISIONS:
                breakdown.note(execution_id, error)
                raise
        except Exception as error:
            breakdown.note(execution_id, error)
            raise
        if not is_pending(execution_id):
            return


def is_pending(execution_id: int) -> bool:
    """By this process's clock, as the evaluation goes by it: the database's may be ahead."""
    with connection.cursor() as cursor:
        cursor.execute(_PENDING, [execution_id, sorted(ATTEMPT_TERMINAL), execution_id, timezone.now()])
        return bool(cursor.fetchone()[0])


def take_turn(execution_id: int) -> bool:
    """One transaction. False if somebody else holds the execution, or it does not exist."""
    with transaction.atomic():
        execution, has_quotas = lock_and_ask(Execution, execution_id, admission.HAS_QUOTAS)
        if execution is None:
            return False
        if admission.is_new(execution) and (execution.waits_since or has_quotas) and admission.keeps_waiting(execution):
            return True
        if execution.phase in EXECUTION_TERMINAL:
            _tidy(execution)
            return True
        turn = Turn(execution, timezone.now())
        with turn.literals.settled():
            events = gather(turn)
            while events:
                events = perform(turn, turn.evaluate(events))
            flush(turn)
        write_entries(turn)
        validators.keep(execution, turn.decks, turn.authority)
        if execution.phase in EXECUTION_TERMINAL:
            after_end(execution)
            if has_quotas and not execution.is_part:
                wake_admission()
    return True


def _tidy(execution: Execution) -> None:
    """Reports that came after the end: seen, and of no consequence."""
    TaskExecution.objects.filter(execution_id=execution.pk, handled=False, phase__in=sorted(ATTEMPT_TERMINAL)).update(
        handled=True
    )
    EndedChild.objects.filter(parent_id=execution.pk).delete()
    if execution.dirty or execution.wake_at is not None:
        Execution.objects.filter(pk=execution.pk).update(dirty=False, wake_at=None)
