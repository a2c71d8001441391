"""Figures for operators that only grow: counted from what happened, by the sweep, once and for all processes.

Every happening leaves a PhaseEvent anyway, so nothing is written on the way of an execution: each sweep sums up the
events since the last one and adds them to `Figure`. Whoever serves the figures reads the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction

from artifacts import marks
from scheduler.models import Figure, FiguresMark
from scheduler.phases import ATTEMPT_TERMINAL, EXECUTION_TERMINAL, AttemptPhase, ExecutionPhase

COUNTING = (428, 16)  # advisory lock
MOST = 100_000  # events in one go
MAX_CODES = 100  # codes of failures with a row of their own; the rest are `other`
LATE_SECONDS = 5.0  # work that nobody took by then lost its wake-up
# Upper ends in seconds
LATENCY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)

EXECUTIONS = "causeway_executions_ended_total"
ATTEMPTS = "causeway_attempts_ended_total"
REACTION = "causeway_publish_to_launch_seconds"
QUEUED = "causeway_attempt_queued_to_running_seconds"
SWEPT = "causeway_sweep_found_total"

_ENDED_EXECUTIONS = """
    SELECT to_phase, count(*) FROM scheduler_phaseevent
    WHERE id > %s AND id <= %s AND machine = 'execution' AND to_phase = ANY(%s) AND from_phase <> to_phase GROUP BY 1
"""
# An ExecutionError begins with its code: a tag and a length of one byte each, as codes are short.
_ENDED_ATTEMPTS = """
    SELECT event.to_phase, attempt.executor,
        CASE WHEN length(error) > 2 AND get_byte(error, 0) = 10 AND get_byte(error, 1) BETWEEN 1 AND 127
             THEN encode(substring(error FROM 3 FOR get_byte(error, 1)), 'escape') ELSE '' END AS code, count(*)
    FROM scheduler_phaseevent event JOIN scheduler_taskexecution attempt ON attempt.id = event.object_id
    WHERE event.id > %s AND event.id <= %s AND machine = 'attempt' AND to_phase = ANY(%s) AND from_phase <> to_phase
    GROUP BY 1, 2, 3
"""
_WAITED = """
    SELECT attempt.executor, width_bucket(wait, %s::float8[]), count(*), sum(wait)
    FROM scheduler_phaseevent event JOIN scheduler_taskexecution attempt ON attempt.id = event.object_id
    CROSS JOIN LATERAL (SELECT extract(epoch FROM event.at - attempt.created_at)::float8 AS wait) AS waited
    WHERE event.id > %s AND event.id <= %s AND machine = 'attempt' AND to_phase = %s AND from_phase <> to_phase
    GROUP BY 1, 2
"""
_REACTED = """
    SELECT '', width_bucket(latency_ms / 1000, %s::float8[]), count(*), sum(latency_ms) / 1000
    FROM scheduler_phaseevent event JOIN scheduler_triggerfiring firing ON firing.execution_id = event.object_id
    WHERE event.id > %s AND event.id <= %s AND machine = 'execution' AND to_phase = %s AND from_phase <> to_phase
        AND latency_ms IS NOT NULL
    GROUP BY 1, 2
"""
_ADD = """
    INSERT INTO scheduler_figure (name, labels, value)
    SELECT %s, labels, value FROM unnest(%s::text[], %s::float8[]) AS found(labels, value) ORDER BY labels
    ON CONFLICT (name, labels) DO UPDATE SET value = scheduler_figure.value + excluded.value
"""
# What waits longer than a wake-up takes, by its kind, each found by an index of nothing else.
LATE_WORK = """
    SELECT 'executions' AS what, count(*) AS number FROM scheduler_execution
    WHERE dirty AND updated_at < now() - make_interval(secs => %(late)s)
    UNION ALL
    SELECT 'versions', count(*) FROM artifacts_artifactversion
    WHERE triggers_evaluated_at IS NULL AND created_at < now() - make_interval(secs => %(late)s)
    UNION ALL
    SELECT 'ended_attempts', count(*) FROM scheduler_taskexecution
    WHERE NOT handled AND phase = ANY(%(ended)s) AND ended_at < now() - make_interval(secs => %(late)s)
"""
OF_LATE_WORK: Mapping[str, Any] = {"late": LATE_SECONDS, "ended": sorted(ATTEMPT_TERMINAL)}


def add(name: str, amounts: Mapping[str, float]) -> None:
    """Add to the figure's rows, by their labels."""
    if amounts:
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [name, list(amounts), [float(amount) for amount in amounts.values()]])


def late_work() -> dict[str, int]:
    """What waits longer than a wake-up takes, by its kind: the next sweep does it."""
    with connection.cursor() as cursor:
        cursor.execute(LATE_WORK, OF_LATE_WORK)
        return dict(cursor.fetchall())


def note_late_work() -> None:
    """To be called by a sweep before it does it."""
    add(SWEPT, {f"what={what}": count for what, count in late_work().items() if count})


def count_events() -> int:
    """Count what happened since the last time, as far as it is certain to be complete; returns how many event numbers
    that were. Any number may try at a time. The first time begins with what happens from then on.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", list(COUNTING))
        if not cursor.fetchone()[0]:
            return 0
        mark = FiguresMark.objects.first() or FiguresMark()
        first, last = marks.step(mark, "scheduler_phaseevent", most=MOST)
        if last > first:
            _count(first, last)
    return last - first


def _count(first: int, last: int) -> None:
    ended = _rows(_ENDED_EXECUTIONS, [first, last, sorted(EXECUTION_TERMINAL)])
    add(EXECUTIONS, {f"phase={ExecutionPhase(phase).name}": count for phase, count in ended})
    add(ATTEMPTS, _by_code(_rows(_ENDED_ATTEMPTS, [first, last, sorted(ATTEMPT_TERMINAL)])))
    ends = list(LATENCY)
    add(QUEUED, _buckets(_rows(_WAITED, [ends, first, last, AttemptPhase.RUNNING]), "executor="))
    add(REACTION, _buckets(_rows(_REACTED, [ends, first, last, ExecutionPhase.RUNNING])))


def _rows(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _by_code(found: list[tuple[Any, ...]]) -> dict[str, float]:
    known = set(Figure.objects.filter(name=ATTEMPTS).values_list("labels", flat=True))
    amounts: dict[str, float] = {}
    for phase, executor, code, count in found:
        said = f"phase={AttemptPhase(phase).name},executor={executor},code="
        labels = said + _shown_code(code)
        if labels not in known and len(known) >= MAX_CODES:
            labels = f"{said}other"
        known.add(labels)
        amounts[labels] = amounts.get(labels, 0) + count
    return amounts


def _shown_code(code: str) -> str:
    """As an operator counts them: what user code raised is one kind, whatever its class."""
    code = code.rpartition("|")[2]
    if code.startswith("USER:"):
        return "USER"
    plain = code.replace("_", "").replace("-", "").replace(".", "")
    return code[:60] if not code or (plain.isascii() and plain.isalnum()) else "other"


def _buckets(found: list[tuple[Any, ...]], label: str = "") -> dict[str, float]:
    """width_bucket's number n holds what is at least the end n - 1 and less than the end n."""
    ends = [*map(str, LATENCY), "+Inf"]
    amounts: dict[str, float] = {}
    for value, number, count, total in found:
        prefix = f"{label}{value}," if label else ""
        amounts[f"{prefix}le={ends[number]}"] = count
        amounts[f"{prefix}sum=1"] = amounts.get(f"{prefix}sum=1", 0.0) + total
    return amounts
