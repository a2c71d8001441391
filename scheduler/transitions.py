"""The only writer of execution and node phases: compare-and-set by the tables of `scheduler.phases`, with PhaseEvents.

(Attempts are moved by `scheduler.actions.attempts`, which follows the same rules.)
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from scheduler.announce import tell
from scheduler.models import Execution
from scheduler.phases import (
    EXECUTION_TERMINAL,
    EXECUTION_TRANSITIONS,
    NODE_TERMINAL,
    NODE_TRANSITIONS,
    ExecutionPhase,
    Machine,
    NodePhase,
)
from scheduler.statements import Statement, assignments, execute

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
        state = v.state::jsonb, updated_at = %s,
        started_at = COALESCE(n.started_at, v.started_at), ended_at = v.ended_at, wake_at = v.wake_at
    FROM unnest(
        %s::bigint[], %s::int[], %s::int[], %s::int[], %s::bool[], %s::int[], %s::int[], %s::int[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::bytea[], %s::int[], %s::text[], %s::text[], %s::bigint[],
        %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[]
    ) AS v(
        id, expected, phase, waiting_on, parked, attempts, user_failures, system_failures, input_uri, output_uri,
        deck_uri, dynamic_uri, error, cache_status, cache_key, fingerprint, recovered_from, state, started_at, ended_at,
        wake_at
    )
    WHERE n.id = v.id AND (n.phase = v.expected OR (v.expected = 1 AND n.phase = 2))
"""


def write_nodes(updates: Sequence[NodeUpdate], *, at: datetime) -> tuple[str, list[Any]]:
    """The statement that writes existing nodes. It must touch as many rows as there are updates (`check_written`)."""
    ordered = sorted(updates, key=lambda update: update.pk)
    columns: list[list[Any]] = [
        [update.pk for update in ordered],
        [update.expected for update in ordered],
        [update.phase for update in ordered],
        [update.waiting_on for update in ordered],
        [update.parked for update in ordered],
        [update.attempts for update in ordered],
        [update.user_failures for update in ordered],
        [update.system_failures for update in ordered],
        [update.input_uri for update in ordered],
        [update.output_uri for update in ordered],
        [update.deck_uri for update in ordered],
        [update.dynamic_uri for update in ordered],
        [update.error for update in ordered],
        [update.cache_status for update in ordered],
        [update.cache_key for update in ordered],
        [update.fingerprint for update in ordered],
        [update.recovered_from for update in ordered],
        [json.dumps(update.state) for update in ordered],
        [update.started_at for update in ordered],
        [update.ended_at for update in ordered],
        [update.wake_at for update in ordered],
    ]
    return _UPDATE_NODES, [at, *columns]


def check_written(updates: Sequence[NodeUpdate], touched: int) -> None:
    """StaleTransition if one of the nodes was moved by somebody else."""
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
    first: Sequence[Statement] = (),
    **fields: Any,
) -> bool:
    """Compare-and-set of an execution's phase with its PhaseEvent; False if it may not move there. What is to be
    written `first` travels with it, and is written in either case.
    """
    before = ExecutionPhase(execution.phase)
    if to not in EXECUTION_TRANSITIONS[before]:
        execute(first)
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
    if not execute([*first, moving])[-1].touched:
        logger.info("execution %s: somebody moved it away from %s first", execution.key, before.label)
        return False
    for name, value in changes.items():
        setattr(execution, name, value)
    tell(execution, to, at=at)
    return True
