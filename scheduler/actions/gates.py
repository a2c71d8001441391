"""Decisions of people about gates. The door writes a decision once; the engine alone moves the node.

Locks are taken in the engine's order, execution before gate, so that decisions and evaluations never wait in a circle.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from flyteidl.core import literals_pb2, types_pb2

from artifacts.exceptions import FailedPrecondition, InvalidArgument
from artifacts.happenings import APPROVED, REJECTED, happened
from artifacts.literals import check_literal
from artifacts.models import ArtifactVersion
from audit.record import record
from scheduler import graphs
from scheduler.actions.identifiers import check_text
from scheduler.approving.reading import is_decision, rule_for
from scheduler.approving.review import review_of
from scheduler.approving.rules import Outcome
from scheduler.approving.voting import Said, vote
from scheduler.engine.graph import GateType, NodeSpec, Scope
from scheduler.models import Execution, Gate, GateKind, NodeExecution
from scheduler.names import MAX_NAME
from scheduler.phases import EXECUTION_TERMINAL, NODE_TERMINAL, ExecutionPhase
from scheduler.wake import wake_execution


def set_signal(
    execution: Execution,
    signal_id: str,
    literal: literals_pb2.Literal,
    *,
    actor: str,
    comment: str = "",
    seen: str = "",
) -> Gate:
    """Give the signal its value, once; the node may not have been reached yet. Of a decision it is one vote, and the
    value is given when the votes come to something by the rule that holds (scheduler.approving).

    `seen`: the digest of what was reviewed, as the door showed it; empty: not told. InvalidArgument for a signal the
    execution does not have or a value of another type, FailedPrecondition when it comes too late (it is decided, timed
    out, or the execution has ended) or what was reviewed changed since, PermissionDenied for who has no seat.
    """
    gate = _gate_of(execution, signal_id)
    decides = is_decision(gate)
    # What was reviewed is read from the store, before anybody has to wait for it.
    review = review_of(gate) if decides and gate.node is not None else None
    with transaction.atomic():
        locked = Execution.objects.select_for_update(of=("self",), no_key=True).get(pk=execution.pk)
        gate = _gate_of(locked, signal_id)
        expected = types_pb2.LiteralType.FromString(bytes(gate.literal_type))
        check_literal(literal, expected, name=signal_id)
        now = timezone.now()
        _check_open(locked, gate, now)
        if gate.pk is None:
            gate.save()
        if decides:
            said = Said(literal.scalar.primitive.boolean, actor, comment, seen)
            if vote(gate, said, rule_for(gate), review, at=now) is Outcome.PENDING:
                return gate
        _give(gate, literal, actor=actor, comment=comment, at=now)
        if decides:
            _note(gate, literal, review.version if review is not None else None)
            _tell_reason(gate, actor=actor, comment=comment, at=now)
        wake_execution(locked.pk)
    return gate


def _give(gate: Gate, literal: literals_pb2.Literal, *, actor: str, comment: str, at: datetime) -> None:
    execution = gate.execution
    gate.value = literal.SerializeToString()
    gate.decided_at, gate.decided_by, gate.comment, gate.voided_at = at, actor, comment, None
    gate.save()
    record(
        actor,
        _verb(gate, literal),
        f"{execution.key}/{gate.signal_id}",
        project=execution.project,
        domain=execution.domain,
        detail={"comment": comment},
    )
    Execution.objects.filter(pk=execution.pk).update(dirty=True)


def _note(gate: Gate, literal: literals_pb2.Literal, version: ArtifactVersion | None) -> None:
    execution = gate.execution
    happened(
        APPROVED if literal.scalar.primitive.boolean else REJECTED,
        actor=gate.decided_by,
        version=version,
        subject=f"{execution.key}/{gate.signal_id}",
        place=(execution.project, execution.domain),
        execution_key=execution.key,
        name=gate.signal_id,
        detail={"comment": gate.comment, "gate": gate.pk} if gate.comment else {"gate": gate.pk},
        at=gate.decided_at,
    )


REASON = ".reason"  # ends the name of the text that a workflow may ask for beside a decision


def _tell_reason(gate: Gate, *, actor: str, comment: str, at: datetime) -> None:
    """A text that the workflow asks for under the decision's name and REASON is what was said with it."""
    spec = _declared(gate.execution).get(f"{gate.signal_id}{REASON}")
    if spec is None:
        return
    other = _gate_of(gate.execution, f"{gate.signal_id}{REASON}")
    kind = types_pb2.LiteralType.FromString(bytes(other.literal_type)).simple
    if other.decided_at is None and kind == types_pb2.STRING:
        _give(other, _text(comment), actor=actor, comment="", at=at)


def _text(value: str) -> literals_pb2.Literal:
    primitive = literals_pb2.Primitive(string_value=value)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))


def _verb(gate: Gate, literal: literals_pb2.Literal) -> str:
    """An approval is one whether it is given as a decision or as a value."""
    if not is_decision(gate):
        return "gate.signal"
    return "gate.approve" if literal.scalar.primitive.boolean else "gate.reject"


def decide(gate: Gate, *, approve: bool, actor: str, comment: str = "", seen: str = "") -> Gate:
    """Approve or reject, as `set_signal`. InvalidArgument if the gate waits for a value rather than for a decision."""
    if not is_decision(gate):
        raise InvalidArgument(f"{gate.signal_id} waits for an input value, it cannot be approved or rejected")
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=approve)))
    return set_signal(gate.execution, gate.signal_id, literal, actor=actor, comment=comment, seen=seen)


