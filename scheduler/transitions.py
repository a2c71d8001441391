"""The only writer of execution and node phases: compare-and-set by the tables of `scheduler.phases`, with PhaseEvents.

(Attempts are moved by `scheduler.actions.attempts`, which follows the same rules.)
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db import connection

from artifacts.arrays import column_of
from artifacts.prepared import prepared
from scheduler.announce import tell
from scheduler.models import Execution, PhaseEvent
from scheduler.phases import (
    EXECUTION_TERMINAL,
    EXECUTION_TRANSITIONS,
    NODE_TERMINAL,
    NODE_TRANSITIONS,
    ExecutionPhase,
    Machine,
    NodePhase,
)
from scheduler.statements import assignments, execute

logger = logging.getLogger(__name__)


class StaleTransition(Exception):
    """A row was not in the phase the writer expected. The whole evaluation is rolled back and done again."""


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    """All engine columns of one existing node, as they shall be. `expected` is the phase that was read."""

    pk: int
    expected: int
    phase: int
    waiting_on: int
    parked: bool
    attempts: int
    user_failures: int
    system_failures: int
    input_uri: str
    output_uri: str
    deck_uri: str
    dynamic_uri: str
    error: bytes | None
    cache_status: int
    cache_key: str
    fingerprint: str
    recovered_from: int | None
    state: dict[str, Any]
    started_at: datetime | None
    ended_at: datetime | None
    wake_at: datetime | None


# An executor may have marked a QUEUED node RUNNING since it was read: accepted, and kept unless the node moves on.
_UPDATE_NODES = """
    UPDATE scheduler_nodeexecution n SET
        phase = CASE WHEN v.phase = v.expected THEN n.phase ELSE v.phase END,
        waiting_on = v.waiting_on, parked = v.parked, attempts = v.attempts,
        user_failures = v.user_failures, system_failures = v.system_failures,
        input_uri = CASE WHEN v.input_uri = '' THEN n.input_uri ELSE v.input_uri END,
        output_uri = CASE WHEN v.output_uri = '' THEN n.output_uri ELSE v.output_uri END,
        deck_uri = CASE WHEN v.deck_uri = '' THEN n.deck_uri ELSE v.deck_uri END,
        dynamic_uri = CASE WHEN v.dynamic_uri = '' THEN n.dynamic_uri ELSE v.dynamic_uri END,
        is_dynamic = n.is_dynamic OR v.dynamic_uri <> '',
        error = v.error,
        cache_status = CASE WHEN v.cache_status = 0 THEN n.cache_status ELSE v.cache_status END,
        cache_key = CASE WHEN v.cache_key = '' THEN n.cache_key ELSE v.cache_key END,
        fingerprint = CASE WHEN v.fingerprint = '' THEN n.fingerprint ELSE v.fingerprint END,
        recovered_from = COALESCE(v.recovered_from, n.recovered_from),
        state = v.state, updated_at = %s::timestamptz,
        started_at = COALESCE(n.started_at, v.started_at), ended_at = v.ended_at, wake_at = v.wake_at
    FROM unnest(
        %s::bigint[], %s::int[], %s::int[], %s::int[], %s::bool[], %s::int[], %s::int[], %s::int[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::bytea[], %s::int[], %s::text[], %s::text[], %s::bigint[],
        %s::jsonb[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[]
    ) AS v(
        id, expected, phase, waiting_on, parked, attempts, user_failures, system_failures, input_uri, output_uri,
        deck_uri, dynamic_uri, error, cache_status, cache_key, fingerprint, recovered_from, state, started_at, ended_at,
        wake_at
    )
    WHERE n.id = v.id AND (n.phase = v.expected OR (v.expected = 1 AND n.phase = 2))
"""


_NODE_COLUMNS = tuple(field.name for field in fields(NodeUpdate))


def write_nodes(updates: Sequence[NodeUpdate], *, at: datetime) -> None:
    """Write existing nodes. StaleTransition if one of them was moved by somebody else."""
    ordered = sorted(updates, key=lambda update: update.pk)
    columns = {name: [getattr(update, name) for update in ordered] for name in _NODE_COLUMNS}
    columns["state"] = [json.dumps(state) for state in columns["state"]]
    with prepared() as cursor:
        cursor.execute(_UPDATE_NODES, [at.isoformat(), *(column_of(values) for values in columns.values())])
        touched = cursor.rowcount
    if touched != len(updates):
        raise StaleTransition(f"{len(updates) - touched} of {len(updates)} nodes were moved by somebody else")


def check_node_move(before: int, after: int) -> None:
    """StaleTransition for a move that the table does not have; the engine makes none."""
    if NodePhase(after) not in NODE_TRANSITIONS[NodePhase(before)]:
        raise StaleTransition(f"a node cannot go from {NodePhase(before).label} to {NodePhase(after).label}")


# The reporter holds its attempt's row; nodes are only ever locked after attempts, so nobody waits in a circle.
_NODES_RUNNING = """
    WITH moved AS (
        UPDATE scheduler_nodeexecution SET phase = 2, started_at = COALESCE(started_at, %s), updated_at = %s
        WHERE id = ANY(%s) AND phase = 1 RETURNING id, execution_id
    )
    INSERT INTO scheduler_phaseevent (execution_id, machine, object_id, from_phase, to_phase, at, reason, actor)
    SELECT execution_id, 'node', id, 1, 2, %s, '', %s FROM moved
"""


def nodes_running(node_ids: Iterable[int], *, at: datetime, actor: str) -> None:
    """QUEUED -> RUNNING for nodes whose attempts began to run; nothing waits for that, so the engine is not asked."""
    ids = sorted(set(node_ids))
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(_NODES_RUNNING, [at, at, ids, at, actor])


_NODES_ABORTED = """
    WITH found AS (
        SELECT id, phase FROM scheduler_nodeexecution WHERE execution_id = %s AND phase = ANY(%s) ORDER BY id FOR UPDATE
    ), moved AS (
        UPDATE scheduler_nodeexecution n SET phase = 6, ended_at = %s, updated_at = %s, wake_at = NULL, parked = false
        FROM found WHERE n.id = found.id
    )
    INSERT INTO scheduler_phaseevent (execution_id, machine, object_id, from_phase, to_phase, at, reason, actor)
    SELECT %s, 'node', id, phase, 6, %s, %s, %s FROM found
"""


def nodes_aborted(execution_id: int, *, at: datetime, reason: str, actor: str) -> None:
    """Every active node -> ABORTED, without the engine: it is the engine that broke down."""
    active = sorted(set(NodePhase) - NODE_TERMINAL - {NodePhase.UNDEFINED})
    with connection.cursor() as cursor:
        cursor.execute(_NODES_ABORTED, [execution_id, active, at, at, execution_id, at, reason, actor])


_EVENT_COLUMNS = "execution_id, machine, object_id, from_phase, to_phase, at, reason, actor"


@dataclass
class Step:
    """What a turn writes of its execution: where its engine has it go, one phase after the other, with the reason of
    the moves; and what it keeps in its row, `error` and `outputs_uri` where it ends.
    """

    execution: Execution
    phases: Sequence[ExecutionPhase]
    at: datetime
    counters: Mapping[str, Any]
    dirty: bool
    wake_at: datetime | None
    reason: str = ""
    error: bytes | None = None
    outputs_uri: str = ""

    def __post_init__(self) -> None:
        self.before = ExecutionPhase(self.execution.phase)
        self.path = _path(self.execution, self.phases)

    @property
    def is_written(self) -> bool:
        """Not where all that the engine wants is what the execution may not do any more."""
        return bool(self.path) or not self.phases

    def changes(self) -> dict[str, Any]:
        """Attributes of the execution, as they are afterwards."""
        values: dict[str, Any] = {"counters": self.counters, "dirty": self.dirty, "wake_at": self.wake_at}
        if self.path:
            values |= {"phase": self.path[-1], "updated_at": self.at}
        if ExecutionPhase.RUNNING in self.path and self.execution.started_at is None:
            values["started_at"] = self.at
        if self.path and self.path[-1] in EXECUTION_TERMINAL:
            values["ended_at"] = self.at
            values |= {"error": self.error} if self.error is not None else {}
            values |= {"outputs_uri": self.outputs_uri} if self.outputs_uri else {}
        return values

    def events(self, actor: str) -> Iterator[PhaseEvent]:
        pk = self.execution.pk
        for before, after in pairwise([self.before, *self.path]):
            yield event(pk, Machine.EXECUTION, pk, before, after, at=self.at, reason=self.reason, actor=actor)


def event(
    execution_id: int,
    machine: Machine,
    object_id: int,
    before: int,
    after: int,
    *,
    at: datetime,
    reason: str,
    actor: str,
) -> PhaseEvent:
    return PhaseEvent(
        execution_id=execution_id,
        machine=machine.value,
        object_id=object_id,
        from_phase=int(before),
        to_phase=int(after),
        at=at,
        reason=reason,
        actor=actor,
    )


def _path(execution: Execution, phases: Iterable[ExecutionPhase]) -> list[ExecutionPhase]:
    """Those of the phases that it may go to, one after the other."""
    at, path = ExecutionPhase(execution.phase), []
    for to in phases:
        if to in EXECUTION_TRANSITIONS[at]:
            path.append(to)
            at = to
        else:
            logger.info("execution %s: ignored %s -> %s", execution.key, at.label, to.label)
    return path


_WRITE_EXECUTIONS = f"""
    WITH told AS (
        INSERT INTO scheduler_phaseevent ({_EVENT_COLUMNS}) SELECT {_EVENT_COLUMNS} FROM unnest(
            %s::bigint[], %s::text[], %s::bigint[], %s::smallint[], %s::smallint[], %s::timestamptz[], %s::text[],
            %s::text[]
        ) WITH ORDINALITY AS event({_EVENT_COLUMNS}, place) ORDER BY place
    )
    UPDATE scheduler_execution e SET
        phase = v.phase, counters = v.counters, dirty = v.dirty, wake_at = v.wake_at,
        updated_at = v.updated_at, started_at = v.started_at, ended_at = v.ended_at, error = v.error,
        outputs_uri = v.outputs_uri
    FROM unnest(
        %s::bigint[], %s::int[], %s::int[], %s::jsonb[], %s::bool[], %s::timestamptz[], %s::timestamptz[],
        %s::timestamptz[], %s::timestamptz[], %s::bytea[], %s::text[]
    ) AS v(id, expected, phase, counters, dirty, wake_at, updated_at, started_at, ended_at, error, outputs_uri)
    WHERE e.id = v.id AND e.phase = v.expected
"""  # noqa: S608 - names of columns
_EXECUTION_COLUMNS = ("dirty", "wake_at", "updated_at", "started_at", "ended_at", "error", "outputs_uri")


def write_executions(steps: Sequence[Step], events: Sequence[PhaseEvent], *, at: datetime) -> None:
    """Compare-and-set of executions whose rows the caller holds, with the PhaseEvents of all that the turns moved, and
    who is told of it. StaleTransition if one of them was moved in spite of that.
    """
    written = [step for step in steps if step.is_written]
    for step in written:
        for name, value in step.changes().items():
            setattr(step.execution, name, value)
    rows = [step.execution for step in written]
    columns: list[Iterable[object]] = [[getattr(one, name) for one in events] for name in _EVENT_COLUMNS.split(", ")]
    columns += [[row.pk for row in rows], [int(step.before) for step in written], [int(row.phase) for row in rows]]
    columns += [[json.dumps(row.counters) for row in rows]]
    columns += [[getattr(row, name) for row in rows] for name in _EXECUTION_COLUMNS]
    with prepared() as cursor:
        cursor.execute(_WRITE_EXECUTIONS, [column_of(values) for values in columns])
        touched = cursor.rowcount
    if touched != len(written):
        raise StaleTransition(f"{len(written) - touched} of {len(written)} executions were moved by somebody else")
    tell([(step.execution, phase) for step in written for phase in step.path], at=at)


_MOVE_EXECUTION = """
    WITH moved AS (UPDATE scheduler_execution SET {} WHERE id = %s AND phase = %s RETURNING id)
    INSERT INTO scheduler_phaseevent (execution_id, machine, object_id, from_phase, to_phase, at, reason, actor)
    SELECT id, %s, id, %s, %s, %s, %s, %s FROM moved
"""


def move_execution(
    execution: Execution,
    to: ExecutionPhase,
    *,
    at: datetime,
    reason: str = "",
    actor: str,
    **fields: Any,
) -> bool:
    """Compare-and-set of an execution's phase with its PhaseEvent; False if it may not move there."""
    before = ExecutionPhase(execution.phase)
    if to not in EXECUTION_TRANSITIONS[before]:
        logger.info("execution %s: ignored %s -> %s", execution.key, before.label, to.label)
        return False
    times: dict[str, Any] = {"updated_at": at}
    if to in EXECUTION_TERMINAL:
        times["ended_at"] = at
    if to is ExecutionPhase.RUNNING and execution.started_at is None:
        times["started_at"] = at
    changes = {"phase": to, **times, **fields}
    setting, values = assignments(Execution, {**changes, "phase": int(to)})
    event = [Machine.EXECUTION.value, int(before), int(to), at, reason, actor]
    moving = (_MOVE_EXECUTION.format(setting), [*values, execution.pk, int(before), *event])
    if not execute([moving])[0].touched:
        logger.info("execution %s: somebody moved it away from %s first", execution.key, before.label)
        return False
    for name, value in changes.items():
        setattr(execution, name, value)
    tell([(execution, to)], at=at)
    return True
