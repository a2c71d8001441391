"""What happened since the last evaluation, as events: read from the rows that others write."""

from __future__ import annotations

from typing import NamedTuple

from flyteidl.core import execution_pb2, literals_pb2

from artifacts.exceptions import CausewayError
from artifacts.literals import without_marks
from artifacts.prepared import prepared
from scheduler.approving.standing import counts, reopen
from scheduler.engine.events import (
    AbortRequested,
    AttemptFailed,
    AttemptSucceeded,
    Decided,
    Due,
    Event,
    Launched,
)
from scheduler.engine.graph import GateType, Scope
from scheduler.engine.kinds.array import items_of
from scheduler.engine.phases import TERMINAL, Phase
from scheduler.engine.state import ROOT, Failure, Node
from scheduler.graphs import Target
from scheduler.messages import bounded
from scheduler.models import Gate, NodeExecution, NodeKind
from scheduler.phases import ATTEMPT_TERMINAL, AttemptPhase, ExecutionPhase, NodePhase
from scheduler.shell import data
from scheduler.shell.children import ended_children
from scheduler.shell.dynamic import compile_futures
from scheduler.shell.publish import learn_declarations, publish_item, publish_node, published_by_items
from scheduler.shell.reuse import is_cached, keep, keep_item
from scheduler.shell.rows import COLUMNS
from scheduler.shell.turn import Turn
from scheduler.uris import FUTURES

BATCH = 500  # attempts taken into account in one transaction


ENDED_COLUMNS = (
    "id", "node_id", "attempt", "index", "phase", "error", "error_retryable", "output_uri", "deck_uri", "reason",
    "log_uri",
)  # fmt: skip


class Ended(NamedTuple):
    """An unhandled terminal attempt: ENDED_COLUMNS."""

    pk: int
    node_id: int
    attempt: int
    item: int
    phase: int
    error: bytes | None
    error_retryable: bool
    output_uri: str
    deck_uri: str
    reason: str
    log_uri: str


def gather(turn: Turn) -> list[Event]:
    """Events to evaluate. The rows they concern are loaded."""
    events: list[Event] = []
    execution = turn.execution
    if execution.phase == ExecutionPhase.ABORTING:  # first, so that nothing new is started
        events.append(AbortRequested(cause=execution.abort_cause))
    if turn.rows[ROOT].phase is Phase.UNDEFINED:
        events.append(Launched())
        turn.rows.expect_new_children(turn.rows[ROOT], turn.scope)
        return events  # nothing of it is there yet that could have ended, or could be due
    ended = _ended_attempts(turn)
    keys = [turn.rows.key_of(attempt.node_id) for attempt in ended]
    turn.rows.load_downstream(keys)
    turn.literals.look_ahead(
        [uri for key, attempt in zip(keys, ended, strict=True) for uri in _to_read(turn, key, attempt)]
    )
    events += [_of_attempt(turn, key, attempt) for key, attempt in zip(keys, ended, strict=True)]
    if execution.dirty:
        events += _decided(turn)
        events += ended_children(turn)
    if execution.wake_at is not None and execution.wake_at <= turn.now:
        events += _due(turn)
    return events


_ENDED = f"""
    SELECT {", ".join(f't."{column}"' for column in ENDED_COLUMNS)}, {", ".join(f"n.{column}" for column in COLUMNS)}
    FROM scheduler_taskexecution t JOIN scheduler_nodeexecution n ON n.id = t.node_id
    WHERE t.execution_id = %s::bigint AND NOT t.handled
        AND t.phase IN ({", ".join(str(int(phase)) for phase in sorted(ATTEMPT_TERMINAL))})
    ORDER BY t.id LIMIT {BATCH}
"""  # noqa: S608 - constants


def _ended_attempts(turn: Turn) -> list[Ended]:
    """Unhandled ends, and with them their nodes."""
    with prepared() as cursor:
        cursor.execute(_ENDED, [str(turn.execution.pk)])
        records = cursor.fetchall()
    width = len(ENDED_COLUMNS)
    found = [Ended(*record[:width]) for record in records]
    turn.rows.adopt([record[width:] for record in records])
    turn.handled += [attempt.pk for attempt in found]
    turn.decks |= {attempt.pk: attempt.deck_uri for attempt in found if attempt.deck_uri}
    return found


