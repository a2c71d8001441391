"""Ending attempts of lower priority so that one of higher priority may start, in projects that asked for it.

Decided by whoever sweeps, under the lock of those who admit, from what the database says is held. A victim is asked to
stop as one that is cancelled is; the verdict stands in its row already, so that the end which its executor reports
becomes a system failure that says by whom (scheduler.attempts.reports). One that ends by itself meanwhile has ended so.

Never in a loop: each attempt preempts once, and none is preempted that could not be tried again afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from scheduler.attempts.outcomes import system_failure
from scheduler.attempts.resources import UNITS, Resources
from scheduler.graphs import SYSTEM_RETRIES
from scheduler.models import Execution, ExecutorInstance, Preemption, TaskExecution
from scheduler.phases import ATTEMPT_HELD, AttemptPhase
from scheduler.quotas import lanes, preempting, reading
from scheduler.quotas.preempting import Room, Running, Wanting
from scheduler.quotas.resources import DEFAULT_CPU
from scheduler.quotas.rules import Lane, Limit
from scheduler.quotas.why import AWAY
from scheduler.statements import execute
from scheduler.wake import wake_executor

AFTER = timedelta(seconds=2)  # of waiting: what ends by itself comes first, and other machines with room
AT_ONCE = 50  # that wait, and are looked at in one run
CANDIDATES = 2000
CODE = "Preempted"
_HELD = ", ".join(str(int(phase)) for phase in sorted(ATTEMPT_HELD))
# Queued, or a pod for which no node has enough left
_WAITERS = f"""
SELECT attempt.id, attempt.lane, attempt.executor, attempt.cluster, attempt.resources::text, attempt.phase,
    attempt.execution_id
FROM scheduler_taskexecution attempt JOIN scheduler_lane lane ON lane.id = attempt.lane
WHERE (attempt.phase = {int(AttemptPhase.QUEUED)} AND attempt.created_at < %s
        OR attempt.phase = {int(AttemptPhase.WAITING_FOR_RESOURCES)} AND attempt.updated_at < %s
            AND attempt.reason LIKE 'Unschedulable:%%Insufficient%%')
    AND NOT attempt.cancel_requested AND lane.project = ANY(%s) AND lane.priority > (
        SELECT min(held.priority) FROM scheduler_taskexecution held WHERE held.phase IN ({_HELD})
    )
    AND NOT EXISTS (SELECT FROM scheduler_preemption made WHERE made.by_attempt = attempt.id)
ORDER BY lane.priority DESC, attempt.id LIMIT {AT_ONCE}
"""  # noqa: S608 - constants
_CANDIDATES = f"""
SELECT attempt.id, attempt.lane, attempt.claimed_by, attempt.cluster, attempt.resources::text, attempt.phase,
    coalesce(attempt.started_at, attempt.updated_at)
FROM scheduler_taskexecution attempt JOIN scheduler_lane lane ON lane.id = attempt.lane
WHERE attempt.phase IN ({_HELD}) AND NOT attempt.cancel_requested AND attempt.attempt < {SYSTEM_RETRIES}
    AND lane.project = ANY(%s) AND lane.priority < %s AND lane.demand <> '{{}}'::jsonb
ORDER BY lane.priority, coalesce(attempt.started_at, attempt.updated_at) DESC LIMIT {CANDIDATES}
"""  # noqa: S608 - constants
_ON_MACHINES = f"""
SELECT claimed_by, resources::text, count(*) FROM scheduler_taskexecution
WHERE phase IN ({_HELD}) AND cluster = '' GROUP BY claimed_by, resources::text
"""  # noqa: S608 - constants
_STOP = f"""
UPDATE scheduler_taskexecution SET cancel_requested = true, error = %s, error_retryable = true
WHERE id = %s AND phase IN ({_HELD}) AND NOT cancel_requested RETURNING id
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class _Waiter:
    want: Wanting
    executor: str
    cluster: str
    is_pod: bool  # on a cluster that has no room for it: the quotas let it go already
    execution: int


def preempt(*, now: datetime | None = None) -> int:
    """Ask as many to end as have to, so that what waits and may preempt can start; returns how many."""
    now = now or timezone.now()
    if not any(preempting.takes_part(reading.limits(now)).values()):
        return 0
    with transaction.atomic():
        execute(reading.lock(reading.ADMITTING))
        limits = reading.limits(now)
        said = preempting.takes_part(limits)
        waiters = _waiters(said, now)
        if not waiters:
            return 0
        highest = max(one.want.lane.priority for one in waiters)
        world = _World(limits, _candidates(said, highest), now)
        return sum(_preempt_for(one, world, now) for one in waiters)


def _projects(said: dict[tuple[str, str], bool]) -> list[str]:
    return sorted({project for (project, _), on in said.items() if on})


def _waiters(said: dict[tuple[str, str], bool], now: datetime) -> list[_Waiter]:
    found = _rows(_WAITERS, [now - AFTER, now - AFTER, _projects(said)])
    known = lanes.load({row[1] for row in found})
    return [
        _Waiter(
            Wanting(pk, known[lane], _amounts(resources)),
            executor,
            cluster,
            phase != AttemptPhase.QUEUED,
            execution,
        )
        for pk, lane, executor, cluster, resources, phase, execution in found
        if lane in known and preempting.asked(said, known[lane])
    ]


def _candidates(said: dict[tuple[str, str], bool], below: int) -> list[Running]:
    found = _rows(_CANDIDATES, [_projects(said), below])
    known = lanes.load({row[1] for row in found})
    return [
        Running(pk, known[lane], instance, since, _amounts(resources))
        for pk, lane, instance, _, resources, _, since in found
        if lane in known and preempting.asked(said, known[lane])
    ]


