"""The one place that writes an attempt's phase: a statement that locks, checks, moves and logs any number of attempts.

One statement rather than the ORM, because the executor's share of a short task is mostly this. Every change of a phase,
and every new reason within one, leaves a PhaseEvent: they are the trace of what an attempt waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from artifacts.arrays import column_of
from artifacts.prepared import prepared
from scheduler.attempts.phases import HELD, PENDING
from scheduler.phases import ATTEMPT_TRANSITIONS, AttemptPhase, Machine

logger = logging.getLogger(__name__)

# What a move may write besides the phase, with its type in PostgreSQL.
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
_LEARNT = ("handle", "log_uri", "deck_uri")  # what is known of these stays where a report says nothing

# Rows are locked in id order, so that two reporters cannot deadlock.
_STATEMENT = """
WITH reports AS (
    SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::timestamptz[]{arrays})
        AS report (attempt_id, to_phase, at{names})
), locked AS (
    SELECT reports.*, attempt.phase AS from_phase{known}
    FROM scheduler_taskexecution attempt JOIN reports ON reports.attempt_id = attempt.id
    WHERE attempt.phase = ANY(%s::smallint[]){where}
    ORDER BY attempt.id FOR UPDATE OF attempt
), moved AS (
    UPDATE scheduler_taskexecution attempt SET phase = {phase}, updated_at = locked.at{assignments}
    FROM locked WHERE attempt.id = locked.attempt_id
    RETURNING attempt.id, attempt.execution_id, attempt.node_id, attempt.reason,
        locked.from_phase, attempt.phase AS to_phase, locked.at{told}
), logged AS (
    INSERT INTO scheduler_phaseevent (execution_id, machine, object_id, from_phase, to_phase, at, reason, actor)
    SELECT execution_id, %s::text, id, from_phase, to_phase, at, reason, %s::text FROM moved{logged}
)
SELECT id, execution_id, node_id FROM moved ORDER BY id
"""
_MOVING = {"phase": "locked.to_phase", "known": "", "told": "", "logged": "", "where": ""}
_TELLING = {
    "known": ", attempt.reason AS former",
    "told": ", locked.former",
    "logged": " WHERE from_phase <> to_phase OR reason <> former",
}


class Moved(NamedTuple):
    id: int
    execution_id: int
    node_id: int


Report = Mapping[str, Any]


def move(reports: Sequence[Report], *, actor: str, expected: Collection[AttemptPhase] = ()) -> list[Moved]:
    """Move attempts with compare-and-set and append their PhaseEvents; returns those that moved.

    Each report has `id`, `phase`, `at` and the same subset of COLUMNS. All phases must be reachable from the same ones,
    or from the `expected` ones. Attempts that may not move, because somebody was first, are left alone.
    """
    if not reports:
        return []
    phases = {report["phase"] for report in reports}
    allowed = expected or [phase for phase, to in ATTEMPT_TRANSITIONS.items() if phases <= to]
    moved = _send(reports, allowed, actor=actor, **_MOVING)
    if late := {report["id"] for report in reports} - {row.id for row in moved}:
        to = AttemptPhase(reports[0]["phase"]).label
        logger.info("ignored reports of %s for attempts that are past it: %s", to, sorted(late))
    return moved


def wait(reports: Sequence[Report], *, actor: str) -> list[Moved]:
    """As `move`, between the phases before the program runs; what is there already is not written again."""
    given = [name for name in ("reason", "handle") if reports and name in reports[0]]
    return _send(
        reports, PENDING, actor=actor, where=_news(given, "attempt.phase <> reports.to_phase"), **_MOVED_AND_TOLD
    )


def note(reports: Sequence[Report], *, actor: str) -> list[Moved]:
    """What is learnt of attempts that an executor holds, whatever their phase: it stays. Empty texts say nothing."""
    given = [name for name in ("reason", *_LEARNT) if reports and name in reports[0]]
    return _send(reports, HELD, actor=actor, where=_news(given), phase="attempt.phase", **_TELLING)


_MOVED_AND_TOLD = {**_TELLING, "phase": "locked.to_phase"}


def _news(names: Sequence[str], *others: str) -> str:
    told = [f"(reports.{name} <> '' AND reports.{name} <> attempt.{name})" for name in names]
    return f" AND ({' OR '.join([*others, *told])})"


def _send(reports: Sequence[Report], allowed: Collection[AttemptPhase], *, actor: str, **parts: str) -> list[Moved]:
    if not reports:
        return []
    columns = [name for name in COLUMNS if name in reports[0]]
    telling = bool(parts["told"])
    statement = _STATEMENT.format(
        arrays="".join(f", %s::{COLUMNS[name]}[]" for name in columns),
        names="".join(f", {name}" for name in columns),
        assignments="".join(f", {name} = {_value(name, telling=telling)}" for name in columns),
        **parts,
    )
    told = [[report[name] for report in reports] for name in ("id", "phase", "at", *columns)]
    told[1] = [int(phase) for phase in told[1]]
    told.append([int(phase) for phase in sorted(allowed)])
    with prepared() as cursor:
        cursor.execute(statement, [*map(column_of, told), Machine.ATTEMPT.value, actor])
        return [Moved(*row) for row in cursor.fetchall()]


def _value(name: str, *, telling: bool) -> str:
    if name == "started_at":  # a start that is known already is kept
        return "coalesce(attempt.started_at, locked.started_at)"
    if name in _LEARNT or (telling and name == "reason"):
        return f"coalesce(nullif(locked.{name}, ''), attempt.{name})"
    return f"locked.{name}"
