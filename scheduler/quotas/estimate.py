"""About when something that waits starts: from how long what runs has run, and how long the same took before.

Honest rather than complete: where nothing is known of how long those in the way take, there is no estimate.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from math import inf, isinf
from typing import Any

from django.db import connection

from scheduler.models import TaskExecution
from scheduler.phases import ATTEMPT_HELD, AttemptPhase, ExecutionPhase
from scheduler.quotas import admission, lanes
from scheduler.quotas.resources import EXECUTIONS, HOURS, LAUNCHES
from scheduler.quotas.rules import EPSILON, Block, Lane, Ledger, Limit
from scheduler.quotas.used import window_end

FRESH_SECONDS = 10.0  # for so long a process keeps what it found out of earlier runs
LOOKED_AT = 5_000  # of the newest attempts, or executions, those that succeeded say how long their kind takes
OVERDUE = 0.25  # what took longer than usual is taken to last so much of its time longer
STEPS = 5_000  # of the line that are followed one by one; the rest goes on at that rate
_HELD = ", ".join(str(int(phase)) for phase in sorted(ATTEMPT_HELD))
_TYPICAL = f"""
SELECT task_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - started_at)::float8)
FROM scheduler_taskexecution
WHERE id > (SELECT coalesce(max(id), 0) FROM scheduler_taskexecution) - {LOOKED_AT}
    AND phase = {int(AttemptPhase.SUCCEEDED)} AND started_at IS NOT NULL AND task_id IS NOT NULL
GROUP BY task_id
"""  # noqa: S608 - constants
_TYPICAL_PLANS = f"""
SELECT coalesce(plan.name, workflow.name),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM run.ended_at - run.started_at)::float8)
FROM scheduler_execution run JOIN scheduler_workflow workflow ON workflow.id = run.workflow_id
LEFT JOIN scheduler_launchplan plan ON plan.id = run.launch_plan_id
WHERE run.id > (SELECT coalesce(max(id), 0) FROM scheduler_execution) - {LOOKED_AT}
    AND run.phase = {int(ExecutionPhase.SUCCEEDED)} AND run.started_at IS NOT NULL
GROUP BY 1
"""  # noqa: S608 - constants
_RUNNING = f"""
SELECT lane, task_id, started_at FROM scheduler_taskexecution WHERE phase IN ({_HELD}) AND {{}} LIMIT {STEPS}
"""  # noqa: S608 - constants
_AHEAD = f"""
SELECT lane, task_id, count(*) FROM scheduler_taskexecution
WHERE phase = {int(AttemptPhase.QUEUED)} AND (priority > %s OR priority = %s AND id < %s) AND {{}}
GROUP BY lane, task_id
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Group:
    """Some that stand in line before it: what each asks for, and how long each takes; infinite: nobody knows."""

    asks: float
    seconds: float
    count: int = 1


def wait(free: float, ends: Sequence[tuple[float, float]], line: Iterable[Group], asks: float) -> float | None:
    """Seconds until `asks` is free; None: nobody can tell.

    `free`: what is left now. `ends`: what runs, as seconds from now and what it gives back. `line`: who comes first.
    """
    heap = [end for end in ends if not isinf(end[0])]
    heapq.heapify(heap)
    groups, at, steps = list(line), 0.0, 0
    for group in (*groups, Group(asks, 0.0)):
        for _ in range(group.count):
            if steps == STEPS:
                return at * sum(one.count for one in groups) / STEPS
            while free < group.asks - EPSILON:
                if not heap:
                    return None
                at, back = heapq.heappop(heap)
                free += back
            free -= group.asks
            steps += 1
            if not isinf(group.seconds):
                heapq.heappush(heap, (at + group.seconds, group.asks))
    return at


def remaining(since: datetime | None, typical: float | None, now: datetime) -> float:
    """Seconds that something which runs, or is about to, still takes; infinite: nobody knows."""
    if typical is None:
        return inf
    ran = (now - since).total_seconds() if since is not None else 0.0
    return typical - ran if ran <= typical else ran * OVERDUE


def typical_tasks() -> Mapping[int, float]:
    """Seconds by task (its key): the median of those that ended lately."""
    return _typical(_TYPICAL, int(time.monotonic() / FRESH_SECONDS))


def typical_plans() -> Mapping[str, float]:
    """As `typical_tasks`, of executions by the name of their launch plan."""
    return _typical(_TYPICAL_PLANS, int(time.monotonic() / FRESH_SECONDS))


@lru_cache(maxsize=4)
def _typical(sql: str, tick: int) -> Mapping[Any, float]:
    return dict(_rows(sql, []))


