"""What is active, source by source: attempts, executions that have not begun, gates, nodes that wait for themselves.

Each tells of it twice: as facts, of executions that are shown, and as SQL for the states of all (`ranks`), which
follows the same rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import IntegerField, QuerySet, Value
from django.utils import timezone
from flyteidl.admin import execution_pb2

from scheduler import pauses
from scheduler.doing.states import RANKS, Fact, State
from scheduler.models import Execution, Gate, GateKind, NodeExecution, NodeKind
from scheduler.phases import AttemptPhase
from scheduler.quotas import why
from scheduler.quotas.resources import OF_EXECUTIONS
from scheduler.quotas.why import Picture, Queued, Why
from scheduler.statements import Statement, execute


class Source(NamedTuple):
    """`facts`: of these executions themselves. `ranks`: a SELECT of execution and rank (scheduler.doing.states), of all
    that are not ended.
    """

    facts: Callable[[Collection[int]], Iterable[Fact]]
    ranks: Callable[[Picture], Statement]


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
# All that are queued have to be numbered to know the place of one: not where none is asked about (done once).
_ATTEMPTS = """
SELECT execution_id, node_id, phase, min(reason), min(since), count(*), min(place), min(id), executor, cluster, lane
FROM (
    SELECT id, execution_id, node_id, phase, reason, executor, cluster, lane, created_at AS since,
           row_number() OVER (PARTITION BY executor, cluster ORDER BY priority DESC, id) AS place
    FROM scheduler_taskexecution WHERE phase = 1 AND EXISTS (
        SELECT FROM scheduler_taskexecution WHERE phase = 1 AND execution_id = ANY(%s)
    )
    UNION ALL
    SELECT id, execution_id, node_id, phase, reason, '', '', NULL,
           CASE WHEN phase = 2 THEN started_at ELSE updated_at END, NULL
    FROM scheduler_taskexecution WHERE phase IN (2, 6, 7)
) AS active WHERE execution_id = ANY(%s)
GROUP BY execution_id, node_id, phase, executor, cluster, lane, split_part(reason, ':', 1)
"""


def attempts(executions: Collection[int]) -> Iterator[Fact]:
    with connection.cursor() as cursor:
        cursor.execute(_ATTEMPTS, [list(executions)] * 2)
        rows = cursor.fetchall()
    picture = Picture()
    picture.look_at(lane for *_, lane in rows)
    for execution, node, phase, reason, since, count, place, first, executor, cluster, lane in rows:
        told = of_attempt(phase, Queued(executor, cluster, lane, reason, since), picture)
        if told is not None:
            is_blocked = told.why is not None and told.why.code == "quota"
            line = None if is_blocked else place
            yield Fact(execution, node, told.state, told.what, since, count, line, told.why, first)


_ATTEMPT_RANKS = f"""
SELECT execution_id, CASE WHEN reason <> '' OR lane = ANY(%s) OR NOT executor || ' ' || cluster = ANY(%s)
    THEN {RANKS[State.WAITING]} ELSE {RANKS[State.QUEUED]} END
FROM scheduler_taskexecution WHERE phase = {int(AttemptPhase.QUEUED)}
UNION ALL
SELECT execution_id, CASE WHEN phase = {int(AttemptPhase.RUNNING)} THEN {RANKS[State.RUNNING]}
    WHEN phase = {int(AttemptPhase.WAITING_FOR_RESOURCES)} OR split_part(reason, ': ', 1) = ANY(%s)
    THEN {RANKS[State.WAITING]} ELSE {RANKS[State.STARTING]} END
