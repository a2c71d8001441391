"""Which executions may start, where quotas of executions or launches are set: the others wait, and lose nothing.

Whoever first evaluates an execution that such a quota covers lets it go, where there is room and nobody in line waits
for it, or puts it in line (`waits_since`). Who lets executions go does it under one lock; those in line go by the rules
of turns, as executors do for attempts. Parts of others (children, and what a running task launches) go with the whole:
if they waited for a place that it holds, both would wait for ever.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from scheduler.models import Execution
from scheduler.phases import ExecutionPhase
from scheduler.quotas import reading
from scheduler.quotas.resources import EXECUTIONS, LAUNCHES, OF_EXECUTIONS
from scheduler.quotas.rules import Lane, Ledger, Limit, Scope, cost
from scheduler.quotas.turns import Fit, Line, Turns, Waiting
from scheduler.statements import Statement, execute
from scheduler.transitions import move_execution
from scheduler.wake import wake_admission, wake_admission_at, wake_execution

ACTOR = "system:quotas"
MINUTE = timedelta(minutes=1)
AT_ONCE = 200  # executions let go in one transaction
MOST_READ = 5_000  # of those that run, where it is worked out when one more may
_NEW = (ExecutionPhase.UNDEFINED, ExecutionPhase.QUEUED)
_NAMES = ", ".join(f"'{resource}'" for resource in sorted(OF_EXECUTIONS))
HAS_QUOTAS = f"EXISTS (SELECT 1 FROM scheduler_quota WHERE resource IN ({_NAMES}))"  # noqa: S608 - our own names
DEMAND = {EXECUTIONS: 1.0, LAUNCHES: 1.0}
_WAITS = f"waits_since IS NOT NULL AND phase = {int(ExecutionPhase.QUEUED)}"
# Of each project, user and launch plan those that wait longest: from one of these groups straight to the next
_GROUP = "project, domain, principal, coalesce(launch_plan_id, 0), priority"
_GROUPS = f"""
WITH RECURSIVE groups AS (
    (
        SELECT project, domain, principal, coalesce(launch_plan_id, 0) AS plan, priority FROM scheduler_execution
        WHERE {_WAITS} ORDER BY {_GROUP} LIMIT 1
    )
    UNION ALL
    SELECT following.* FROM groups CROSS JOIN LATERAL (
        SELECT project, domain, principal, coalesce(launch_plan_id, 0) AS plan, priority FROM scheduler_execution
        WHERE {_WAITS}
            AND ({_GROUP}) > (groups.project, groups.domain, groups.principal, groups.plan, groups.priority)
        ORDER BY {_GROUP} LIMIT 1
    ) AS following
)
"""  # noqa: S608 - constants
_HEADS = f"""
{_GROUPS}
SELECT groups.project, groups.domain, groups.principal, coalesce(named.name, ''), groups.priority, one.id,
    one.waits_since
FROM groups LEFT JOIN scheduler_launchplan named ON named.id = groups.plan CROSS JOIN LATERAL (
    SELECT id, waits_since FROM scheduler_execution
    WHERE {_WAITS} AND project = groups.project AND domain = groups.domain AND principal = groups.principal
        AND coalesce(launch_plan_id, 0) = groups.plan AND priority = groups.priority
    ORDER BY id LIMIT {AT_ONCE}
) AS one
"""  # noqa: S608 - constants
_IN_LINE: Statement = (
    f"{_GROUPS} SELECT DISTINCT groups.project, groups.domain, groups.principal, coalesce(named.name, '')"  # noqa: S608
    " FROM groups LEFT JOIN scheduler_launchplan named ON named.id = groups.plan",
    [],
)
_COUNT = """
SELECT e.project, e.domain, e.principal, coalesce(named.name, ''), count(*), min(e.admitted_at)
FROM scheduler_execution e LEFT JOIN scheduler_launchplan named ON named.id = e.launch_plan_id
WHERE {} GROUP BY 1, 2, 3, 4
"""
_RUNNING = _COUNT.format("e.ended_at IS NULL AND NOT e.is_part AND e.waits_since IS NULL AND e.phase <> 0")
_LATELY = _COUNT.format("e.admitted_at > %s")
_LET_GO = f"""
UPDATE scheduler_execution SET waits_since = NULL, admitted_at = %s, dirty = true
WHERE id = ANY(%s) AND {_WAITS} RETURNING id
"""  # noqa: S608 - constants


def is_new(execution: Execution) -> bool:
    """Whether a quota may still keep it from starting."""
    return not execution.is_part and execution.admitted_at is None and execution.phase in _NEW


def keeps_waiting(execution: Execution) -> bool:
    """Whether its first turn is for later: it waits, from now on or still, until `admit` lets it go; or it was let go
    here, in a transaction that ends before its work begins, so that nobody who decides waits for that."""
    if execution.waits_since is not None:
        if execution.dirty:
            Execution.objects.filter(pk=execution.pk).update(dirty=False)
        return True
    if execution.phase != ExecutionPhase.UNDEFINED:  # it began before
        return False
    now = timezone.now()
    plan = execution.launch_plan.name if execution.launch_plan is not None else ""
    lane = Lane(0, execution.project, execution.domain, execution.principal, plan, demand=DEMAND)
    if not Ledger(of_executions(reading.limits(now))).covering(lane):
        return False
    locking = reading.lock(reading.ADMITTING_EXECUTIONS)  # until this transaction ends
    *use, in_line = (one.returned for one in execute([*locking, *_of_use(now), _IN_LINE])[len(locking) :])
    ledger = _ledger(*use)
    block = ledger.block(lane)
    if block is None and not _share(ledger, lane, in_line):
        move_execution(execution, ExecutionPhase.QUEUED, at=now, actor=ACTOR, admitted_at=now, dirty=True)
        return True
    move_execution(execution, ExecutionPhase.QUEUED, at=now, actor=ACTOR, waits_since=now, dirty=False)
    if block is None or block.limit.resource != EXECUTIONS:  # else the end of one of them wakes
        wake_admission()
    return True


def _share(ledger: Ledger, lane: Lane, in_line: list[tuple[Any, ...]]) -> bool:
    """Whether somebody in line may wait for what the lane would take."""
    mine = {related for limit, _ in ledger.covering(lane) for related in ledger.related(limit)}
    waiting = (
        Lane(number, project, domain, user, plan, demand=DEMAND)
        for number, (project, domain, user, plan) in enumerate(in_line, start=1)
    )
    return any(limit.id in mine for other in waiting for limit, _ in ledger.covering(other))


def of_executions(limits: Iterable[Limit]) -> list[Limit]:
    """Those, and the weights."""
    return [one for one in limits if one.resource in OF_EXECUTIONS or one.resource == "weight"]


def admit() -> int:
    """Let go as many of those that wait as may start now, each at its turn; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM scheduler_execution WHERE {_WAITS})")  # noqa: S608
        if not cursor.fetchone()[0]:
            return 0
    total = 0
    while (let_go := _admit_some()) == AT_ONCE:
        total += let_go
    return total + let_go


