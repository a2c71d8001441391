"""What an execution, a node or an attempt does right now, in a word and its reason: queued, waiting, starting, running
or gated. Lists, pages, searches, REST and the command line all ask here.

FlyteIDL's phases do not say it: an execution is RUNNING from its first evaluation on, whether its tasks run, wait for a
GPU or for a person. What says it is what is active below it, so each *source* names facts: so many attempts wait for
cpu, this gate is open. Whatever makes things wait adds a source (`SOURCES`), and is seen everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from scheduler import pauses
from scheduler.models import Execution, Gate, GateKind, NodeExecution, NodeKind
from scheduler.phases import AttemptPhase, ExecutionPhase
from scheduler.quotas import why


class State(str, Enum):
    """What something unfinished does. Its value is the word for it, on pages as in searches."""

    QUEUED = "queued"  # its turn will come, nothing is short as far as is known
    WAITING = "waiting"  # for something that is named
    GATED = "gated"  # for a person: an approval or a value
    STARTING = "starting"  # an executor prepares it: a process, a pod, an image
    RUNNING = "running"  # a program of it runs

    @property
    def is_going(self) -> bool:
        """Whether its clock counts: work is done."""
        return self in (State.STARTING, State.RUNNING)


# What an execution of which several things are true is called: the furthest on. A gate is told before a queue, since it
# is somebody's turn.
_RANK = {State.QUEUED: 0, State.WAITING: 1, State.GATED: 2, State.STARTING: 3, State.RUNNING: 4}


@dataclass(frozen=True)
class Fact:
    """`count` things of a node that are in one state. `what`: what it waits for, in words, without "waiting for"."""

    execution: int
    node: int | None
    state: State
    what: str = ""
    since: datetime | None = None
    count: int = 1
    place: int | None = None  # in the line of its executor, from 1


@dataclass(frozen=True)
class Doing:
    """`what` and `since` are those of the state it is called by; `counts`: how many attempts and gates are in which."""

    state: State
    what: str = ""
    since: datetime | None = None
    place: int | None = None
    counts: Mapping[State, int] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """`for cpu 1, third in line`: what follows the word; empty for what simply runs."""
        joined = {State.WAITING: "for ", State.GATED: "for "}.get(self.state, "") + self.what if self.what else ""
        return ", ".join(part for part in (joined, _in_line(self.place)) if part)


def _in_line(place: int | None) -> str:
    return "" if place is None else "next in line" if place == 1 else f"number {place} in line"


Source = Callable[[Collection[int] | None], Iterable[Fact]]


def of_attempt(phase: int, reason: str) -> tuple[State, str] | None:
    """State of one attempt and what it waits for; None: it has ended. The one place that reads an attempt's reason."""
    if phase == AttemptPhase.RUNNING:
        return State.RUNNING, ""
    if phase == AttemptPhase.INITIALIZING:
        return State.STARTING, reason
    if phase in (AttemptPhase.UNDEFINED, AttemptPhase.QUEUED, AttemptPhase.WAITING_FOR_RESOURCES):
        what = reason.removeprefix("waiting for ")
        return (State.WAITING, what) if what else (State.QUEUED, "")
    return None


