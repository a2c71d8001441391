"""Lanes in the database. A lane's number is a digest of what it says: whoever needs one knows its number without
asking, and writes its row only if this process never did.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from django.db import connection, transaction

from scheduler.models import Lane as Row
from scheduler.quotas.resources import demand_of
from scheduler.quotas.rules import Lane

_written: set[int] = set()  # whose rows were committed by, or seen by, this process
MOST_KNOWN = 100_000
_INSERT = (
    'INSERT INTO scheduler_lane (id, project, domain, "user", launch_plan, priority, resources, demand) '
    "VALUES {} ON CONFLICT DO NOTHING"
)
_PLACE = "(%s, %s, %s, %s, %s, %s, %s, %s)"


def number_of(
    *,
    project: str,
    domain: str,
    user: str,
    launch_plan: str,
    priority: int,
    resources: Mapping[str, Any],
    demand: Mapping[str, float],
) -> int:
    """63 bits, never 0: as good as unique among the lanes of an installation."""
    told = [project, domain, user, launch_plan, priority, resources, demand]
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1 or 1


def row_of(
    *,
    project: str,
    domain: str,
    user: str,
    launch_plan: str,
    priority: int,
    resources: Mapping[str, Any],
    needs: Mapping[str, Any],
    waits_only: bool = False,
) -> Row:
    """The lane of such an attempt, not written. `needs`: AttemptSpec.needs as scheduler.attempts.wire writes it."""
    given: dict[str, Any] = {
        "project": project,
        "domain": domain,
        "user": user[:150],
        "launch_plan": launch_plan[:255],
        "priority": priority,
        "resources": dict(resources),
        "demand": demand_of(resources, needs, waits_only=waits_only),
    }
    return Row(id=number_of(**given), **given)


def write(rows: Iterable[Row]) -> None:
    """Have the lanes there, in the transaction that needs them: mostly they are."""
    new = {row.id: row for row in rows if row.id not in _written}
    if not new:
        return
    ids = list(new)
    transaction.on_commit(lambda: _remember(ids))
    values = [value for row in sorted(new.values(), key=lambda row: row.id) for value in _values(row)]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT.format(", ".join([_PLACE] * len(new))), values)


def _values(row: Row) -> list[Any]:
    texts = [row.id, row.project, row.domain, row.user, row.launch_plan, row.priority]
    return [*texts, json.dumps(row.resources), json.dumps(row.demand)]


def _remember(ids: Collection[int]) -> None:
    if len(_written) > MOST_KNOWN:
        _written.clear()
    _written.update(ids)


def load(ids: Collection[int]) -> dict[int, Lane]:
    """Those that are there; rows never change, so that each is read once a process."""
    missing = [one for one in ids if one not in _read]
    if missing:
        if len(_read) > MOST_KNOWN:
            _read.clear()
        for row in Row.objects.filter(pk__in=missing):
            _read[row.id] = lane_of(row)
    return {one: _read[one] for one in ids if one in _read}


_read: dict[int, Lane] = {}


def lane_of(row: Row) -> Lane:
    names = ("id", "project", "domain", "user", "launch_plan", "priority")
    return Lane(**{name: getattr(row, name) for name in names}, demand=row.demand)


# Attempts without a lane, or with one whose row is gone: those of a release before there were lanes.
_OF_ATTEMPTS = """
SELECT attempt.id, execution.project, execution.domain, execution.principal,
    CASE WHEN plan.id IS NULL THEN '' ELSE plan.name END,
    attempt.priority, attempt.resources::text, coalesce(attempt.command->'needs', '{}'::jsonb)::text
FROM scheduler_taskexecution attempt JOIN scheduler_execution execution ON execution.id = attempt.execution_id
LEFT JOIN scheduler_launchplan plan ON plan.id = execution.launch_plan_id
WHERE attempt.id = ANY(%s)
"""
_SET = """
UPDATE scheduler_taskexecution attempt SET lane = given.lane
FROM unnest(%s::bigint[], %s::bigint[]) AS given (id, lane) WHERE attempt.id = given.id
"""


def give(ids: Collection[int]) -> None:
    """A lane to each of the attempts, in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_ATTEMPTS, [sorted(ids)])
        rows: dict[int, Row] = {}
        for pk, project, domain, user, plan, priority, resources, needs in cursor.fetchall():
            rows[pk] = _row_of_texts(project, domain, user, plan, priority, resources, needs)
        _written.difference_update(row.id for row in rows.values())  # whatever this process believed
        write(rows.values())
        cursor.execute(_SET, [list(rows), [row.id for row in rows.values()]])


@lru_cache(maxsize=1024)
def _row_of_texts(project: str, domain: str, user: str, plan: str, priority: int, resources: str, needs: str) -> Row:
    return row_of(
        project=project,
        domain=domain,
        user=user,
        launch_plan=plan,
        priority=priority,
        resources=json.loads(resources),
        needs=json.loads(needs),
    )