FROM scheduler_taskexecution WHERE phase IN (2, 6, 7)
"""  # noqa: S608 - constants


def attempt_ranks(picture: Picture) -> Statement:
    queued = why.waiting_lanes() if picture.limits else ()
    blocked = [lane.id for lane in queued if picture.block(lane.id) is not None]
    alive = [f"{one.executor} {one.cluster}" for one in picture.alive]
    return _ATTEMPT_RANKS, [blocked, alive, list(why.SAID)]


def admissions(executions: Collection[int]) -> Iterator[Fact]:
    """Executions that have not begun: a quota or a limit of launches keeps them, or those that come first."""
    rows = Execution.objects.filter(waits_since__isnull=False, ended_at__isnull=True, pk__in=executions)
    needed = ("project", "domain", "principal", "waits_since", "created_at", "launch_plan__name")
    for pk, reason in why.of_waiting(list(rows.select_related("launch_plan").only(*needed))).items():
        if reason.code == "priority":
            yield Fact(pk, None, State.QUEUED, "", reason.since, why=reason)
        else:
            yield Fact(pk, None, State.WAITING, _short(reason), reason.since, why=reason)


_ADMISSION_GROUPS = """
SELECT one.project, one.domain, one.principal, coalesce(one.launch_plan_id, 0), coalesce(named.name, '')
FROM (
    SELECT DISTINCT project, domain, principal, launch_plan_id FROM scheduler_execution
    WHERE waits_since IS NOT NULL AND ended_at IS NULL
) AS one LEFT JOIN scheduler_launchplan named ON named.id = one.launch_plan_id
"""
_ADMISSION_RANKS = f"""
SELECT id, CASE WHEN (project, domain, principal, coalesce(launch_plan_id, 0)) IN (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[])
) THEN {RANKS[State.WAITING]} ELSE {RANKS[State.QUEUED]} END
FROM scheduler_execution WHERE waits_since IS NOT NULL AND ended_at IS NULL
"""  # noqa: S608 - constants


def admission_ranks(picture: Picture) -> Statement:
    """Those of the same project, user and launch plan are blocked together."""
    if all(limit.resource not in OF_EXECUTIONS for limit in picture.limits):
        return _ADMISSION_RANKS, [[], [], [], []]
    (groups,) = execute([(_ADMISSION_GROUPS, [])])
    blocked = [group for group in groups.returned if why.keeps(picture, group[0], group[1], group[2], group[4])]
    return _ADMISSION_RANKS, [[group[place] for group in blocked] for place in range(4)]


def _open_gates() -> QuerySet[Gate]:
    return Gate.objects.filter(decided_at__isnull=True, waiting_since__isnull=False, execution__ended_at__isnull=True)


def gate_ranks(picture: Picture) -> Statement:
    return _ranked(_open_gates(), State.GATED)


def gates(executions: Collection[int]) -> Iterator[Fact]:
    rows = _open_gates().filter(execution__in=executions)
    columns = ("execution_id", "node_id", "kind", "signal_id", "waiting_since")
    for execution, node, kind, name, since in rows.values_list(*columns):
        wanted = "an approval" if kind == GateKind.APPROVE else "a value"
        reason = Why("gate", f"{name} has not been decided", since)
        yield Fact(execution, node, State.GATED, f"{wanted}: {name}", since, why=reason)


def node_ranks(picture: Picture) -> Statement:
    parked, values = _ranked(NodeExecution.objects.filter(execution__ended_at__isnull=True, parked=True), State.WAITING)
    paused, more = _ranked(pauses.of(None, now=picture.now), State.WAITING)
    return f"{parked} UNION ALL {paused}", [*values, *more]


def _ranked(rows: QuerySet[Any], state: State) -> Statement:
    ranked = rows.order_by().annotate(rank=Value(RANKS[state], IntegerField()))
    sql, values = ranked.values_list("execution_id", "rank").query.sql_with_params()
    return sql, list(values)


def nodes(executions: Collection[int]) -> Iterator[Fact]:
    """Nodes of which nothing is active: without a slot of max_parallelism, asleep, or to be tried again later. What
    goes on first is told first."""
    rows = NodeExecution.objects.filter(execution__ended_at__isnull=True, parked=True, execution__in=executions)
    columns = ("execution_id", "pk", "parked", "kind", "updated_at", "wake_at")
    paused = pauses.of(executions, now=timezone.now())
    found = list(rows.values_list(*columns).union(paused.values_list(*columns), all=True))
    yield from _parked([row[:2] + row[4:5] for row in found if row[2]])
    for execution, node, _, kind, since, until in sorted((row for row in found if not row[2]), key=itemgetter(5)):
        at = f"{until:%Y-%m-%d %H:%M:%S} UTC"
        what = f"{'a sleep that ends at' if kind == NodeKind.GATE else 'the next try at'} {at}"
        reason = Why("schedule", f"it goes on at {at}", since, starts_at=until)
        yield Fact(execution, node, State.WAITING, what, since, why=reason)


def _parked(found: list[tuple[int, int, datetime]]) -> Iterator[Fact]:
    """With how many places there are, which the executions themselves say."""
    counts = Counter(execution for execution, _, _ in found)
    most = _max_parallelism(list(counts)[:PARALLELISM_TOLD]) if counts else {}
    for execution, node, since in found:
        places = f"one of {most[execution]} places" if execution in most else "a place"
        reason = Why("parallelism", f"{counts[execution]} nodes wait for {places} (max_parallelism)", since)
        what = "a slot: the execution's max parallelism is reached"
        yield Fact(execution, node, State.WAITING, what, since, why=reason)


def _max_parallelism(executions: Collection[int]) -> dict[int, int]:
    specs = Execution.objects.filter(pk__in=executions).values_list("pk", "spec")
    return {pk: execution_pb2.ExecutionSpec.FromString(bytes(spec)).max_parallelism for pk, spec in specs}


SOURCES = [
    Source(attempts, attempt_ranks),
    Source(admissions, admission_ranks),
    Source(gates, gate_ranks),
    Source(nodes, node_ranks),
]