# Each part has an index of just these rows. Where numbers in a reason differ, what stands before its colon is the same.
# All that are queued have to be numbered to know the place of one: not where none is asked about ({asked}, done once).
_ATTEMPTS = """
SELECT execution_id, node_id, phase, min(reason), min(since), count(*), min(place), lane FROM (
    SELECT execution_id, node_id, phase, reason, lane, created_at AS since,
           row_number() OVER (PARTITION BY executor, cluster ORDER BY priority DESC, id) AS place
    FROM scheduler_taskexecution WHERE phase = 1 {asked}
    UNION ALL
    SELECT execution_id, node_id, phase, reason, NULL, CASE WHEN phase = 2 THEN started_at ELSE updated_at END, NULL
    FROM scheduler_taskexecution WHERE phase IN (2, 6, 7)
) AS active {among} GROUP BY execution_id, node_id, phase, lane, split_part(reason, ':', 1)
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
    blocked = why.blocked({row[7] for row in rows if row[7] is not None})
    for execution, node, phase, reason, since, count, place, lane in rows:
        if block := blocked.get(lane):
            yield Fact(execution, node, State.WAITING, f"a quota: {block.words}", since, count)
        elif told := of_attempt(phase, reason):
            yield Fact(execution, node, *told, since, count, place)


def admissions(executions: Collection[int] | None) -> Iterator[Fact]:
    """Executions that have not begun: a quota or a limit of launches keeps them, or those that come first."""
    rows = Execution.objects.filter(waits_since__isnull=False, ended_at__isnull=True)
    rows = rows if executions is None else rows.filter(pk__in=executions)
    needed = ("project", "domain", "principal", "waits_since", "created_at", "launch_plan__name")
    for pk, reason in why.of_waiting(list(rows.select_related("launch_plan").only(*needed))).items():
        if reason.code == "priority":
            yield Fact(pk, None, State.QUEUED, "", reason.since)
        else:
            yield Fact(pk, None, State.WAITING, f"a {reason.code}: {reason.message}", reason.since)


def gates(executions: Collection[int] | None) -> Iterator[Fact]:
    rows = Gate.objects.filter(decided_at__isnull=True, waiting_since__isnull=False, execution__ended_at__isnull=True)
    rows = rows if executions is None else rows.filter(execution__in=executions)
    columns = ("execution_id", "node_id", "kind", "signal_id", "waiting_since")
    for execution, node, kind, name, since in rows.values_list(*columns):
        wanted = "an approval" if kind == GateKind.APPROVE else "a value"
        yield Fact(execution, node, State.GATED, f"{wanted}: {name}", since)


def nodes(executions: Collection[int] | None) -> Iterator[Fact]:
    """Nodes of which nothing is active: without a slot of max_parallelism, asleep, or to be tried again later."""
    rows = NodeExecution.objects.filter(execution__ended_at__isnull=True, parked=True)
    rows = rows if executions is None else rows.filter(execution__in=executions)
    columns = ("execution_id", "pk", "parked", "kind", "updated_at", "wake_at")
    paused = pauses.of(executions, now=timezone.now())
    for execution, node, parked, kind, since, until in rows.values_list(*columns).union(
        paused.values_list(*columns), all=True
    ):
        if parked:
            what = "a slot: the execution's max parallelism is reached"
        else:
            what = "a sleep that ends at" if kind == NodeKind.GATE else "the next try at"
            what += f" {until:%Y-%m-%d %H:%M:%S} UTC"
        yield Fact(execution, node, State.WAITING, what, since)


SOURCES: list[Source] = [attempts, admissions, gates, nodes]


def facts(executions: Collection[int] | None = None) -> list[Fact]:
    """Of these executions themselves; None: of all."""
    return [fact for source in SOURCES for fact in source(executions)]


def combined(found: Sequence[Fact]) -> Doing | None:
    """One answer for several facts; None for none."""
    if not found:
        return None
    state = max((fact.state for fact in found), key=_RANK.__getitem__)
    counts: dict[State, int] = defaultdict(int)
    for fact in found:
        counts[fact.state] += fact.count
    here = [fact for fact in found if fact.state is state]
    most = max(here, key=lambda fact: fact.count)
    # Of several reasons the one that most wait for is told.
    since = min((fact.since for fact in here if fact.since is not None), default=None)
    place = min((fact.place for fact in here if fact.place is not None), default=None)
    return Doing(state, most.what, since, place, dict(counts))


def of_executions(rows: Iterable[Execution]) -> dict[int, Doing]:
    """By primary key; of those alone that have not ended and are not about to end. Cost follows what they have active.

    An execution that started others does what these do.
    """
    live = {row.pk: row for row in rows if _goes_on(row.phase)}
    if not live:
        return {}
    begun = [pk for pk, row in live.items() if row.phase != ExecutionPhase.UNDEFINED]  # others have nothing yet
    below = _started_by(begun) if begun else {}
    found = _by_execution(facts([*begun, *below]), below) if begun else {}
    return {
        pk: combined(found.get(pk, ())) or _of_engine(row.phase, row.created_at, row.started_at)
        for pk, row in live.items()
    }


def of_execution(row: Execution) -> Doing | None:
    """None: it has ended, or is about to."""
    return of_executions([row]).get(row.pk)


def _goes_on(phase: int) -> bool:
    """Whether its phase says no more than that it has not ended."""
    return phase in (ExecutionPhase.UNDEFINED, ExecutionPhase.QUEUED, ExecutionPhase.RUNNING)


def _of_engine(phase: int, created: datetime, started: datetime | None) -> Doing:
    """Of one with nothing active: it is the engine's turn."""
    if phase == ExecutionPhase.RUNNING:
        return Doing(State.RUNNING, since=started or created)
    return Doing(State.QUEUED, since=created)


