"""Celery tasks of the scheduler: each loads by id and calls one function. All are idempotent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib import import_module

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from artifacts.governance.data import judge_data
from artifacts.uploads import drop_abandoned
from lineage.actions.outside_retention import forget_outside
from scheduler.actions.retention import apply_all
from scheduler.advance import advance
from scheduler.advance_many import advance_together
from scheduler.happenings import handle
from scheduler.notifications.deliver import deliver_due, forget_settled
from scheduler.quotas.admission import admit
from scheduler.schedules.fire import fire_due
from scheduler.sweep import sweep_all
from scheduler.triggers.evaluate import AT_ONCE, evaluate_together, evaluate_version
from scheduler.triggers.evaluate_many import pass_by
from scheduler.triggers.queue import settle_queue
from scheduler.value_index import index_values
from scheduler.wake import Turn, continue_retention, one_turn

FORGETTING = 20.0  # seconds that retention takes for what other systems told

logger = logging.getLogger(__name__)


@shared_task
def advance_execution(execution_id: int) -> None:
    advance(execution_id)


@shared_task
def advance_executions(execution_ids: list[int]) -> None:
    advance_together(execution_ids)


@shared_task
def admit_executions() -> None:
    admit()


@shared_task
def evaluate_triggers(version_id: int) -> None:
    _with_what_follows(partial(evaluate_version, version_id))


@shared_task
def handle_happening(happening_id: int) -> None:
    _with_what_follows(partial(handle, happening_id))


def _with_what_follows(action: Callable[[], object]) -> None:
    """Do it, and what follows from it by happenings, each in a transaction of its own; then what it launched."""
    with one_turn() as turn:
        action()
        _handle_all(turn)
    for execution_id in turn.executions:
        advance(execution_id)


def _handle_all(turn: Turn) -> None:
    while turn.happenings:
        handle(turn.happenings[0])
        del turn.happenings[0]


@shared_task
def judge_data_of(version_id: int) -> None:
    judge_data(version_id)


@shared_task
def settle_trigger_queue(trigger_id: int) -> None:
    settle_queue(trigger_id)


@shared_task
def evaluate_triggers_of(version_ids: list[int]) -> None:
    """What they launch begins when all have been looked at: a burst is taken in before it is worked off."""
    left = pass_by(version_ids)
    if len(left) == 1:
        evaluate_triggers(left[0])
        return
    for start in range(0, len(left), AT_ONCE):
        with one_turn(gathers=True) as turn:
            evaluate_together(left[start : start + AT_ONCE])
            _handle_all(turn)


@shared_task
def sweep() -> None:
    """Catches what lost wake-ups left: dirty or due executions, unevaluated versions, silent executors."""
    sweep_all()


@shared_task
def deliver_notifications() -> None:
    deliver_due()


@shared_task
def apply_retention(after: int = 0) -> None:
    left = apply_all(after=after)
    if left is None:
        drop_abandoned()
        forget_settled()
        if settings.CAUSEWAY_OPENLINEAGE_DAYS:
            before = timezone.now() - timedelta(days=settings.CAUSEWAY_OPENLINEAGE_DAYS)
            forget_outside(before=before, seconds=FORGETTING)
    else:  # others have their turn first
        continue_retention(left)


@shared_task
def index_plain_values() -> None:
    index_values()


@shared_task
def send_traces() -> None:
    """What it needs is imported where traces are wanted."""
    sending = import_module("scheduler.traces.sending")
    try:
        sending.send_traces()
    except sending.NotTaken as error:
        logger.warning("traces wait: %s", error)


@shared_task
def fire_schedules() -> None:
    fire_due()