def _to_read(turn: Turn, key: str, ended: Ended) -> list[str]:
    """Where the outputs lie that `_take_outputs` looks at; those of items are joined later."""
    target = turn.rows[key].spec.target
    read = ended.phase == AttemptPhase.SUCCEEDED and ended.item < 0 and not ended.output_uri.endswith(f"/{FUTURES}")
    if not read or not isinstance(target, Target) or target.task is None or not target.task.interface.outputs.variables:
        return []
    return [ended.output_uri or turn.uris.attempt_outputs(key, ended.attempt, ended.item)]


def _of_attempt(turn: Turn, key: str, ended: Ended) -> Event:
    node = turn.rows[key]
    if ended.phase != AttemptPhase.SUCCEEDED:
        return AttemptFailed(key, attempt=ended.attempt, index=ended.item, failure=_failure_of(ended))
    if ended.item >= 0 and _is_live(node, ended):
        uri = ended.output_uri or turn.uris.attempt_outputs(key, ended.attempt, ended.item)
        try:
            uri = _take_item(turn, node, ended, uri)
        except data.Unresolved as error:
            return AttemptFailed(key, attempt=ended.attempt, index=ended.item, failure=error.failure())
        except CausewayError as error:
            failure = Failure(type(error).__name__, error.message)
            return AttemptFailed(key, attempt=ended.attempt, index=ended.item, failure=failure)
        keep_item(turn, node, ended.item, uri)
    if node.phase in TERMINAL or ended.item >= 0 or ended.attempt != node.attempt:
        # What is late the engine ignores; the outputs of items are joined when the last one has ended.
        return AttemptSucceeded(key, attempt=ended.attempt, index=ended.item)
    try:
        body = _take_outputs(turn, key, ended)
    except data.Unresolved as error:
        return AttemptFailed(key, attempt=ended.attempt, index=ended.item, failure=error.failure())
    except CausewayError as error:
        failure = Failure(type(error).__name__, error.message)
        return AttemptFailed(key, attempt=ended.attempt, index=ended.item, failure=failure)
    return AttemptSucceeded(key, attempt=ended.attempt, index=ended.item, body=body)


def _is_live(node: Node, ended: Ended) -> bool:
    items = node.memory.items
    return items is not None and items.live.get(str(ended.item)) == ended.attempt


def _take_item(turn: Turn, node: Node, ended: Ended, uri: str) -> str:
    """Publish what the item wrote, if it is annotated; returns where its outputs lie."""
    item = node.spec.array.node.target if node.spec.array is not None else None
    if node.phase in TERMINAL or not isinstance(item, Target) or item.task is None:
        return uri
    where = f"{node.key}, item {ended.item},"
    if item.item_outputs is None and items_of(node).declared is None and item.task.interface.outputs.variables:
        learn_declarations(node, turn.literals.read_outputs(uri, where))
    if published_by_items(node) is None:
        return uri
    outputs = data.without_claims(turn.literals.read_outputs(uri, where))
    return publish_item(turn, node, item, outputs, index=ended.item, attempt=ended.attempt)


def _failure_of(ended: Ended) -> Failure:
    error = execution_pb2.ExecutionError.FromString(bytes(ended.error or b""))
    system = error.kind == execution_pb2.ExecutionError.SYSTEM
    return Failure(
        code=error.code or AttemptPhase(ended.phase).label,
        message=bounded(error.message or ended.reason or "the attempt ended without saying why"),
        system=system,
        recoverable=ended.error_retryable,
        uri=error.error_uri or ended.log_uri,
    )