class Above(NamedTuple):
    """The execution whose node started another one. `is_near`: they are in the same project and domain."""

    execution: int
    is_near: bool


def _started_by(ids: list[int]) -> dict[int, Above]:
    """Unfinished executions that nodes of these started, at any depth: what is above each."""
    above: dict[int, Above] = {}
    level = ids
    while level:
        started = Execution.objects.filter(parent_node__execution__in=level, ended_at__isnull=True)
        near = Q(project=F("parent_node__execution__project"), domain=F("parent_node__execution__domain"))
        rows = started.annotate(near=near).values_list("pk", "parent_node__execution", "near")
        found = {pk: Above(parent, is_near) for pk, parent, is_near in rows}
        level = [pk for pk in found if pk not in above]
        above |= found
    return above


def _by_execution(found: Iterable[Fact], above: Mapping[int, Above]) -> Mapping[int, list[Fact]]:
    """Each fact at its execution and at all above it. What another project's waits for is not told."""
    kept: dict[int, list[Fact]] = defaultdict(list)
    for fact in found:
        pk, told = fact.execution, fact
        while True:
            kept[pk].append(told)
            if (step := above.get(pk)) is None:
                break
            pk, what = step.execution, told.what if step.is_near or not told.what else "an execution it started"
            told = replace(told, what=what)
    return kept


def of_nodes(execution: Execution, rows: Iterable[NodeExecution]) -> dict[int, Doing]:
    """By primary key; of those that have something active, also below them."""
    shown = list(rows)
    starts = [node.pk for node in shown if node.kind == NodeKind.LAUNCH_PLAN and node.ended_at is None]
    started = Execution.objects.filter(parent_node__in=starts, ended_at__isnull=True) if starts else None
    children = dict(started.values_list("pk", "parent_node")) if started is not None else {}
    below = _started_by([execution.pk]) if children else {}
    found = _by_execution(facts([execution.pk, *below]), below)
    own = [(fact, fact.node) for fact in found[execution.pk] if fact.execution == execution.pk]
    parents = _parents(shown, {fact.node for fact, _ in own if fact.node is not None})
    kept: dict[int, list[Fact]] = defaultdict(list)
    for fact, node in [*own, *((fact, children[pk]) for pk in children for fact in found[pk])]:
        at = node
        while at is not None:
            kept[at].append(fact)
            at = parents.get(at)
    return {pk: doing for pk, here in kept.items() if (doing := combined(here)) is not None}


def _parents(shown: list[NodeExecution], others: set[int]) -> dict[int, int | None]:
    """Of the nodes and all above them: a query for each level that is not shown."""
    known = {node.pk: node.parent_id for node in shown}
    missing = others - known.keys()
    while missing:
        found = dict(NodeExecution.objects.filter(pk__in=missing).values_list("pk", "parent_id"))
        known |= found
        missing = {pk for pk in found.values() if pk is not None} - known.keys()
    return known


_COLUMNS = ("pk", "phase", "created_at", "started_at", "project", "domain")
_ABOVE = ("parent_node__execution", "parent_node__execution__project", "parent_node__execution__domain")


def of_all() -> dict[int, Doing]:
    """Of every execution that goes on: for searches and counts. Cost follows what is active, not what there is."""
    rows = list(Execution.objects.filter(ended_at__isnull=True).values_list(*_COLUMNS, *_ABOVE))
    above = {row[0]: Above(row[6], row[4:6] == row[7:9]) for row in rows if row[6] is not None}
    found = _by_execution(facts(), above) if rows else {}
    return {
        pk: combined(found.get(pk, ())) or _of_engine(phase, created, started)
        for pk, phase, created, started, *_ in rows
        if _goes_on(phase)
    }


def executions_in(*states: State) -> list[int]:
    """Primary keys of the executions that are in one of the states now."""
    return [pk for pk, doing in of_all().items() if doing.state in states]
