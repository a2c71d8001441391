"""What an execution, a node or an attempt does right now, in a word and its reason: queued, waiting, starting, running
or gated. Lists, pages, searches, REST and the command line all ask here.

FlyteIDL's phases do not say it: an execution is RUNNING from its first evaluation on, whether its tasks run, wait for a
GPU or for a person. What says it is what is active below it, so each *source* names facts: so many attempts wait for
cpu, this gate is open. Whatever makes things wait adds a source (`sources.SOURCES`), and is seen everywhere.
Searches and counts ask `scheduler.doing.everywhere`, which knows the states of all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from django.db.models import F, Q

from scheduler.doing import sources
from scheduler.doing.everywhere import GOES_ON
from scheduler.doing.sources import of_attempt
from scheduler.doing.sources import state_of as state_of
from scheduler.doing.states import Doing as Doing
from scheduler.doing.states import Fact as Fact
from scheduler.doing.states import State as State
from scheduler.doing.states import combined
from scheduler.models import Execution, NodeExecution, NodeKind, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, AttemptPhase, ExecutionPhase
from scheduler.quotas import why
from scheduler.quotas.why import Picture, Queued


def facts(executions: Collection[int]) -> list[Fact]:
    """Of these executions themselves."""
    return [fact for source in sources.SOURCES for fact in source.facts(executions)]


def of_executions(rows: Iterable[Execution]) -> dict[int, Doing]:
    """By primary key; of those alone that have not ended and are not about to end. Cost follows what they have active.

    An execution that started others does what these do.
    """
    live = {row.pk: row for row in rows if _goes_on(row.phase)}
    if not live:
        return {}
    # Of one that nobody has looked at yet there is nothing else.
    begun = [pk for pk, row in live.items() if row.phase != ExecutionPhase.UNDEFINED or row.waits_since is not None]
    below = _started_by(begun) if begun else {}
    found = _by_execution(facts([*begun, *below]), below) if begun else {}
    return {
        pk: combined(found.get(pk, ())) or _of_engine(row.phase, row.created_at, row.started_at)
        for pk, row in live.items()
    }


def of_execution(row: Execution) -> Doing | None:
    """With its place in line; None: it has ended, or is about to."""
    now = of_executions([row]).get(row.pk)
    if now is None or now.why is None or now.state.is_going:
        return now
    if row.waits_since is not None:
        return now.placed(why.place_of_execution(row, Picture()))
    if now.first is None:
        return now
    attempt = TaskExecution.objects.defer("command").filter(pk=now.first, phase=AttemptPhase.QUEUED).first()
    return now.placed(why.place_of_attempt(attempt, Picture())) if attempt is not None else now


def of_attempts(rows: Iterable[TaskExecution]) -> dict[int, Doing]:
    """By primary key; of those that have not ended. Of a single one with its place in line."""
    live = [row for row in rows if row.phase not in ATTEMPT_TERMINAL]
    if not live:
        return {}
    picture = Picture()
    picture.look_at(row.lane for row in live if row.phase == AttemptPhase.QUEUED)
    found: dict[int, Doing] = {}
    for row in live:
        since = row.created_at if row.phase == AttemptPhase.QUEUED else row.updated_at
        queued = Queued(row.executor, row.cluster, row.lane, row.reason, since)
        if told := of_attempt(row.phase, queued, picture):
            found[row.pk] = Doing(told.state, told.what, since, None, {told.state: 1}, told.why, row.pk)
    if len(live) == 1 and live[0].phase == AttemptPhase.QUEUED and live[0].pk in found:
        found[live[0].pk] = found[live[0].pk].placed(why.place_of_attempt(live[0], picture))
    return found


def _goes_on(phase: int) -> bool:
    """Whether its phase says no more than that it has not ended."""
    return phase in GOES_ON


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
            pk, told = step.execution, told if step.is_near else _hidden(told)
    return kept


def _hidden(fact: Fact) -> Fact:
    what = fact.what and "an execution it started"
    told = replace(fact.why, message="an execution it started waits") if fact.why is not None else None
    return replace(fact, what=what, why=told, first=None)


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