def _admit_some() -> int:
    with transaction.atomic():
        execute(reading.lock(reading.ADMITTING_EXECUTIONS))
        now = timezone.now()
        turns, lines, oldest = look(now)
        turns.choose(lines, lambda lane, one: Fit.TAKEN, AT_ONCE)
        ids = [one.pk for _, one in turns.taken]
        let_go = [pk for (pk,) in execute([(_LET_GO, [now, ids])])[0].returned] if ids else []
        for pk in let_go:
            wake_execution(pk)
        if oldest is not None and any(block.limit.resource == LAUNCHES for block in turns.blocked.values()):
            wake_admission_at(oldest + MINUTE)
    return len(ids)


def look(now: datetime) -> tuple[Turns, list[Line], datetime | None]:
    """Who waits, by groups that quotas tell apart, what is used, and the first launch of the last minute."""
    limits, running, lately, heads = (one.returned for one in execute([*_of_use(now), (_HEADS, [])]))
    costs: dict[str, float] = defaultdict(float)
    for project, *_, count, _ in (*running, *lately):
        costs[project] += count * cost(DEMAND)
    times = [row[5] for row in lately if row[5] is not None]
    turns = Turns(_ledger(limits, running, lately), now, dict(costs), Counter())
    return turns, _lines(heads), min(times, default=None)


def used(now: datetime) -> Ledger:
    """What is used, whoever waits."""
    limits, running, lately = (one.returned for one in execute(_of_use(now)))
    return _ledger(limits, running, lately)


def running_in(scope: Scope) -> list[tuple[str, datetime | None]]:
    """Executions of the scope that hold a place: the name of their launch plan, and since when each runs."""
    rows = Execution.objects.filter(of_scope(scope), ended_at=None, is_part=False, waits_since=None)
    rows = rows.exclude(phase=ExecutionPhase.UNDEFINED).order_by("pk")
    name = Coalesce("launch_plan__name", "workflow__name")
    return list(rows.annotate(plan=name).values_list("plan", "started_at")[:MOST_READ])


def launched_in(scope: Scope, now: datetime) -> list[datetime]:
    """When those of the scope were let go within the last minute, the first one first."""
    rows = Execution.objects.filter(of_scope(scope), admitted_at__gt=now - MINUTE).order_by("admitted_at")
    return [at for at in rows.values_list("admitted_at", flat=True)[:MOST_READ] if at is not None]


def of_scope(scope: Scope) -> Q:
    """Which executions it is about."""
    names = {"project": scope.project, "domain": scope.domain, "principal": scope.user}
    names["launch_plan__name"] = scope.launch_plan
    return Q(**{name: value for name, value in names.items() if value})


def _of_use(now: datetime) -> list[Statement]:
    return [reading.limits_statement(now), (_RUNNING, []), (_LATELY, [now - MINUTE])]


def _ledger(limits: list[Any], running: list[Any], lately: list[Any]) -> Ledger:
    ledger = Ledger(of_executions(reading.limits_of(limits)))
    number = 0
    for rows, demand in ((running, {EXECUTIONS: 1.0}), (lately, {LAUNCHES: 1.0})):
        for project, domain, user, plan, count, _ in rows:
            number -= 1  # of no lane that waits
            ledger.hold(Lane(number, project, domain, user, plan, demand=demand), count)
    return ledger


def _lines(heads: list[tuple[Any, ...]]) -> list[Line]:
    waiting: dict[tuple[Any, ...], list[Waiting]] = defaultdict(list)
    for *key, pk, since in heads:
        waiting[tuple(key)].append(Waiting(pk, pk, since))
    lines = []
    for number, ((project, domain, user, plan, priority), ones) in enumerate(waiting.items(), start=1):
        lines.append(Line.of(Lane(number, project, domain, user, plan, priority, DEMAND), ones))
    return lines
