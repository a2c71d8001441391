"""What executors do to attempts. Every move is compare-and-set under a row lock; late and repeated reports are ignored.

A terminal attempt with handled=False is the engine's inbox: reports leave it so and wake the execution after commit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from flyteidl.core import execution_pb2

from scheduler.executors.base import Ended, Outcome, Started
from scheduler.executors.resources import Resources
from scheduler.models import ExecutorInstance, PhaseEvent, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, ATTEMPT_TRANSITIONS, AttemptPhase, Machine
from scheduler.transitions import nodes_running
from scheduler.wake import wake_execution, wake_executor

logger = logging.getLogger(__name__)

LOOK_AHEAD = 64  # queued attempts looked at in one claim
PATIENCE = timedelta(seconds=30)  # an attempt that has waited longer is not overtaken by smaller ones
WAITING = frozenset({AttemptPhase.QUEUED, AttemptPhase.WAITING_FOR_RESOURCES})
HELD = frozenset({AttemptPhase.INITIALIZING, AttemptPhase.RUNNING})


def claim(
    executor: str, instance: str, free: Resources, total: Resources, *, now: datetime, default_cpu: float = 0.0
) -> list[TaskExecution]:
    """Take queued attempts that fit into `free`, by priority and age, and return them INITIALIZING and committed.

    One that could never fit into `total` fails at once with a user error. One that has to wait for room says so in its
    reason; small ones may overtake it, but not for ever.
    """
    with transaction.atomic():
        queued = (
            TaskExecution.objects.select_for_update(skip_locked=True)
            .filter(executor=executor, phase=AttemptPhase.QUEUED)
            .order_by("-priority", "id")[:LOOK_AHEAD]
        )
        taken: list[TaskExecution] = []
        too_large: list[tuple[TaskExecution, Outcome]] = []
        for row in queued:
            needs = Resources.parse(row.resources, default_cpu=min(default_cpu, total.cpu))
            if lacking := total.lacking(needs):
                too_large.append((row, too_large_for_machine(lacking)))
            elif lacking := free.lacking(needs):
                _say_waiting(row, lacking)
                if now - row.created_at > PATIENCE:
                    break
            else:
                free -= needs
                row.claimed_by = instance
                row.log_uri = row.log_uri or log_uri(row)
                taken.append(row)
        _move(taken, AttemptPhase.INITIALIZING, at=now, actor=instance, fields=["claimed_by", "log_uri"])
        _end(too_large, at=now, actor=instance)
    return taken


def log_uri(row: TaskExecution) -> str:
    """Like the output prefix: outputs in `metadata/p/d/e/n0/0/3`, the log in `logs/p/d/e/n0/0-3.log`."""
    root = settings.CAUSEWAY_STORE_URL
    prefix, folder = str(row.command.get("output_prefix", "")), f"{root}/metadata/"
    place = prefix.removeprefix(folder) if prefix.startswith(folder) else row.name
    if row.index >= 0:
        place = place.removesuffix(f"/{row.index}") + f"-{row.index}"
    return f"{root}/logs/{place}.log"


def too_large_for_machine(lacking: Sequence[str]) -> Outcome:
    message = f"the task asks for more than this machine has: {', '.join(lacking)}"
    error = execution_pb2.ExecutionError(
        code="ResourcesUnavailable", message=message, kind=execution_pb2.ExecutionError.USER
    )
    return Outcome(AttemptPhase.FAILED, reason=message, error=error.SerializeToString())


def _say_waiting(row: TaskExecution, lacking: Sequence[str]) -> None:
    """The reason names only what is short, not how much is free, so that a waiting row is written once."""
    reason = f"waiting for {', '.join(words.partition(' of ')[0] for words in lacking)}"
    if row.reason != reason:
        TaskExecution.objects.filter(pk=row.pk).update(reason=reason)


def report_running(reports: Iterable[Started], *, actor: str) -> int:
    """INITIALIZING -> RUNNING for each; returns how many moved. The engine is not woken: it waits for ends."""
    started = {report.attempt_id: report for report in reports}
    with transaction.atomic():
        rows = _locked(started)
        for row in rows:
            row.handle, row.started_at, row.reason = started[row.pk].handle, started[row.pk].at, ""
        moved = _move(rows, AttemptPhase.RUNNING, actor=actor, fields=["handle", "started_at", "reason"])
        if moved:
            at = max(started[row.pk].at for row in moved)
            nodes_running((row.node_id for row in moved), at=at, actor=actor)
        return len(moved)


def report_ends(reports: Iterable[Ended], *, actor: str) -> int:
    """Write the ends down in one transaction and wake the executions; returns how many were news."""
    ended = {report.attempt_id: report for report in reports}
    with transaction.atomic():
        rows = _locked(ended)
        for row in rows:
            report = ended[row.pk]
            row.started_at = row.started_at or report.started_at
            row.ended_at = report.at
        return _end([(row, ended[row.pk].outcome) for row in rows], actor=actor)


def report_end(report: Ended, *, actor: str) -> bool:
    return bool(report_ends([report], actor=actor))


def request_cancel(attempts: Iterable[TaskExecution], *, cause: str, actor: str, now: datetime) -> None:
    """Stop attempts: one that waits is ABORTED at once, one that an executor holds when it has stopped it."""
    ids = [attempt.pk for attempt in attempts]
    with transaction.atomic():
        rows = list(TaskExecution.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
        outcome = Outcome(AttemptPhase.ABORTED, reason=cause)
        _end([(row, outcome) for row in rows if row.phase in WAITING], at=now, actor=actor)
        held = [row for row in rows if row.phase in HELD]
        TaskExecution.objects.filter(pk__in=[row.pk for row in held]).update(cancel_requested=True, reason=cause)
        for executor in {row.executor for row in held}:
            wake_executor(executor)


def held_by(instance: str) -> list[TaskExecution]:
    """The attempts an instance has claimed and not ended: what it has to adopt when it starts."""
    return list(TaskExecution.objects.filter(claimed_by=instance, phase__in=HELD).order_by("pk"))


def cancelled(instance: str) -> list[int]:
    """Ids of the attempts this instance holds and should stop."""
    rows = TaskExecution.objects.filter(claimed_by=instance, phase__in=HELD, cancel_requested=True)
    return list(rows.values_list("pk", flat=True))


def heartbeat(instance: str, executor: str, capacity: Resources, *, now: datetime, starting: bool = False) -> None:
    """Say that the instance is alive."""
    defaults = {"executor": executor, "capacity": capacity.as_json(), "seen_at": now}
    first = {"started_at": now} if starting else {}
    ExecutorInstance.objects.update_or_create(
        name=instance, defaults={**defaults, **first}, create_defaults={**defaults, "started_at": now}
    )


def expire_lost(executor: str, *, now: datetime, silent_for: timedelta, actor: str) -> int:
    """End the attempts of instances unheard of for so long as retryable system failures.

    Only for machines that are gone: an instance that comes back adopts its attempts, whatever the time it was away.
    """
    silent = ExecutorInstance.objects.filter(executor=executor, seen_at__lt=now - silent_for)
    gone = list(silent.values_list("name", flat=True))
    with transaction.atomic():
        rows = TaskExecution.objects.select_for_update().filter(claimed_by__in=gone, phase__in=HELD)
        outcomes = [(row, machine_lost(row.claimed_by)) for row in rows]
        return _end(outcomes, at=now, actor=actor)


def machine_lost(instance: str) -> Outcome:
    message = f"the machine that ran this attempt ({instance}) has not been heard of for too long"
    error = execution_pb2.ExecutionError(code="ExecutorLost", message=message, kind=execution_pb2.ExecutionError.SYSTEM)
    return Outcome(AttemptPhase.FAILED, reason=message, error=error.SerializeToString(), retryable=True)


def _locked(ids: Iterable[int]) -> list[TaskExecution]:
    """Rows in id order, so that two reporters cannot deadlock."""
    return list(TaskExecution.objects.select_for_update().filter(pk__in=list(ids)).order_by("pk"))


def _end(outcomes: Sequence[tuple[TaskExecution, Outcome]], *, actor: str, at: datetime | None = None) -> int:
    for row, outcome in outcomes:
        row.reason, row.error, row.error_retryable = outcome.reason, outcome.error, outcome.retryable
        row.output_uri, row.deck_uri = outcome.output_uri, outcome.deck_uri
        row.ended_at = at or row.ended_at
    fields = ["reason", "error", "error_retryable", "output_uri", "deck_uri", "started_at", "ended_at"]
    moved: list[TaskExecution] = []
    for phase in sorted({outcome.phase for _, outcome in outcomes}):
        rows = [row for row, outcome in outcomes if outcome.phase == phase]
        moved += _move(rows, phase, actor=actor, fields=fields)
    for execution_id in sorted({row.execution_id for row in moved}):
        wake_execution(execution_id)
    return len(moved)


def _move(
    rows: Sequence[TaskExecution], to: AttemptPhase, *, actor: str, fields: list[str], at: datetime | None = None
) -> list[TaskExecution]:
    """The one place that writes an attempt's phase. The rows are locked; those that may not move are left out."""
    movable = [row for row in rows if to in ATTEMPT_TRANSITIONS[AttemptPhase(row.phase)]]
    if len(movable) < len(rows):
        late = sorted({row.name for row in rows} - {row.name for row in movable})
        logger.info("ignored reports of %s for attempts that are past it: %s", to.label, ", ".join(late))
    events = []
    for row in movable:
        moved_at = at or (row.ended_at if to in ATTEMPT_TERMINAL else row.started_at) or row.updated_at
        events.append(
            PhaseEvent(
                execution_id=row.execution_id,
                machine=Machine.ATTEMPT,
                object_id=row.pk,
                from_phase=row.phase,
                to_phase=to,
                at=moved_at,
                reason=row.reason,
                actor=actor,
            )
        )
        row.phase, row.updated_at = to, moved_at
    TaskExecution.objects.bulk_update(movable, ["phase", "updated_at", *fields])
    PhaseEvent.objects.bulk_create(events)
    return movable