def _take_outputs(turn: Turn, key: str, ended: Ended) -> Scope | None:
    """See that the attempt wrote what it declares, and publish what is annotated; or take the workflow it returned."""
    target = turn.rows[key].spec.target
    if ended.output_uri.endswith(f"/{FUTURES}") and isinstance(target, Target) and target.task is not None:
        dynamic_uri = turn.uris.dynamic(key, ended.attempt)
        body = compile_futures(ended.output_uri, target.task, to=dynamic_uri, authority=turn.authority)
        turn.set(key, {"dynamic_uri": dynamic_uri, "deck_uri": ended.deck_uri})
        turn.rows.expect_new_children(turn.rows[key], body)
        return body
    uri = ended.output_uri or turn.uris.attempt_outputs(key, ended.attempt, ended.item)
    if isinstance(target, Target) and target.task is not None:
        declared = target.task.interface.outputs.variables
        if declared:
            written = turn.literals.read_outputs(uri, key)
            outputs = data.without_claims(written)
            missing = sorted(declared.keys() - outputs.literals.keys())
            if missing:
                raise data.Unresolved(f"the task did not write its outputs {', '.join(missing)}", "OutputsNotFound")
            if target.publishes:
                uri = publish_node(turn, key, target.task, outputs, attempt=ended.attempt)
            elif outputs is not written:
                uri = turn.uris.outputs(key)
                turn.literals.write(uri, outputs)
    turn.set(key, {"output_uri": uri, "deck_uri": ended.deck_uri})
    if isinstance(target, Target) and is_cached(target):
        keep(turn, key, target, uri)
    return None


def _decided(turn: Turn) -> list[Event]:
    """Gates that wait and have a value since the last look. Several nodes may wait for one signal; those that come to
    do so later ask for its value themselves.
    """
    gates = Gate.objects.filter(execution=turn.execution, decided_at__isnull=False, taken=False).select_related("node")
    for gate in gates:
        gate.execution = turn.execution
    decided = {gate.signal_id: gate for gate in gates if counting(gate)}
    if not decided:
        return []
    turn.decided_gates = [gate.pk for gate in decided.values()]
    waiting = NodeExecution.objects.filter(execution=turn.execution, kind=NodeKind.GATE, phase=NodePhase.RUNNING)
    pks = list(waiting.order_by("pk").values_list("pk", flat=True))
    turn.rows.load_pks(pks)
    found: list[tuple[str, Gate]] = []
    for key in map(turn.rows.key_of, pks):
        spec = turn.rows[key].spec.gate
        if spec is not None and spec.signal_id in decided:
            found.append((key, decided[spec.signal_id]))
    turn.rows.load_downstream(key for key, _ in found)
    return [decision(turn, key, gate) for key, gate in found]


def counting(gate: Gate) -> bool:
    """Whether a decision may be taken; one that may not, as what it is about has changed, is asked for again."""
    if counts(gate):
        return True
    reopen(gate)
    return False


def decision(turn: Turn, key: str, gate: Gate) -> Event:
    """The event that a decided gate means for its node, once its outputs are in place."""
    value = without_marks(literals_pb2.Literal.FromString(bytes(gate.value or b"")))
    spec = turn.rows[key].spec
    uri = turn.uris.outputs(key)
    if spec.gate is not None and spec.gate.type is GateType.APPROVE:
        if not value.scalar.primitive.boolean:
            return Decided(key, approved=False, said=gate.comment)
        turn.literals.write(uri, turn.literals.read(turn.uris.inputs(key)))
    elif isinstance(spec.target, Target):
        name = spec.target.node.gate_node.signal.output_variable_name
        turn.literals.write(uri, literals_pb2.LiteralMap(literals={name: value}))
    turn.set(key, {"output_uri": uri})
    return Decided(key, approved=True)


def _due(turn: Turn) -> list[Event]:
    due = NodeExecution.objects.filter(execution=turn.execution, wake_at__lte=turn.now).values_list("pk", flat=True)
    pks = list(due[:BATCH])
    turn.rows.load_pks(pks)
    keys = [turn.rows.key_of(pk) for pk in pks]
    turn.rows.load_downstream(keys)
    return [Due(key) for key in keys]
