"""Claiming where quotas are set: in turns between lanes, and no more than the quotas allow.

One decision in one transaction: under a lock that all executors of the installation take, what is held is counted and
what may start is chosen. It is about lanes, not attempts: what cannot start now costs the same for one that waits and
for ten thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from scheduler.attempts.choices import Packing, Queued
from scheduler.attempts.outcomes import USER, failure
from scheduler.phases import ATTEMPT_HELD, AttemptPhase
from scheduler.quotas import lanes, reading
from scheduler.quotas.lately import costs_lately
from scheduler.quotas.rules import Lane, Limit, costs
from scheduler.quotas.turns import Fit, Line, Served, Turns, Waiting
from scheduler.statements import execute

EXECUTIONS = 16  # of a lane that take turns: its oldest
AT_ONCE = 128  # attempts read at once
_served = Served()  # by this process: a hint, which decides where all else is equal
GIVEN = 500  # lanes given in one claim to attempts that have none

_HELD = ", ".join(str(int(phase)) for phase in sorted(ATTEMPT_HELD))
_QUEUED = f"executor = %s AND cluster = %s AND phase = {int(AttemptPhase.QUEUED)}"
# From one lane straight to the next: as many steps as there are lanes, however many wait in each.
_HEADS = f"""
WITH RECURSIVE heads AS (
    (
        SELECT lane, execution_id, id, created_at FROM scheduler_taskexecution
        WHERE {_QUEUED} AND lane IS NOT NULL ORDER BY lane, execution_id, id LIMIT 1
    )
    UNION ALL
    SELECT following.* FROM heads CROSS JOIN LATERAL (
        SELECT lane, execution_id, id, created_at FROM scheduler_taskexecution
        WHERE {_QUEUED} AND lane > heads.lane ORDER BY lane, execution_id, id LIMIT 1
    ) AS following
)
SELECT lane, execution_id, id, created_at FROM heads
"""  # noqa: S608 - constants
_LANELESS = f"SELECT id FROM scheduler_taskexecution WHERE {_QUEUED} AND lane IS NULL LIMIT {GIVEN}"  # noqa: S608
# Of each lane the oldest executions, of each the oldest attempts, and how many of it are held
_LINES = f"""
SELECT given.lane, execution.id, held.count, attempt.id, attempt.created_at, attempt.reason, attempt.resources::text,
    attempt.task_id
FROM unnest(%s::bigint[]) AS given (lane) CROSS JOIN LATERAL (
    WITH RECURSIVE found AS (
        (
            SELECT execution_id AS id, 1 AS step FROM scheduler_taskexecution
            WHERE {_QUEUED} AND lane = given.lane ORDER BY execution_id LIMIT 1
        )
        UNION ALL
        SELECT following.execution_id, found.step + 1 FROM found CROSS JOIN LATERAL (
            SELECT execution_id FROM scheduler_taskexecution
            WHERE {_QUEUED} AND lane = given.lane AND execution_id > found.id ORDER BY execution_id LIMIT 1
        ) AS following WHERE found.step < %s
    ) SELECT id FROM found
) AS execution CROSS JOIN LATERAL (
    SELECT count(*) FROM scheduler_taskexecution
    WHERE lane = given.lane AND execution_id = execution.id AND phase IN ({_HELD})
) AS held CROSS JOIN LATERAL (
    SELECT id, created_at, reason, resources, task_id FROM scheduler_taskexecution
    WHERE {_QUEUED} AND lane = given.lane AND execution_id = execution.id ORDER BY id LIMIT %s
) AS attempt
"""  # noqa: S608 - constants


def choose(executor: str, cluster: str, packing: Packing, *, now: datetime, most: int) -> bool:
    """Fill the packing's choice with what may start; whether others stay queued. In the transaction that takes them."""
    where = [executor, cluster]
    lately = costs_lately(now=now)
    found = _look(where, now, locked=False)
    if lacking := found.lacking():
        found = _look_again(where, lacking, now)
    limits, counted, heads = found.limits, found.held, found.heads
    known = lanes.load([lane for lane, *_ in heads])
    ledger = reading.ledger(limits, counted, now=now)
    project_costs = costs(counted.counts.items(), beside=lately)
    lines = [Line.of(known[lane], [Waiting(pk, of, at)], whole=False) for lane, of, pk, at in heads if lane in known]
    lane_held = Counter({lane.id: count for lane, count in counted.counts.items()})
    turns = Turns(ledger, now, project_costs, lane_held, served=_served)
    rows: dict[int, Queued] = {}
    turns.choose(lines, _Fits(packing, rows), most, lambda some: _complete(where, some, turns, rows), packing.has_room)
    _served.note(turns.taken, now)
    for _, one, block in turns.never:
        said = f"the task can never run: it {block.words}"
        packing.choice.refused.append((one.pk, failure("QuotaTooSmall", said, USER, retryable=False)))
    return len(heads) > 0