def get_or_create_signal(execution: Execution, signal_id: str, literal_type: types_pb2.LiteralType) -> Gate:
    """The signal's gate; one unknown to the workflow is made with the type given, as Flyte does.

    InvalidArgument for a name that cannot be kept.
    """
    check_text(signal_id, "signal_id", MAX_NAME)
    with transaction.atomic():
        locked = Execution.objects.select_for_update(of=("self",), no_key=True).get(pk=execution.pk)
        try:
            gate = _gate_of(locked, signal_id)
        except InvalidArgument:
            gate = Gate(
                execution=locked,
                signal_id=signal_id,
                kind=GateKind.SIGNAL,
                literal_type=literal_type.SerializeToString(),
                created_at=timezone.now(),
            )
        if gate.pk is None:
            gate.save()
    return gate


def declared_gate(execution: Execution, signal_id: str) -> Gate:
    """The gate of a signal that the execution declares; not stored yet if its node was not reached.

    InvalidArgument for a signal that nobody declared, neither the workflow, nor what its dynamic tasks returned so far,
    nor a client before.
    """
    return _gate_of(execution, signal_id)


def open_early(execution: Execution, signal_id: str) -> Gate:
    """The stored gate of a signal that the execution declares, for somebody to decide before its node is reached.

    InvalidArgument for a signal that nobody declared, FailedPrecondition when the execution has ended.
    """
    with transaction.atomic():
        locked = Execution.objects.select_for_update(of=("self",), no_key=True).get(pk=execution.pk)
        gate = _gate_of(locked, signal_id)
        if gate.pk is None:
            _check_open(locked, gate, timezone.now())
            gate.save()
    return gate


def gates_ahead(execution: Execution) -> list[Gate]:
    """What the execution will ask for, as far as it is known, and nobody said yet; those not stored have no key."""
    stored = {gate.signal_id: gate for gate in Gate.objects.filter(execution=execution)}
    declared = {name: stored.get(name) or _new_gate(execution, spec) for name, spec in _declared(execution).items()}
    ahead = [gate for gate in declared.values() if gate is not None]
    return [gate for gate in ahead if gate.node_id is None and gate.decided_at is None]


def takes_approval(gate: Gate) -> bool:
    """Whether giving the value is a decision of an approver, or may turn out to be one.

    What a client declared before any node asked for it may be the approval of a dynamic task that did not run yet.
    """
    if is_decision(gate):
        return True
    is_boolean = types_pb2.LiteralType.FromString(bytes(gate.literal_type)).simple == types_pb2.BOOLEAN
    return is_boolean and gate.node_id is None and gate.signal_id not in _declared(gate.execution)


def _gate_of(execution: Execution, signal_id: str) -> Gate:
    gate = Gate.objects.select_related("node").filter(execution=execution, signal_id=signal_id).first()
    if gate is not None:
        gate.execution = execution
        return gate
    found = _declared(execution)
    gate = _new_gate(execution, found[signal_id]) if signal_id in found else None
    if gate is None:
        known = ", ".join(sorted(found)) or "none"
        raise InvalidArgument(
            f"execution {execution.key} has no signal {signal_id!r} (there are: {known}); one that a dynamic workflow "
            "will ask for is declared with its type first"
        )
    return gate


def _new_gate(execution: Execution, spec: NodeSpec) -> Gate | None:
    if spec.gate is None or not isinstance(spec.target, graphs.Target):
        return None
    return Gate(
        execution=execution,
        signal_id=spec.gate.signal_id,
        kind=GateKind.APPROVE if spec.gate.type is GateType.APPROVE else GateKind.SIGNAL,
        literal_type=graphs.gate_type(spec.target).SerializeToString(),
        created_at=timezone.now(),
    )


def _declared(execution: Execution) -> dict[str, NodeSpec]:
    """The gates of the workflow and of what its dynamic tasks returned so far, by their signals."""
    dynamic = NodeExecution.objects.filter(execution=execution).exclude(dynamic_uri="").order_by("id")
    scopes = [graphs.dynamic_scope(uri) for uri in dynamic.values_list("dynamic_uri", flat=True)]
    found: dict[str, NodeSpec] = {}
    for scope in (graphs.workflow_scope(execution.workflow_id), *scopes):
        for spec in _gates(scope):
            if spec.gate is not None:
                found.setdefault(spec.gate.signal_id, spec)
    return found


def _gates(scope: Scope) -> Iterator[NodeSpec]:
    for spec in (*scope.nodes.values(), *([scope.failure_node] if scope.failure_node else [])):
        if spec.gate is not None and spec.gate.type is not GateType.SLEEP:
            yield spec
        if spec.body is not None:
            yield from _gates(spec.body)


def _check_open(execution: Execution, gate: Gate, now: datetime) -> None:
    if gate.decided_at is not None:
        who = gate.decided_by or "somebody"
        raise FailedPrecondition(f"{gate.signal_id} was decided by {who} at {gate.decided_at:%Y-%m-%d %H:%M:%S} UTC")
    if execution.phase in EXECUTION_TERMINAL or execution.phase == ExecutionPhase.ABORTING:
        raise FailedPrecondition(f"execution {execution.key} has ended, {gate.signal_id} cannot be decided any more")
    if gate.node is not None and gate.node.phase in NODE_TERMINAL:
        raise FailedPrecondition(f"node {gate.node.node_id} no longer waits for {gate.signal_id}")
    if gate.expires_at is not None and gate.expires_at <= now:
        raise FailedPrecondition(f"{gate.signal_id} timed out at {gate.expires_at:%Y-%m-%d %H:%M:%S} UTC")
