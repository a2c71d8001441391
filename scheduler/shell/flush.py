"""Writes turns down in one go: attempts first, then nodes, then what hangs on them, the executions' rows last.

Reporters lock an attempt before its node; this order is the same, so that nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from artifacts.arrays import column_of
from artifacts.inserting import insert_rows
from artifacts.prepared import prepared
from lineage.actions.record import record_all_consumed
from scheduler.attempts.reports import request_cancel
from scheduler.engine.evaluation import Move
from scheduler.engine.graph import Kind
from scheduler.engine.phases import TERMINAL, Phase
from scheduler.engine.state import ROOT, Node
from scheduler.models import Gate, NodeExecution, PhaseEvent, TaskExecution
from scheduler.notifications.outbox import note_gates
from scheduler.phases import ATTEMPT_TERMINAL, ExecutionPhase, Machine
from scheduler.quotas import lanes
from scheduler.shell.rows import error_of, pack, pack_root
from scheduler.shell.turn import ACTOR, NodeFields, Turn
from scheduler.statements import execute
from scheduler.transitions import NodeUpdate, Step, check_node_move, event, write_executions, write_nodes
from scheduler.wake import wake_execution_at, wake_executor

NEAR = timedelta(minutes=1)  # timers due sooner are not left to the sweep
EXECUTION_PHASES = {
    Phase.QUEUED: ExecutionPhase.QUEUED,
    Phase.RUNNING: ExecutionPhase.RUNNING,
    Phase.FAILING: ExecutionPhase.FAILING,
    Phase.SUCCEEDED: ExecutionPhase.SUCCEEDED,
    Phase.FAILED: ExecutionPhase.FAILED,
    Phase.ABORTED: ExecutionPhase.ABORTED,
    Phase.TIMED_OUT: ExecutionPhase.TIMED_OUT,
}


def flush(*turns: Turn) -> None:
    """Of one turn or more. StaleTransition if a row was changed by somebody who should not; the transaction is then
    rolled back.
    """
    for turn in turns:
        _cancel_attempts(turn)
    _write_nodes(turns)
    lanes.write(lane for turn in turns for lane in turn.lanes.values())
    insert_rows([attempt for turn in turns for attempt in _attempts(turn)])
    for turn in turns:
        _write_gates(turn)
        _take(turn)
    record_all_consumed([(turn.execution.key, turn.now, use) for turn in turns for use in turn.consumed])
    steps = [_step_of(turn) for turn in turns]
    events = [one for turn, step in zip(turns, steps, strict=True) for one in (*_events(turn), *step.events(ACTOR))]
    write_executions(steps, events, at=turns[-1].now)


def _cancel_attempts(turn: Turn) -> None:
    wanted = [(turn.rows.pks[key], index) for key, index in turn.cancels if key in turn.rows.pks]
    if not wanted:
        return
    whole = [pk for pk, index in wanted if index < 0]
    condition = Q(node_id__in=whole)
    for pk, index in wanted:
        if index >= 0:
            condition |= Q(node_id=pk, index=index)
    rows = TaskExecution.objects.filter(condition).exclude(phase__in=sorted(ATTEMPT_TERMINAL))
    cause = turn.execution.abort_cause or "stopped with its execution"
    request_cancel(list(rows), cause=cause, actor=ACTOR, now=turn.now)


_TAKEN = "UPDATE scheduler_gate SET taken = true WHERE id = ANY(%s)"
_SEEN = "DELETE FROM scheduler_endedchild WHERE child_id = ANY(%s)"
_HANDLED = "UPDATE scheduler_taskexecution SET handled = true WHERE id = ANY(%s::bigint[])"


def _take(turn: Turn) -> None:
    """What was decided and who ended is known now."""
    news = ((_TAKEN, turn.decided_gates), (_SEEN, turn.ended_children))
    execute([(sql, [ids]) for sql, ids in news if ids])


def _write_nodes(turns: Sequence[Turn]) -> None:
    if handled := sorted(pk for turn in turns for pk in turn.handled):
        with prepared() as cursor:
            cursor.execute(_HANDLED, [column_of(handled)])
    for turn in turns:
        if turn.expected:
            times = _Times(turn.moves, turn.now)
            updates = [_update_of(turn, turn.changed[key], before, times) for key, before in turn.expected.items()]
            write_nodes(updates, at=turn.now)
    insert_new_nodes(*turns)


def insert_new_nodes(*turns: Turn) -> None:
    """Rows for the nodes that have none yet; usually at the end, earlier when something has to refer to them."""
    new = [
        (turn, node, _Times(turn.moves, turn.now))
        for turn in turns
        for key, node in turn.changed.items()
        if key != ROOT and key not in turn.rows.pks
    ]
    while new:  # parents first: a child needs its parent's primary key
        ready = [one for one in new if one[1].parent == ROOT or one[1].parent in one[0].rows.pks]
        rows = [_new_row(*one) for one in ready]
        insert_rows(rows)
        for (turn, node, _), row in zip(ready, rows, strict=True):
            turn.rows.inserted(node.key, row.pk)
        new = [one for one in new if one[1].key not in one[0].rows.pks]


class _Times:
    """When a node began and ended, as far as this turn moved it."""

    def __init__(self, moves: list[Move], now: datetime) -> None:
        self.now = now
        self.started = {move.key for move in moves if move.after is Phase.RUNNING}

    def started_at(self, node: Node) -> datetime | None:
        return self.now if node.key in self.started or self.ended_at(node) else None

    def ended_at(self, node: Node) -> datetime | None:
        return self.now if node.phase in TERMINAL else None


def _new_row(turn: Turn, node: Node, times: _Times) -> NodeExecution:
    fields = turn.fields.get(node.key, NodeFields())
    return NodeExecution(
        execution_id=turn.execution.pk,
        node_id=node.key,
        spec_node_id=node.spec.id,
        parent_id=turn.rows.pks[node.parent] if node.parent else None,
        kind=node.spec.kind.value,
        phase=int(node.phase),
        waiting_on=node.waiting_on,
        parked=node.parked,
        attempts=node.attempts,
        user_failures=node.user_failures,
        system_failures=node.system_failures,
        error=error_of(node.failure) if node.failure is not None and node.phase in TERMINAL else None,
        is_dynamic=bool(fields.get("dynamic_uri")),
        state=_state(turn, node.key, pack(node)),
        created_at=turn.now,
        updated_at=turn.now,
        started_at=times.started_at(node),
        ended_at=times.ended_at(node),
        wake_at=node.wake_at,
        **fields,
    )


def _state(turn: Turn, key: str, state: dict[str, Any]) -> dict[str, Any]:
    """With what flowed into the node, where something did."""
    return {**state, "origins": turn.rows.origins[key]} if key in turn.rows.origins else state


def _update_of(turn: Turn, node: Node, before: int, times: _Times) -> NodeUpdate:
    fields = turn.fields.get(node.key, NodeFields())
    return NodeUpdate(
        pk=turn.rows.pks[node.key],
        expected=before,
        phase=int(node.phase),
        waiting_on=node.waiting_on,
        parked=node.parked,
        attempts=node.attempts,
        user_failures=node.user_failures,
        system_failures=node.system_failures,
        input_uri=fields.get("input_uri", ""),
        output_uri=fields.get("output_uri", ""),
        deck_uri=fields.get("deck_uri", ""),
        dynamic_uri=fields.get("dynamic_uri", ""),
        error=error_of(node.failure) if node.failure is not None and node.phase in TERMINAL else None,
        cache_status=fields.get("cache_status", 0),
        cache_key=fields.get("cache_key", ""),
        fingerprint=fields.get("fingerprint", ""),
        recovered_from=fields.get("recovered_from"),
        state=_state(turn, node.key, pack(node)),
        started_at=times.started_at(node),
        ended_at=times.ended_at(node),
        wake_at=node.wake_at,
    )


def _attempts(turn: Turn) -> list[TaskExecution]:
    rows = []
    for key, attempt in turn.attempts:
        attempt.node_id = turn.rows.pks[key]
        rows.append(attempt)
    for executor, cluster in sorted({(row.executor, row.cluster) for row in rows}):
        wake_executor(executor, cluster)
    return rows


def _write_gates(turn: Turn) -> None:
    for key, gate in turn.gates:
        gate.node_id = turn.rows.pks[key]
        gate.save()
    if turn.gates:
        note_gates(turn.execution, [gate for _, gate in turn.gates], at=turn.now)
    over = [
        turn.rows.pks[key]
        for key, node in turn.changed.items()
        if key != ROOT and node.spec.kind is Kind.GATE and node.phase in TERMINAL
    ]
    if over:
        _close_gates(turn, over)


def _close_gates(turn: Turn, over: list[int]) -> None:
    """Nobody can decide for these nodes any more. A signal that another node waits for too stays open for that one."""
    gates = list(Gate.objects.filter(node_id__in=over, decided_at__isnull=True, waiting_since__isnull=False))
    if not gates:
        return
    running = NodeExecution.objects.filter(execution=turn.execution, kind=Kind.GATE.value, phase=int(Phase.RUNNING))
    waiting = dict(running.order_by("pk").values_list("pk", "wake_at"))
    turn.rows.load_pks(waiting.keys())
    specs = {pk: turn.rows[turn.rows.key_of(pk)].spec.gate for pk in waiting}
    heirs = {spec.signal_id: pk for pk, spec in specs.items() if spec is not None}
    for gate in gates:
        if gate.signal_id in heirs:
            gate.node_id = heirs[gate.signal_id]
            gate.expires_at = waiting[gate.node_id]
        else:
            gate.waiting_since = None
    Gate.objects.bulk_update(gates, ["node_id", "expires_at", "waiting_since"])


def _events(turn: Turn) -> list[PhaseEvent]:
    events = []
    for move in turn.moves:
        if move.key == ROOT:
            continue
        check_node_move(move.before, move.after)
        about = turn.execution.pk, Machine.NODE, turn.rows.pks[move.key], move.before, move.after
        events.append(event(*about, at=turn.now, reason=move.reason, actor=ACTOR))
    return events


_NEXT_WAKE = "SELECT min(wake_at) FROM scheduler_nodeexecution WHERE execution_id = %s AND wake_at IS NOT NULL"


def _step_of(turn: Turn) -> Step:
    execution = turn.execution
    root = turn.rows[ROOT]
    wake_at = _next_wake(turn)
    if wake_at is not None and wake_at != execution.wake_at and wake_at - turn.now < NEAR:
        wake_execution_at(execution.pk, wake_at)
    targets = [EXECUTION_PHASES[move.after] for move in turn.moves if move.key == ROOT]
    failed = root.failure is not None and ExecutionPhase.ABORTED not in targets
    return Step(
        execution,
        [phase for phase in targets if phase != execution.phase],
        turn.now,
        counters=_state(turn, ROOT, pack_root(root)),
        dirty=turn.more_to_do,
        wake_at=wake_at,
        reason=root.failure.code if root.failure is not None else "",
        error=error_of(root.failure) if root.failure is not None and failed else None,
        outputs_uri=turn.outputs_uri,
    )


def _next_wake(turn: Turn) -> datetime | None:
    concerned = turn.execution.wake_at is not None or any(node.wake_at for node in turn.changed.values())
    if not concerned or turn.rows[ROOT].phase in TERMINAL:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_WAKE, [turn.execution.pk])
        found: datetime | None = cursor.fetchone()[0]
    return found