@dataclass
class _Found:
    limits: tuple[Limit, ...]
    held: reading.Held
    heads: list[tuple[Any, ...]]
    laneless: list[int]  # attempts that wait

    def lacking(self) -> list[int]:
        """Lanes whose rows are not there; 0 stands for attempts without one."""
        ids = [lane for lane, *_ in self.heads]
        missing = sorted(set(ids) - lanes.load(ids).keys())
        return [0, *missing] if self.laneless or self.held.unknown else missing


def _look(where: list[Any], now: datetime, *, locked: bool = True) -> _Found:
    """`locked`: this transaction has the lock already. What follows it in one round trip sees all that was committed
    before it was had: each statement has a snapshot of its own.
    """
    locking = [] if locked else reading.lock(reading.ADMITTING)
    looking = [(_LANELESS, where), reading.limits_statement(now), (reading.HELD, []), (_HEADS, [*where, *where])]
    laneless, limits, held, heads = (one.returned for one in execute([*locking, *looking])[len(locking) :])
    return _Found(reading.limits_of(limits), reading.held_of(held), heads, [pk for (pk,) in laneless])


def _look_again(where: list[Any], lacking: Sequence[int], now: datetime) -> _Found:
    """With rows for lanes that have none: those of an older release, or of a restored database."""
    sql = f"SELECT id FROM scheduler_taskexecution WHERE {_QUEUED} AND lane = ANY(%s) LIMIT {GIVEN}"  # noqa: S608
    if ids := [*_column(sql, [*where, list(lacking)]), *_column(_LANELESS, where)]:
        lanes.give(ids)
    reading.give_lanes(limit=GIVEN)
    return _look(where, now)


def _column(sql: str, parameters: Sequence[Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def _complete(where: list[Any], lines: Sequence[Line], turns: Turns, rows: dict[int, Queued]) -> None:
    """Read of each line the oldest of its oldest executions."""
    each = max(1, AT_ONCE // EXECUTIONS // len(lines))
    waiting: dict[int, list[Waiting]] = {line.lane.id: [] for line in lines}
    ids = list(waiting)
    (found,) = execute([(_LINES, [ids, *where, *where, EXECUTIONS, *where, each])])
    held: dict[tuple[int, int], int] = {}
    for lane, execution, count, pk, at, reason, resources, task in found.returned:
        waiting[lane].append(Waiting(pk, execution, at))
        rows[pk] = Queued(pk, resources, at, reason, task)
        held[lane, execution] = count
    for (_, execution), count in held.items():
        turns.execution_held[execution] += count
    for line in lines:
        line.fill(waiting[line.lane.id])


class _Fits:
    """Asks the packing for one attempt after the other."""

    def __init__(self, packing: Packing, rows: dict[int, Queued]) -> None:
        self.packing, self.rows = packing, rows

    def __call__(self, lane: Lane, one: Waiting) -> Fit:
        choice = self.packing.choice
        if not self.packing.has_room():
            return Fit.ENOUGH
        before = len(choice.fitting), len(choice.refused)
        self.packing.sort([self.rows[one.pk]])
        if len(choice.fitting) > before[0]:
            return Fit.TAKEN
        return Fit.REFUSED if len(choice.refused) > before[1] else Fit.FULL
