"""What rules go by, read from the rows: which limits hold now, and what is held against them.

What is held is counted anew each time, from the attempts that executors hold: nothing is kept beside them that could
differ, and what is lost gives back by losing its phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection

from scheduler.phases import ATTEMPT_HELD
from scheduler.quotas import lanes
from scheduler.quotas.resources import HOURS, OF_EXECUTIONS
from scheduler.quotas.rules import DOMAIN, EVERYTHING, LAUNCH_PLAN, PROJECT, USER, Covering, Lane, Ledger, Limit, Scope
from scheduler.quotas.used import spent
from scheduler.statements import Statement, execute

ADMITTING = (428, 1)  # PostgreSQL's advisory lock (two keys) of whoever decides what attempts may start
ADMITTING_EXECUTIONS = (428, 2)
# Whoever is stopped while he decides must not stop the others: his session ends.
STALLED = "SET LOCAL idle_in_transaction_session_timeout = '5s'"
_LIMITS = """
SELECT id, scope, project, domain, "user", launch_plan, resource, "window", "limit", guaranteed, borrows_from_id,
    valid_until IS NULL
FROM scheduler_quota
WHERE (valid_from IS NULL OR valid_from <= %s) AND (valid_until IS NULL OR valid_until > %s)
ORDER BY id
"""
HELD = f"""
SELECT lane, count(*) FROM scheduler_taskexecution
WHERE phase IN ({", ".join(str(int(phase)) for phase in sorted(ATTEMPT_HELD))}) GROUP BY lane
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Held:
    """What executors hold, by lane; `unknown`: attempts of which nobody said their lane."""

    counts: Mapping[Lane, int]
    unknown: int = 0


def lock(which: tuple[int, int]) -> list[Statement]:
    """Until the transaction ends nobody else decides. What is read afterwards is what others have committed."""
    return [(STALLED, []), ("SELECT pg_advisory_xact_lock(%s, %s)", list(which))]


def limits_statement(now: datetime) -> Statement:
    return _LIMITS, [now, now]


def limits_of(rows: Iterable[tuple[Any, ...]]) -> tuple[Limit, ...]:
    """The same objects as before, as long as the rows are the same."""
    return _limits_of(tuple(rows))


@lru_cache(maxsize=8)
def _limits_of(rows: tuple[tuple[Any, ...], ...]) -> tuple[Limit, ...]:
    return tuple(_limit(*row) for row in rows)


def limits(now: datetime) -> tuple[Limit, ...]:
    """Those valid now."""
    return limits_of(execute([limits_statement(now)])[0].returned)


@lru_cache(maxsize=8)
def of_attempts(found: tuple[Limit, ...]) -> tuple[tuple[Limit, ...], Covering]:
    """Those, and what is known of the lanes that they cover: it grows."""
    return tuple(one for one in found if one.resource not in OF_EXECUTIONS), {}


def _limit(
    pk: int,
    kind: str,
    project: str,
    domain: str,
    user: str,
    plan: str,
    resource: str,
    window: str,
    limit: float,
    guaranteed: float,
    lender: int | None,
    lasting: bool,
) -> Limit:
    scope = Scope(kind, project, domain, user, plan)
    name = subject(scope)
    return Limit(pk, scope, resource, limit, name, guaranteed, lender, lasting, window)


def subject(scope: Scope) -> str:
    """Whose use it is, in words."""
    return {
        EVERYTHING: "everything",
        PROJECT: f"project {scope.project}",
        DOMAIN: f"project {scope.project} in {scope.domain}",
        USER: f"user {scope.user}",
        LAUNCH_PLAN: f"launch plan {scope.project}/{scope.domain}/{scope.launch_plan}",
    }[scope.kind]


def held_of(rows: Iterable[tuple[Any, ...]]) -> Held:
    """From what HELD answered."""
    counts = {lane: count for lane, count in rows if lane is not None}
    unknown = sum(count for lane, count in rows if lane is None)
    known = lanes.load(counts.keys())
    unknown += sum(count for lane, count in counts.items() if lane not in known)
    return Held({known[one]: count for one, count in counts.items() if one in known}, unknown)


def held() -> Held:
    return held_of(execute([(HELD, [])])[0].returned)


def give_lanes(*, limit: int = 1000) -> None:
    """To attempts that are held, and have none that is there: those that an older release queued."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM scheduler_taskexecution attempt WHERE phase = ANY(%s) AND NOT EXISTS "
            "(SELECT 1 FROM scheduler_lane lane WHERE lane.id = attempt.lane) LIMIT %s",
            [[int(phase) for phase in sorted(ATTEMPT_HELD)], limit],
        )
        ids = [pk for (pk,) in cursor.fetchall()]
    if ids:
        lanes.give(ids)


def ledger(found: tuple[Limit, ...], counted: Held, *, now: datetime) -> Ledger:
    """Of attempts: with what is held, and what was used of hours."""
    wanted, covering = of_attempts(found)
    hours = [one for one in wanted if one.resource in HOURS]
    made = Ledger(wanted, spent(hours, now=now) if hours else {}, covering)
    for lane, count in counted.counts.items():
        made.hold(lane, count)
    return made
