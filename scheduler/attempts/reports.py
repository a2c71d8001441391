"""What executors report of attempts, written down. Every move is compare-and-set under a row lock; late and repeated
reports are ignored.

A terminal attempt with handled=False is the engine's inbox: reports leave it so and wake the execution after commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from flyteidl.core import execution_pb2

from scheduler.attempts import replicas, samples
from scheduler.attempts.moves import move, note, wait
from scheduler.attempts.observations import Accepted, Ended, Observation, Progress, Replicas, Running, Used, Waiting
from scheduler.attempts.outcomes import REASON, Outcome, aborted
from scheduler.attempts.phases import HELD, UNCLAIMED
from scheduler.messages import bounded
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.transitions import nodes_running
from scheduler.wake import wake_execution, wake_executor

LONGEST_REASON = 2_000  # characters of what a place says while an attempt waits


def report(observations: Sequence[Observation], *, actor: str) -> None:
    """Write down whatever was observed. Of an attempt that ended only its end counts, of one that runs not what it
    waited for before.
    """
    ended = ends_of(observations)
    others = [seen for seen in observations if seen.attempt_id not in ended]
    running = {seen.attempt_id: seen for seen in others if isinstance(seen, Running)}
    waiting = {seen.attempt_id: seen for seen in others if isinstance(seen, Waiting)}
    if parts := [seen for seen in observations if isinstance(seen, Replicas)]:
        replicas.keep(parts)
    if ended:
        report_ends(ended.values(), actor=actor)
    if running:
        report_running(list(running.values()), actor=actor)
    if waiting := {pk: seen for pk, seen in waiting.items() if pk not in running}:
        report_waiting(list(waiting.values()), actor=actor)
    if used := [seen for seen in others if isinstance(seen, Used)]:
        samples.keep(used)
    if known := [seen for seen in others if isinstance(seen, Accepted | Progress)]:
        report_known(known, actor=actor)


def ends_of(observations: Sequence[Observation]) -> dict[int, Ended]:
    """By attempt. Where it ran stays known of one whose start, not to be written any more, came together with its
    end.
    """
    ended = {seen.attempt_id: seen for seen in observations if isinstance(seen, Ended)}
    for seen in observations:
        if isinstance(seen, Accepted | Waiting | Running) and seen.handle and seen.attempt_id in ended:
            ended[seen.attempt_id] = replace(ended[seen.attempt_id], handle=seen.handle)
    return ended


def report_running(reports: Sequence[Running], *, actor: str) -> int:
    """To RUNNING for each; returns how many moved. The engine is not woken: it waits for ends."""
    with transaction.atomic():
        moved = move([_start(report) for report in reports], actor=actor)
        if moved:
            nodes_running((row.node_id for row in moved), at=max(report.at for report in reports), actor=actor)
    return len(moved)


def _start(report: Running) -> dict[str, Any]:
    return {
        "id": report.attempt_id,
        "phase": AttemptPhase.RUNNING,
        "at": report.at,
        "handle": report.handle,
        "started_at": report.at,
        "reason": "",
    }


def report_waiting(reports: Sequence[Waiting], *, actor: str) -> int:
    """What each waits for is its reason; of the same reason twice nothing is written. Returns how many were news."""
    return len(
        wait(
            [
                {
                    "id": report.attempt_id,
                    "phase": AttemptPhase.WAITING_FOR_RESOURCES if report.short else AttemptPhase.INITIALIZING,
                    "at": report.since,
                    "reason": bounded(report.reason)[:LONGEST_REASON],
                    "handle": report.handle,
                }
                for report in reports
            ],
            actor=actor,
        )
    )


def report_known(reports: Iterable[Accepted | Progress], *, actor: str) -> int:
    """What is learnt of attempts without a change of phase; returns how many there was news of."""
    latest: dict[int, dict[str, Any]] = {}
    for seen in reports:
        row = latest.setdefault(seen.attempt_id, {"id": seen.attempt_id, "phase": AttemptPhase.UNDEFINED, **_NOTHING})
        row["at"] = seen.at
        told = _known(seen)
        row.update({name: text for name, text in told.items() if text})
    return len(note(list(latest.values()), actor=actor))


_NOTHING = {"handle": "", "reason": "", "log_uri": "", "deck_uri": ""}


def _known(seen: Accepted | Progress) -> dict[str, str]:
    if isinstance(seen, Accepted):
        return {"handle": seen.handle}
    reason = bounded(seen.message)[:LONGEST_REASON]
    return {"reason": reason, "log_uri": seen.log_uri, "deck_uri": seen.deck_uri}


def report_ends(reports: Iterable[Ended], *, actor: str) -> int:
    """Write the ends down in one transaction and wake the executions; returns how many were news."""
    with transaction.atomic():
        return end_all(list(reports), actor=actor)


def request_cancel(attempts: Iterable[TaskExecution], *, cause: str, actor: str, now: datetime) -> None:
    """Stop attempts: one that waits is ABORTED at once, one that an executor holds when it has stopped it."""
    ids = [attempt.pk for attempt in attempts]
    with transaction.atomic():
        rows = list(TaskExecution.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
        end_all([Ended(row.pk, aborted(cause), now) for row in rows if row.phase in UNCLAIMED], actor=actor)
        held = [row for row in rows if row.phase in HELD]
        wanted = TaskExecution.objects.filter(pk__in=[row.pk for row in held])
        wanted.update(cancel_requested=True, reason=cause, error=None, error_retryable=False)
        for executor, cluster in {(row.executor, row.cluster) for row in held}:
            wake_executor(executor, cluster)


def end_all(ends: Sequence[Ended], *, actor: str) -> int:
    """As `report_ends`, inside a transaction of the caller. What was stopped to make room for another has failed."""
    ends = _with_verdicts(ends)
    moved = move(
        [
            {
                "id": end.attempt_id,
                "phase": end.outcome.phase,
                "at": end.at,
                "handle": end.handle,
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


def _with_verdicts(ends: Sequence[Ended]) -> list[Ended]:
    """What was aborted because another one needs what it held (scheduler.attempts.preemption) has its error already."""
    stopped = [end.attempt_id for end in ends if end.outcome.phase == AttemptPhase.ABORTED]
    if not stopped:
        return list(ends)
    rows = TaskExecution.objects.filter(pk__in=stopped, cancel_requested=True, error__isnull=False)
    verdicts = {pk: _preempted(bytes(error)) for pk, error in rows.values_list("pk", "error") if error is not None}
    return [replace(end, outcome=verdicts.get(end.attempt_id, end.outcome)) for end in ends]


def _preempted(error: bytes) -> Outcome:
    message = execution_pb2.ExecutionError.FromString(error).message
    return Outcome(AttemptPhase.FAILED, reason=message[:REASON], error=error, retryable=True)
