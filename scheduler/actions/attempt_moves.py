"""The one place that writes an attempt's phase: a statement that locks, checks, moves and logs any number of attempts.

One statement rather than the ORM, because the executor's share of a short task is mostly this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from scheduler.phases import ATTEMPT_TRANSITIONS, AttemptPhase, Machine

logger = logging.getLogger(__name__)

# What a move may write besides the phase, with its type in PostgreSQL. A start that is known already is kept.
COLUMNS = {
    "claimed_by": "text",
    "log_uri": "text",
    "handle": "text",
    "reason": "text",
    "error": "bytea",
    "error_retryable": "boolean",
    "output_uri": "text",
    "deck_uri": "text",
    "started_at": "timestamptz",
    "ended_at": "timestamptz",
}

# Rows are locked in id order, so that two reporters cannot deadlock.
STATEMENT = """
WITH reports AS (
    SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::timestamptz[]{arrays})
        AS report (attempt_id, to_phase, at{names})
), locked AS (
    SELECT reports.*, attempt.phase AS from_phase
    FROM scheduler_taskexecution attempt JOIN reports ON reports.attempt_id = attempt.id
    WHERE attempt.phase = ANY(%s::smallint[])
    ORDER BY attempt.id FOR UPDATE OF attempt
), moved AS (
    UPDATE scheduler_taskexecution attempt SET phase = locked.to_phase, updated_at = locked.at{assignments}
    FROM locked WHERE attempt.id = locked.attempt_id
    RETURNING attempt.id, attempt.execution_id, attempt.node_id, attempt.reason,
        locked.from_phase, locked.to_phase, locked.at
), logged AS (
    INSERT INTO scheduler_phaseevent (execution_id, machine, object_id, from_phase, to_phase, at, reason, actor)
    SELECT execution_id, %s, id, from_phase, to_phase, at, reason, %s FROM moved
)
SELECT id, execution_id, node_id FROM moved ORDER BY id
"""


class Moved(NamedTuple):
    id: int
    execution_id: int
    node_id: int


def move(reports: Sequence[Mapping[str, Any]], *, actor: str) -> list[Moved]:
    """Move attempts with compare-and-set and append their PhaseEvents; returns those that moved.

    Each report has `id`, `phase`, `at` and the same subset of COLUMNS. All phases must be reachable from the same ones.
    Attempts that may not move, because somebody was first, are left alone.
    """
    if not reports:
        return []
    columns = [name for name in COLUMNS if name in reports[0]]
    statement = STATEMENT.format(
        arrays="".join(f", %s::{COLUMNS[name]}[]" for name in columns),
        names="".join(f", {name}" for name in columns),
        assignments="".join(f", {name} = {_value(name)}" for name in columns),
    )
    allowed = [phase for phase, to in ATTEMPT_TRANSITIONS.items() if {report["phase"] for report in reports} <= to]
    parameters: list[Any] = [[report[name] for report in reports] for name in ("id", "phase", "at", *columns)]
    parameters[1] = [int(phase) for phase in parameters[1]]
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, [int(phase) for phase in allowed], Machine.ATTEMPT.value, actor])
        moved = [Moved(*row) for row in cursor.fetchall()]
    if late := {report["id"] for report in reports} - {row.id for row in moved}:
        to = AttemptPhase(reports[0]["phase"]).label
        logger.info("ignored reports of %s for attempts that are past it: %s", to, sorted(late))
    return moved


def _value(name: str) -> str:
    return "coalesce(attempt.started_at, locked.started_at)" if name == "started_at" else f"locked.{name}"
