"""Advancing an execution: the imperative shell around the engine.

Under the execution's lock: gather what happened, let the engine decide, do what it commands, feed the answers back
until nothing follows, write everything in one transaction. Whoever finds it being evaluated leaves: the holder looks
for news once more after its commit, so that nothing is missed between its last look and the release of the lock.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator
from contextlib import suppress
from datetime import timedelta
from typing import TypeAlias

from django.db import transaction
from django.db.utils import IntegrityError, OperationalError
from django.utils import timezone

from artifacts.arrays import column_of
from artifacts.prepared import prepared
from scheduler.attempts import validators
from scheduler.executors import registry
from scheduler.models import EndedChild, Execution, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, EXECUTION_TERMINAL
from scheduler.quotas import admission
from scheduler.shell import breakdown
from scheduler.shell.ends import after_end
from scheduler.shell.flush import flush
from scheduler.shell.gather import gather
from scheduler.shell.perform import perform
from scheduler.shell.prepare import Asked
from scheduler.shell.reuse import Want, look_up, write_entries
from scheduler.shell.turn import Turn
from scheduler.statements import HeldElsewhere, lock_and_ask
from scheduler.transitions import StaleTransition
from scheduler.wake import wake_admission, wake_execution_at

logger = logging.getLogger(__name__)
Steps: TypeAlias = Generator[list[Want], Asked | None, None]

MAX_TURNS = 1000  # then the sweep goes on with it: one busy execution must not hold a worker for ever
MAX_COLLISIONS = 5
HELD_PAUSE = timedelta(seconds=1)

_PENDING = f"""
    SELECT execution.id FROM unnest(%s::bigint[]) AS asked(id) JOIN scheduler_execution AS execution USING (id)
    WHERE execution.dirty OR execution.wake_at <= %s::timestamptz OR EXISTS (
        SELECT 1 FROM scheduler_taskexecution AS attempt
        WHERE attempt.execution_id = execution.id AND NOT attempt.handled
            AND attempt.phase IN ({", ".join(str(int(phase)) for phase in sorted(ATTEMPT_TERMINAL))})
    )
"""  # noqa: S608 - our own numbers


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
    """Whether there is news for it."""
    return bool(pending([execution_id]))


def pending(execution_ids: Collection[int]) -> set[int]:
    """Those for which there is news. By this process's clock, as the evaluation goes by it: the database's may be
    ahead."""
    if not execution_ids:
        return set()
    with prepared() as cursor:
        cursor.execute(_PENDING, [column_of(execution_ids), timezone.now().isoformat()])
        return {row[0] for row in cursor.fetchall()}


def take_turn(execution_id: int) -> bool:
    """One transaction. False if somebody else holds the execution, or it does not exist."""
    with transaction.atomic():
        questions = (admission.HAS_QUOTAS, *registry.questions())
        execution, (has_quotas, *told) = lock_and_ask(Execution, execution_id, *questions)
        if execution is None:
            return False
        if admission.is_new(execution) and (execution.waits_since or has_quotas) and admission.keeps_waiting(execution):
            return True
        if execution.phase in EXECUTION_TERMINAL:
            _tidy(execution)
            return True
        turn = Turn(execution, timezone.now(), told=told)
        with turn.literals.settled():
            _evaluate(turn)
            flush(turn)
        close(turn)
        if execution.phase in EXECUTION_TERMINAL and has_quotas and not execution.is_part:
            wake_admission()
    return True


def _evaluate(turn: Turn) -> None:
    """All that follows from what has happened, up to what is to be written."""
    steps, answer = evaluation(turn), None
    with suppress(StopIteration):
        while True:
            answer = look_up(turn, steps.send(answer))


def evaluation(turn: Turn) -> Steps:
    """As `_evaluate`; yields what is wanted of the cache."""
    events = gather(turn)
    while events:
        events = yield from perform(turn, turn.evaluate(events))


def close(*turns: Turn) -> None:
    """What is written when the turns are."""
    for turn in turns:
        write_entries(turn)
        validators.keep(turn.execution, turn.decks, turn.authority)
    after_end(*(turn.execution for turn in turns if turn.execution.phase in EXECUTION_TERMINAL))


def _tidy(execution: Execution) -> None:
    """Reports that came after the end: seen, and of no consequence."""
    TaskExecution.objects.filter(execution_id=execution.pk, handled=False, phase__in=sorted(ATTEMPT_TERMINAL)).update(
        handled=True
    )
    EndedChild.objects.filter(parent_id=execution.pk).delete()
    if execution.dirty or execution.wake_at is not None:
        Execution.objects.filter(pk=execution.pk).update(dirty=False, wake_at=None)
