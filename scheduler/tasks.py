"""Celery tasks of the scheduler: each loads by id and calls one function. All are idempotent."""

from __future__ import annotations

from celery import shared_task


@shared_task
def advance_execution(execution_id: int) -> None:
    from scheduler.advance import advance

    advance(execution_id)


@shared_task
def evaluate_triggers(version_id: int) -> None:
    from scheduler.advance import advance
    from scheduler.triggers.evaluate import evaluate_version
    from scheduler.wake import keeping_one_execution

    with keeping_one_execution() as launched:
        evaluate_version(version_id)
    for execution_id in launched:
        advance(execution_id)


@shared_task
def settle_trigger_queue(trigger_id: int) -> None:
    from scheduler.triggers.queue import settle_queue

    settle_queue(trigger_id)


@shared_task
def evaluate_triggers_of(version_ids: list[int]) -> None:
    from scheduler.triggers.evaluate_many import pass_by

    for version_id in pass_by(version_ids):
        evaluate_triggers(version_id)


@shared_task
def sweep() -> None:
    """Catches what lost wake-ups left: dirty or due executions, unevaluated versions, silent executors."""
    from scheduler.sweep import sweep_all

    sweep_all()


@shared_task
def deliver_notifications() -> None:
    from scheduler.notifications.deliver import deliver_due

    deliver_due()


@shared_task
def apply_retention(after: int = 0) -> None:
    from artifacts.uploads import drop_abandoned
    from scheduler.actions.retention import apply_all
    from scheduler.wake import continue_retention

    left = apply_all(after=after)
    if left is None:
        drop_abandoned()
    else:  # others have their turn first
        continue_retention(left)


@shared_task
def fire_schedules() -> None:
    from scheduler.schedules import fire_due

    fire_due()
