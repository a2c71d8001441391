"""What executors do to attempts. Every move is compare-and-set under a row lock; late and repeated reports are ignored.

A terminal attempt with handled=False is the engine's inbox: reports leave it so and wake the execution after commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from flyteidl.core import execution_pb2

from scheduler.actions.attempt_moves import move
from scheduler.executors.base import Ended, Outcome, Started
from scheduler.executors.resources import Resources
from scheduler.messages import bounded
from scheduler.models import ExecutorInstance, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.shell.statements import select
from scheduler.transitions import nodes_running
from scheduler.uris import log_of
from scheduler.wake import wake_execution, wake_executor

LOOK_AHEAD = 64  # queued attempts looked at in one claim
PATIENCE = timedelta(seconds=30)  # an attempt that has waited longer is not overtaken by smaller ones
TELL_AFTER = timedelta(seconds=1)  # one that waits for less need not say what for
WAITING = frozenset({AttemptPhase.QUEUED, AttemptPhase.WAITING_FOR_RESOURCES})
HELD = frozenset({AttemptPhase.INITIALIZING, AttemptPhase.RUNNING})
# Without locks: what others take meanwhile, the move into the next phase finds out.
CANDIDATES = """
SELECT id, resources, created_at, reason FROM scheduler_taskexecution
WHERE executor = %s AND phase = %s ORDER BY priority DESC, id LIMIT %s
"""
FAR = 1000  # queued attempts among which those that ask for something else are looked for
FURTHER_CANDIDATES = f"""
SELECT * FROM ({CANDIDATES}) AS queued WHERE resources <> ALL(%s::jsonb[]) LIMIT %s
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Claim:
    rows: list[TaskExecution]
    more: bool  # whether attempts stay queued that may fit once something has ended


def claim(
    executor: str, instance: str, free: Resources, total: Resources, *, now: datetime, default_cpu: float = 0.0
) -> Claim:
    """Take queued attempts that fit into `free`, by priority and age: INITIALIZING and committed.

    One that could never fit into `total` fails at once with a user error. One that has to wait for room says so in its
    reason; small ones may overtake it. Once it has waited for PATIENCE, they may only with what it does not need: what
    it is short of is kept for it as others end. So a wait for a GPU does not keep tasks without one from running.
    """
    with transaction.atomic():
        round_ = _Round(instance, free, total, now=now, default_cpu=default_cpu)
        queued = _queued(executor)
        round_.sort(queued)
        more = len(queued) == LOOK_AHEAD
        if more and round_.waiting and round_.free.cpu > 0:
            # Behind many that wait for the same, others may fit.
            queued = _queued(executor, without=sorted(round_.shapes))
            round_.sort(queued)
        for words, pks in round_.waiting.items():
            if unsaid := [pk for pk in pks if round_.reasons.get(pk, words) != words]:
                TaskExecution.objects.filter(pk__in=unsaid, phase=AttemptPhase.QUEUED).update(reason=words)
        taken = _take(round_.fitting, instance, now=now) if round_.fitting else []
        return Claim(taken, more or bool(round_.waiting))


def _queued(executor: str, *, without: Sequence[str] = ()) -> list[tuple[int, str, datetime, str]]:
    """The next in the queue; `without`: not those that ask for just these resources (JSON), as far as FAR goes."""
    phase = AttemptPhase.QUEUED.value
    with connection.cursor() as cursor:
        if without:
            cursor.execute(FURTHER_CANDIDATES, [executor, phase, FAR, list(without), LOOK_AHEAD])
        else:
            cursor.execute(CANDIDATES, [executor, phase, LOOK_AHEAD])
        found: list[tuple[int, str, datetime, str]] = cursor.fetchall()
    return found


class _Round:
    """One look at the queue: which attempts fit, and which wait for what."""

    def __init__(self, instance: str, free: Resources, total: Resources, *, now: datetime, default_cpu: float) -> None:
        self.instance, self.free, self.total, self.now = instance, free, total, now
        self.default_cpu = min(default_cpu, total.cpu)
        self.fitting: list[int] = []
        self.waiting: dict[str, list[int]] = {}
        self.reasons: dict[int, str] = {}  # of those that wait long enough to say what for: what they say so far
        self.shapes: set[str] = set()  # the resources (JSON) that those that wait ask for

    def sort(self, queued: Iterable[tuple[int, str, datetime, str]]) -> None:
        for pk, resources, created_at, reason in queued:
            try:
                needs = Resources.parse(json.loads(resources), default_cpu=self.default_cpu, within=self.total)
            except (TypeError, ValueError, AttributeError, OverflowError) as error:  # it must not keep others waiting
                _end([Ended(pk, _unreadable(error), self.now)], actor=self.instance)
                continue
            if lacking := self.total.lacking(needs):
                _end([Ended(pk, too_large_for_machine(lacking), self.now)], actor=self.instance)
            elif lacking := self.free.lacking(needs):
                self._wait(pk, needs, lacking, waited=self.now - created_at, reason=reason)
                self.shapes.add(resources)
            else:
                self.free -= needs
                self.fitting.append(pk)

    def _wait(self, pk: int, needs: Resources, lacking: list[str], *, waited: timedelta, reason: str) -> None:
        # Only what is short, not how much is free: so that a waiting row is written once.
        words = f"waiting for {', '.join(one.partition(' of ')[0] for one in lacking)}"
        self.waiting.setdefault(words, []).append(pk)
        if waited > TELL_AFTER:
            self.reasons[pk] = reason
        if waited > PATIENCE:
            self.free = self.free.reserved(needs)