def of_attempt(
    row: TaskExecution, block: Block | None, ledger: Ledger | None, total: Mapping[str, float], *, now: datetime
) -> datetime | None:
    """Of a queued attempt. `total`: what the machines of its executor have, where that is known."""
    if block is not None and ledger is not None:
        return _of_block(row, block, ledger, now)
    return _of_room(row, total, now)


def _of_block(row: TaskExecution, block: Block, ledger: Ledger, now: datetime) -> datetime | None:
    limit = block.limit
    if limit.resource in HOURS:
        return window_end(limit.window, now)
    if limit.limit + EPSILON < block.asks:
        return None  # only another limit lets it start
    known = _counted(limit, ledger)
    where, ids = "lane = ANY(%s)", list(known)
    ends = [(remaining(since, typical_tasks().get(task), now), known[lane]) for lane, task, since in
            _rows(_RUNNING.format(where), [ids])]  # fmt: skip
    line = [Group(known[lane], typical_tasks().get(task, inf), count) for lane, task, count in
            _rows(_AHEAD.format(where), [row.priority, row.priority, row.pk, ids])]  # fmt: skip
    return _at(now, wait(max(0.0, limit.limit - block.used - block.kept), ends, line, block.asks))


def _counted(limit: Limit, ledger: Ledger) -> dict[int, float]:
    """The lanes in use that the limit counts, and what one of each asks for."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT lane FROM scheduler_taskexecution WHERE phase IN (1, {_HELD})")  # noqa: S608
        numbers = [number for (number,) in cursor.fetchall() if number is not None]
    found: dict[int, float] = {}
    for lane in lanes.load(numbers).values():
        for one, asks in ledger.covering(lane):
            if one.id == limit.id:
                found[lane.id] = asks
    return found


_SHORT = {"cpu": "cpu", "memory": "memory", "gpu": "gpu", "ephemeral storage": "ephemeral_storage"}


def _of_room(row: TaskExecution, total: Mapping[str, float], now: datetime) -> datetime | None:
    """By what it is short of, in the words of its reason; else each end lets the next one in."""
    short = next((name for words, name in _SHORT.items() if row.reason.startswith(f"waiting for {words} ")), "")
    if short and not total.get(short):
        short = ""
    where, place = "executor = %s AND cluster = %s", [row.executor, row.cluster]
    held = _rows(_RUNNING.format(where), place)
    ahead = _rows(_AHEAD.format(where), [row.priority, row.priority, row.pk, *place])
    amounts = lanes.load({lane for lane in (row.lane, *(one[0] for one in (*held, *ahead))) if lane is not None})

    def amount(lane: int | None) -> float:
        return _of(amounts.get(lane or 0), short) if short else 1.0

    ends = [(remaining(since, typical_tasks().get(task), now), amount(lane)) for lane, task, since in held]
    line = [Group(amount(lane), typical_tasks().get(task, inf), count) for lane, task, count in ahead]
    free = max(0.0, total[short] - sum(back for _, back in ends)) if short else 0.0
    return _at(now, wait(free, ends, line, amount(row.lane)))


def _of(lane: Lane | None, name: str) -> float:
    words = {"gpu": "nvidia.com/gpu", "ephemeral_storage": "ephemeral-storage"}
    return lane.demand.get(words.get(name, name), 0.0) if lane is not None else 0.0


def of_execution(block: Block | None, place: int, now: datetime) -> datetime | None:
    """Of an execution that waits for a quota of executions or launches: the number `place` in that line."""
    if block is None:
        return None
    limit = block.limit
    if limit.resource == LAUNCHES:
        return _of_launches(limit, place, now)
    if limit.resource != EXECUTIONS or limit.limit < 1:
        return None
    ends, mean = [], _mean(typical_plans().values())
    for plan, started in islice(admission.running_in(limit.scope), STEPS):
        ends.append((remaining(started, typical_plans().get(plan), now), 1.0))
    return _at(now, wait(max(0.0, limit.limit - block.used), ends, [Group(1.0, mean, place - 1)], 1.0))


def _mean(seconds: Iterable[float]) -> float:
    known = list(seconds)
    return sum(known) / len(known) if known else inf


def _of_launches(limit: Limit, place: int, now: datetime) -> datetime | None:
    """So many a minute: each that started makes room a minute later."""
    if limit.limit < 1:
        return None
    lately = admission.launched_in(limit.scope, now)
    rounds, rest = divmod(place - 1, int(limit.limit))
    first = lately[min(rest, len(lately) - 1)] if lately else now - admission.MINUTE
    return max(now, first + (rounds + 1) * admission.MINUTE)


def _at(now: datetime, seconds: float | None) -> datetime | None:
    return now + timedelta(seconds=seconds) if seconds is not None else None


def _rows(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
