"""About when something that waits starts: from how long what runs has run, and how long the same took before.

Honest rather than complete: where nothing is known of how long those in the way take, there is no estimate.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import islice
from math import inf, isinf
from typing import Any

from django.db import connection

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
SELECT lane, task_id, executor, cluster, started_at FROM scheduler_taskexecution
WHERE phase IN ({_HELD}) LIMIT {STEPS}
"""  # noqa: S608 - constants
_AHEAD = f"""
SELECT lane, task_id, executor, cluster, count(*) FROM scheduler_taskexecution
WHERE phase = {int(AttemptPhase.QUEUED)} AND (priority > %s OR priority = %s AND id < %s) GROUP BY 1, 2, 3, 4
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


class Attempts:
    """Those that executors hold, and what is known of their kind; read when they are first asked for."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    @cached_property
    def held(self) -> list[tuple[Any, ...]]:
        """Lane, task, executor, cluster and since when each runs."""
        return _rows(_RUNNING, [])

    def starts_at(
        self, one: Asking, block: Block | None, ledger: Ledger | None, total: Mapping[str, float]
    ) -> datetime | None:
        """`block`: what keeps it from starting, of that ledger; else it waits for room. `total`: what the machines of
        its executor have, where that is known."""
        if block is not None and block.limit.resource in HOURS:
            return window_end(block.limit.window, self.now)
        if block is not None and block.limit.limit + EPSILON < block.asks:
            return None  # only another limit lets it start
        ahead = _rows(_AHEAD, [one.priority, one.priority, one.pk]) if one.pk else []
        found = (row[0] for row in (*self.held, *ahead) if row[0] is not None)
        known = lanes.load({*found, *([one.lane] if one.lane is not None else [])})
        counts = _under(block.limit, ledger) if block is not None and ledger is not None else _at(one, total)
        ends = [
            (remaining(since, typical_tasks().get(task), self.now), amount)
            for lane, task, *place, since in self.held
            if (amount := counts(known.get(lane), *place))
        ]
        line = [
            Group(amount, typical_tasks().get(task, inf), count)
            for lane, task, *place, count in ahead
            if (amount := counts(known.get(lane), *place))
        ]
        asks = counts(known.get(one.lane or 0), one.executor, one.cluster)
        return _after(self.now, wait(self._free(one, block, total, ends), ends, line, asks))

    def _free(
        self, one: Asking, block: Block | None, total: Mapping[str, float], ends: list[tuple[float, float]]
    ) -> float:
        if block is not None:
            return max(0.0, block.limit.limit - block.used - block.kept)
        name = one.short
        return max(0.0, total[name] - sum(amount for _, amount in ends)) if total.get(name) else 0.0


@dataclass(frozen=True)
class Asking:
    """A queued attempt; `pk` 0: the first in its line."""

    pk: int
    priority: int
    lane: int | None
    executor: str
    cluster: str
    reason: str

    @property
    def short(self) -> str:
        """What its machine is short of, by the name that machines have for it; empty: it is not said."""
        return next((name for words, name in _SHORT.items() if self.reason.startswith(f"waiting for {words} ")), "")


Amount = Callable[[Lane | None, str, str], float]
_SHORT = {"cpu": "cpu", "memory": "memory", "gpu": "gpu", "ephemeral storage": "ephemeral_storage"}
_NAMES = {"gpu": "nvidia.com/gpu", "ephemeral_storage": "ephemeral-storage"}


def _under(limit: Limit, ledger: Ledger) -> Amount:
    """How much one of a lane counts under the limit."""

    def amount(lane: Lane | None, executor: str, cluster: str) -> float:
        covering = ledger.covering(lane) if lane is not None else []
        return next((asks for one, asks in covering if one.id == limit.id), 0.0)

    return amount


def _at(one: Asking, total: Mapping[str, float]) -> Amount:
    """How much one of a lane takes of what it is short of at that executor; else each end lets the next one in."""
    name = one.short if total.get(one.short) else ""

    def amount(lane: Lane | None, executor: str, cluster: str) -> float:
        if (executor, cluster) != (one.executor, one.cluster):
            return 0.0
        return 1.0 if not name else lane.demand.get(_NAMES.get(name, name), 0.0) if lane is not None else 0.0

    return amount


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
    return _after(now, wait(max(0.0, limit.limit - block.used), ends, [Group(1.0, mean, place - 1)], 1.0))


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


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return now + timedelta(seconds=seconds) if seconds is not None else None


def _rows(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