def _take(ids: list[int], instance: str, *, now: datetime) -> list[TaskExecution]:
    """Those of the queued attempts that no other executor was faster to take."""
    rows = select(TaskExecution, "id = ANY(%s) ORDER BY priority DESC, id", [ids])
    for row in rows:
        row.claimed_by, row.log_uri = instance, row.log_uri or log_uri(row)
        row.phase = AttemptPhase.INITIALIZING
    fields = ("phase", "claimed_by", "log_uri")
    reports = [{"id": row.pk, "at": now, **{name: getattr(row, name) for name in fields}} for row in rows]
    taken = {moved.id for moved in move(reports, actor=instance)}
    return [row for row in rows if row.pk in taken]


def log_uri(row: TaskExecution) -> str:
    return log_of(str(row.command.get("output_prefix", "")), row.index, otherwise=row.name)


def too_large_for_machine(lacking: Sequence[str]) -> Outcome:
    message = f"the task asks for more than this machine has: {', '.join(lacking)}"
    error = execution_pb2.ExecutionError(
        code="ResourcesUnavailable", message=message, kind=execution_pb2.ExecutionError.USER
    )
    return Outcome(AttemptPhase.FAILED, reason=message, error=error.SerializeToString())


def _unreadable(error: Exception) -> Outcome:
    message = f"what the attempt asks for cannot be read: {error}"
    told = execution_pb2.ExecutionError(
        code="ResourcesUnreadable", message=message, kind=execution_pb2.ExecutionError.SYSTEM
    )
    return Outcome(AttemptPhase.FAILED, reason=message, error=told.SerializeToString())


def report_running(reports: Sequence[Started], *, actor: str) -> int:
    """INITIALIZING -> RUNNING for each; returns how many moved. The engine is not woken: it waits for ends."""
    with transaction.atomic():
        moved = move([_start(report) for report in reports], actor=actor)
        if moved:
            nodes_running((row.node_id for row in moved), at=max(report.at for report in reports), actor=actor)
    return len(moved)


def _start(report: Started) -> dict[str, Any]:
    return {
        "id": report.attempt_id,
        "phase": AttemptPhase.RUNNING,
        "at": report.at,
        "handle": report.handle,
        "started_at": report.at,
        "reason": "",
    }


def report_ends(reports: Iterable[Ended], *, actor: str) -> int:
    """Write the ends down in one transaction and wake the executions; returns how many were news."""
    with transaction.atomic():
        return _end(list(reports), actor=actor)


def report_end(report: Ended, *, actor: str) -> bool:
    return bool(report_ends([report], actor=actor))


def request_cancel(attempts: Iterable[TaskExecution], *, cause: str, actor: str, now: datetime) -> None:
    """Stop attempts: one that waits is ABORTED at once, one that an executor holds when it has stopped it."""
    ids = [attempt.pk for attempt in attempts]
    with transaction.atomic():
        rows = list(TaskExecution.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
        outcome = Outcome(AttemptPhase.ABORTED, reason=cause)
        _end([Ended(row.pk, outcome, now) for row in rows if row.phase in WAITING], actor=actor)
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
        rows = rows.order_by("pk")  # as all that lock attempts do
        return _end([Ended(row.pk, machine_lost(row.claimed_by), now) for row in rows], actor=actor)


def machine_lost(instance: str) -> Outcome:
    message = f"the machine that ran this attempt ({instance}) has not been heard of for too long"
    error = execution_pb2.ExecutionError(code="ExecutorLost", message=message, kind=execution_pb2.ExecutionError.SYSTEM)
    return Outcome(AttemptPhase.FAILED, reason=message, error=error.SerializeToString(), retryable=True)


def _end(ends: Sequence[Ended], *, actor: str) -> int:
    moved = move(
        [
            {
                "id": end.attempt_id,
                "phase": end.outcome.phase,
                "at": end.at,
                "reason": bounded(end.outcome.reason),
                "error": end.outcome.error,
                "error_retryable": end.outcome.retryable,
                "output_uri": end.outcome.output_uri,
                "deck_uri": end.outcome.deck_uri,
                "started_at": end.started_at,
                "ended_at": end.at,
            }
            for end in ends
        ],
        actor=actor,
    )
    for execution_id in sorted({row.execution_id for row in moved}):
        wake_execution(execution_id)
    return len(moved)