def _rows(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _amounts(resources: str, within: Resources | None = None) -> dict[str, float]:
    needs = Resources.parse(json.loads(resources), default_cpu=DEFAULT_CPU, within=within)
    return {name: float(getattr(needs, name)) for name in UNITS if getattr(needs, name)}


class _World:
    """What is held and what is left, as it will be once those that were asked to end have ended."""

    def __init__(self, limits: tuple[Limit, ...], candidates: list[Running], now: datetime) -> None:
        self.ledger = reading.ledger(limits, reading.held(), now=now)
        self.candidates = candidates
        self.instances = list(ExecutorInstance.objects.filter(seen_at__gt=now - AWAY).order_by("name"))
        self.rooms = self._rooms()

    def _rooms(self) -> dict[str, Room]:
        """Of machines, by the instance that fills each."""
        rooms = {one.name: _capacity(one) for one in self.instances if not one.cluster}
        totals = {one.name: Resources.parse(one.capacity) for one in self.instances}
        for name, resources, count in _rows(_ON_MACHINES, []):
            if name in rooms:
                for what, amount in _amounts(resources, totals[name]).items():
                    rooms[name][what] = rooms[name].get(what, 0.0) - count * amount
        return rooms

    def places(self, waiter: _Waiter) -> dict[str, Room | None]:
        """Where it may start: the machines of its executor, or its cluster, which queues by itself."""
        here = [one for one in self.instances if (one.executor, one.cluster) == (waiter.executor, waiter.cluster)]
        return {one.name: self.rooms.get(one.name) for one in here}

    def take(self, waiter: _Waiter, place: str, gone: Iterable[Running]) -> None:
        for one in gone:
            self.candidates.remove(one)
            self.ledger.hold(one.lane, -1)
            self._change(one.place, one.needs, 1)
        if not waiter.is_pod:
            self.ledger.hold(waiter.want.lane)
        self._change(place, waiter.want.needs, -1)

    def _change(self, place: str, needs: Mapping[str, float], times: int) -> None:
        if (room := self.rooms.get(place)) is not None:
            for name, amount in needs.items():
                room[name] = room.get(name, 0.0) + times * amount


def _capacity(instance: ExecutorInstance) -> Room:
    return {name: float(amount) for name, amount in instance.capacity.items()}


def _preempt_for(waiter: _Waiter, world: _World, now: datetime) -> int:
    if waiter.is_pod:
        place, gone, short = "", _in_place_of(waiter, world), _lacks(["room on a node"])
    else:
        place, gone, short = _cheapest(waiter, world)
    if not gone:
        return 0
    world.take(waiter, place, gone)
    return _ask_to_end(waiter, gone, short, now)


def _cheapest(waiter: _Waiter, world: _World) -> tuple[str, list[Running], str]:
    """Where the fewest have to go, who these are, and what it is short of there."""
    want, ledger = waiter.want, world.ledger
    block = ledger.block(want.lane)
    if ledger.never(want.lane) is not None:
        return "", [], ""
    found: list[tuple[str, list[Running], str]] = []
    for place, room in world.places(waiter).items():
        short = preempting.short(room, want.needs)
        if block is None and not short:
            return "", [], ""  # it starts as it is
        if gone := preempting.victims(want, world.candidates, ledger, room, place):
            found.append((place, gone, block.words if block else _lacks(UNITS[name] for name in sorted(short))))
    return min(found, key=lambda one: (len(one[1]), [preempting.price(gone) for gone in one[1]]), default=("", [], ""))


def _in_place_of(waiter: _Waiter, world: _World) -> list[Running]:
    """One that runs on that cluster and has at least what the pod asks for: its node has room for it afterwards."""
    here = {one.name for one in world.instances if one.cluster == waiter.cluster}
    demand = waiter.want.lane.demand
    fitting = [
        one
        for one in world.candidates
        if one.place in here
        and one.lane.priority < waiter.want.lane.priority
        and all(one.lane.demand.get(name, 0.0) >= amount for name, amount in demand.items())
    ]
    return [min(fitting, key=preempting.price)] if fitting else []


def _lacks(names: Iterable[str]) -> str:
    return f"was short of {', '.join(names)}"


def _said(of: Execution, lane: Lane, short: str) -> str:
    """To those of the lane: they may not be readers of another project, or of another domain."""
    if (of.project, of.domain) == (lane.project, lane.domain):
        return f"preempted for the execution {of.key}, which has a higher priority: it {short}"
    return "preempted for an execution of another project or domain, which has a higher priority"


def _ask_to_end(waiter: _Waiter, gone: Sequence[Running], short: str, now: datetime) -> int:
    of = Execution.objects.only("project", "domain", "name").get(pk=waiter.execution)
    made: list[Preemption] = []
    for one in gone:
        message = _said(of, one.lane, short)
        if _rows(_STOP, [system_failure(CODE, message).error, one.pk]):
            attempt = {"attempt_id": one.pk, "by_attempt": waiter.want.pk}
            made.append(Preemption(**attempt, by_execution=of.key, message=message, at=now))
    asked = [row.attempt_id for row in made]
    rows = TaskExecution.objects.filter(pk__in=asked)
    Preemption.objects.bulk_create(made)
    for executor, cluster in set(rows.values_list("executor", "cluster")):
        wake_executor(executor, cluster)
    return len(asked)
