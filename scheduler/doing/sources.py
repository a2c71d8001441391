"""What is active, source by source: attempts, executions that have not begun, gates, nodes that wait for themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from django.db import connection
from django.utils import timezone
from flyteidl.admin import execution_pb2

from scheduler import pauses
from scheduler.doing.states import Fact, State
from scheduler.models import Execution, Gate, GateKind, NodeExecution, NodeKind
from scheduler.phases import AttemptPhase
from scheduler.quotas import why
from scheduler.quotas.why import Picture, Queued, Why

Source = Callable[[Collection[int] | None], Iterable[Fact]]
PARALLELISM_TOLD = 200  # executions whose max_parallelism is looked up at once


class Told(NamedTuple):
    """Of one attempt: its state, what it waits for in short, and why."""

    state: State
    what: str = ""
    why: Why | None = None


def state_of(phase: int, reason: str) -> State | None:
    """By its row alone, whatever quotas say: for drawings of thousands. None: it has ended."""
    if phase == AttemptPhase.RUNNING:
        return State.RUNNING
    if phase == AttemptPhase.INITIALIZING:
        return State.WAITING if why.says_waiting(reason) else State.STARTING
    if phase == AttemptPhase.WAITING_FOR_RESOURCES:
        return State.WAITING
    if phase in (AttemptPhase.UNDEFINED, AttemptPhase.QUEUED):
        return State.WAITING if reason else State.QUEUED
    return None


def of_attempt(phase: int, queued: Queued, picture: Picture) -> Told | None:
    """None: it has ended. The one place that reads an attempt's phase, reason and lane. `queued`: what is known of it,
    whether or not it is still in a queue."""
    state = state_of(phase, queued.reason)
    if state is None or state is State.RUNNING:
        return Told(state) if state is not None else None
    if state is State.STARTING:
        return Told(state, queued.reason)
    what = queued.reason.removeprefix("waiting for ")
    if phase in (AttemptPhase.INITIALIZING, AttemptPhase.WAITING_FOR_RESOURCES):
        return Told(state, what, why.of_held(queued.reason, queued.since))
    found = why.of_queued(queued, picture)
    if found.code == "priority":
        return Told(State.QUEUED, "", found)
    return Told(State.WAITING, what if found.code == "capacity" else _short(found), found)


def _short(found: Why) -> str:
    return f"a {found.code}: {found.message}" if found.code in ("quota", "launch limit") else found.message


# Each part has an index of just these rows. Where numbers in a reason differ, what stands before its colon is the same.
# All that are queued have to be numbered to know the place of one: not where none is asked about ({asked}, done once).
_ATTEMPTS = """
SELECT execution_id, node_id, phase, min(reason), min(since), count(*), min(place), min(id), executor, cluster, lane
FROM (
    SELECT id, execution_id, node_id, phase, reason, executor, cluster, lane, created_at AS since,
           row_number() OVER (PARTITION BY executor, cluster ORDER BY priority DESC, id) AS place
    FROM scheduler_taskexecution WHERE phase = 1 {asked}
    UNION ALL
    SELECT id, execution_id, node_id, phase, reason, '', '', NULL,
           CASE WHEN phase = 2 THEN started_at ELSE updated_at END, NULL
    FROM scheduler_taskexecution WHERE phase IN (2, 6, 7)
) AS active {among}
GROUP BY execution_id, node_id, phase, executor, cluster, lane, split_part(reason, ':', 1)
"""


_QUEUED = "SELECT FROM scheduler_taskexecution WHERE phase = 1 AND execution_id = ANY(%s)"


def attempts(executions: Collection[int] | None) -> Iterator[Fact]:
    sql, parameters = _ATTEMPTS.format(asked="", among=""), []
    if executions is not None:
        parameters = [list(executions)] * 2
        sql = _ATTEMPTS.format(asked=f"AND EXISTS ({_QUEUED})", among="WHERE execution_id = ANY(%s)")
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    picture = Picture()
    picture.look_at(lane for *_, lane in rows)
    for execution, node, phase, reason, since, count, place, first, executor, cluster, lane in rows:
        told = of_attempt(phase, Queued(executor, cluster, lane, reason, since), picture)
        if told is not None:
            is_blocked = told.why is not None and told.why.code == "quota"
            line = None if is_blocked else place
            yield Fact(execution, node, told.state, told.what, since, count, line, told.why, first)


def admissions(executions: Collection[int] | None) -> Iterator[Fact]:
    """Executions that have not begun: a quota or a limit of launches keeps them, or those that come first."""
    rows = Execution.objects.filter(waits_since__isnull=False, ended_at__isnull=True)
    rows = rows if executions is None else rows.filter(pk__in=executions)
    needed = ("project", "domain", "principal", "waits_since", "created_at", "launch_plan__name")
    for pk, reason in why.of_waiting(list(rows.select_related("launch_plan").only(*needed))).items():
        if reason.code == "priority":
            yield Fact(pk, None, State.QUEUED, "", reason.since, why=reason)
        else:
            yield Fact(pk, None, State.WAITING, _short(reason), reason.since, why=reason)


def gates(executions: Collection[int] | None) -> Iterator[Fact]:
    rows = Gate.objects.filter(decided_at__isnull=True, waiting_since__isnull=False, execution__ended_at__isnull=True)
    rows = rows if executions is None else rows.filter(execution__in=executions)
    columns = ("execution_id", "node_id", "kind", "signal_id", "waiting_since")
    for execution, node, kind, name, since in rows.values_list(*columns):
        wanted = "an approval" if kind == GateKind.APPROVE else "a value"
        reason = Why("gate", f"{name} has not been decided", since)
        yield Fact(execution, node, State.GATED, f"{wanted}: {name}", since, why=reason)


def nodes(executions: Collection[int] | None) -> Iterator[Fact]:
    """Nodes of which nothing is active: without a slot of max_parallelism, asleep, or to be tried again later. What
    goes on first is told first."""
    rows = NodeExecution.objects.filter(execution__ended_at__isnull=True, parked=True)
    rows = rows if executions is None else rows.filter(execution__in=executions)
    columns = ("execution_id", "pk", "parked", "kind", "updated_at", "wake_at")
    paused = pauses.of(executions, now=timezone.now())
    found = list(rows.values_list(*columns).union(paused.values_list(*columns), all=True))
    yield from _parked([row[:2] + row[4:5] for row in found if row[2]], told=executions is not None)
    for execution, node, _, kind, since, until in sorted((row for row in found if not row[2]), key=itemgetter(5)):
        at = f"{until:%Y-%m-%d %H:%M:%S} UTC"
        what = f"{'a sleep that ends at' if kind == NodeKind.GATE else 'the next try at'} {at}"
        reason = Why("schedule", f"it goes on at {at}", since, starts_at=until)
        yield Fact(execution, node, State.WAITING, what, since, why=reason)


def _parked(found: list[tuple[int, int, datetime]], *, told: bool) -> Iterator[Fact]:
    """`told`: with how many places there are, which the executions themselves say."""
    counts = Counter(execution for execution, _, _ in found)
    most = _max_parallelism(list(counts)[:PARALLELISM_TOLD]) if counts and told else {}
    for execution, node, since in found:
        places = f"one of {most[execution]} places" if execution in most else "a place"
        reason = Why("parallelism", f"{counts[execution]} nodes wait for {places} (max_parallelism)", since)
        what = "a slot: the execution's max parallelism is reached"
        yield Fact(execution, node, State.WAITING, what, since, why=reason)


def _max_parallelism(executions: Collection[int]) -> dict[int, int]:
    specs = Execution.objects.filter(pk__in=executions).values_list("pk", "spec")
    return {pk: execution_pb2.ExecutionSpec.FromString(bytes(spec)).max_parallelism for pk, spec in specs}
