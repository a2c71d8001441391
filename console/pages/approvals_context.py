"""What the approvals pages show of a gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from flyteidl.core import literals_pb2, types_pb2

from artifacts.literals import describe_type, is_optional, to_json
from artifacts.literals.numbers import plain
from artifacts.models import ArtifactVersion
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.deciding import may_decide
from console.pages.badges import GATED, Badge
from console.pages.executions_context import decks_of
from console.pages.scope import in_scope
from console.pages.specs import example_of
from console.pages.typed_values import variants_of
from console.pages.values import Values, read_values, spell
from lineage.models import VersionEdge, VersionRole
from scheduler.actions.gates import takes_approval
from scheduler.approving.reading import is_decision, rule_for
from scheduler.approving.review import review_of
from scheduler.approving.rules import Rule
from scheduler.approving.standing import latest_of, stands
from scheduler.models import Gate, GateKind, GateVote
from scheduler.phases import EXECUTION_TERMINAL
from scheduler.subjects import subjects_of

DECIDED_SHOWN, WAITING_SHOWN = 50, 500
_HEAVY = tuple(
    f"execution__{name}"
    for name in ("spec", "workflow__spec", "workflow__closure", "launch_plan__spec", "launch_plan__closure")
)


@dataclass(frozen=True)
class Decision:
    gate: Gate
    badge: Badge
    value: str


def readable_gates(request: HttpRequest) -> QuerySet[Gate]:
    rows = Gate.objects.exclude(kind=GateKind.SLEEP).select_related("execution__workflow", "execution__launch_plan")
    return in_scope(request, rows.select_related("node"), prefix="execution__").defer(*_HEAVY)


def waiting_gates(request: HttpRequest) -> QuerySet[Gate]:
    """Gates somebody can decide now: reached, not decided, of an execution that still runs; the most urgent first."""
    rows = readable_gates(request).filter(decided_at__isnull=True, waiting_since__isnull=False)
    return rows.exclude(execution__phase__in=EXECUTION_TERMINAL).order_by("expires_at", "waiting_since", "id")


@dataclass(frozen=True)
class Waiting:
    """A row of the inbox: what is decided about, where the user may know of it, and how urgent it is."""

    gate: Gate
    subject: ArtifactVersion | None
    urgency: Badge | None


def waiting_rows(request: HttpRequest) -> list[Waiting]:
    gates, now = list(waiting_gates(request)[:WAITING_SHOWN]), timezone.now()
    about = readable_subjects(request, gates)
    return [Waiting(gate, about.get(gate.pk), urgency_of(gate, now)) for gate in gates]


def readable_subjects(request: HttpRequest, gates: Sequence[Gate]) -> dict[int, ArtifactVersion]:
    """By primary key of the gate: what is decided about, where the user may know of it."""
    may_read = access.reader(request.user)
    return {pk: version for pk, version in subjects_of(gates).items() if may_read(*version.artifact.key[:2])}


def urgency_of(gate: Gate, now: datetime) -> Badge | None:
    """By the time that is left; None where nothing presses."""
    if gate.expires_at is None:
        return None
    left = gate.expires_at - now
    if left <= timedelta(hours=1):
        return Badge("urgent", "bad")
    return Badge("today", "warn") if left <= timedelta(hours=24) else None


def waiting_count(request: HttpRequest) -> int:
    return waiting_gates(request).count()


def decided_gates(request: HttpRequest) -> list[Decision]:
    rows = readable_gates(request).filter(decided_at__isnull=False).order_by("-decided_at", "-id")
    return [describe_decision(gate) for gate in rows[:DECIDED_SHOWN]]


def describe_decision(gate: Gate) -> Decision:
    literal = literals_pb2.Literal.FromString(bytes(gate.value or b""))
    if gate.voided_at is not None:
        return Decision(gate, Badge("Approved, voided" if gate.approved else "Rejected, voided", "warn"), "")
    if gate.kind != GateKind.APPROVE:
        return Decision(gate, Badge("Set", "good"), spell(to_json(literal)))
    return Decision(gate, Badge("Approved", "good") if gate.approved else Badge("Rejected", "bad"), "")


def gate_context(request: HttpRequest, gate: Gate) -> dict[str, Any]:
    """All a reviewer needs to decide: what is reviewed, where it comes from, its decks."""
    execution = gate.execution
    literal_type = types_pb2.LiteralType.FromString(bytes(gate.literal_type))
    is_open = gate.decided_at is None and execution.phase not in EXECUTION_TERMINAL
    decides = is_decision(gate)
    user = request.user
    voting = _voting(gate, is_open=is_open and decides)
    needed = Action.DECIDE if takes_approval(gate) else Action.LAUNCH
    return {
        "gate": gate,
        "execution": execution,
        "is_approval": decides,
        "is_open": is_open,
        "type": describe_type(literal_type),
        "example": example_of(literal_type),
        "takes_bool": literal_type.simple == types_pb2.BOOLEAN,
        "variants": variants_of(literal_type),
        "takes_nothing": is_optional(literal_type),
        "decks": decks_of(execution),
        "subject": _subject(request, gate),
        "consumed": _consumed(request, execution.key),
        "inputs": read_values(request, execution.inputs_uri),
        "decision": None if gate.decided_at is None else describe_decision(gate),
        "state": GATED if is_open else Badge("Not needed"),
        "may_decide": may_decide(user, gate)
        if decides and isinstance(user, User)
        else access.can(user, needed, execution.project, execution.domain),
        "goes_on": gate.kind != GateKind.APPROVE,
        **voting,
        "role_needed": access.role_for(needed),
    }


def _voting(gate: Gate, *, is_open: bool) -> dict[str, Any]:
    """By which rule it is decided, who has voted, and the digest of what there is to review."""
    latest = latest_of(gate)
    if latest is not None and gate.decided_at is not None:
        stands(latest)
        gate.voided_at = latest.voided_at
    votes = list(GateVote.objects.filter(gate=gate).order_by("pk"))
    told: dict[str, Any] = {"votes": votes, "proof": latest, "rule_words": []}
    if is_open:
        rule = rule_for(gate)
        told["rule_words"] = [] if rule.is_default else words_of(rule)
        told["digest"] = review_of(gate).digest if gate.node is not None else ""
    return told


def words_of(rule: Rule) -> list[str]:
    """The rule for people, a sentence a line."""
    who = [
        *(["whoever is " + rule.role] if rule.role else []),
        *(f"the group {name}" for name in sorted(rule.groups)),
        *sorted(rule.people),
    ]
    said = [f"{rule.quorum} of these have to approve: {', '.join(who)}."]
    said.append("One rejection ends it." if rule.rejections == 1 else f"{rule.rejections} rejections end it.")
    if not rule.author_may:
        said.append("Who launched it or made what it is about does not decide.")
    if rule.escalate_before is not None:
        hours = plain(rule.escalate_before / timedelta(hours=1))
        said.append(f"{hours} h before its time is up these are asked too: {', '.join(sorted(rule.escalate_to))}.")
    return said


def _subject(request: HttpRequest, gate: Gate) -> Values:
    """What flows through the gate: the value that waits to be approved."""
    return read_values(request, gate.node.input_uri) if gate.node is not None else Values([])


def _consumed(request: HttpRequest, execution_key: str) -> list[ArtifactVersion]:
    edges = VersionEdge.objects.filter(execution_key=execution_key, role=VersionRole.CONSUMED, node_id="")
    readable = access.readable(request.user, project="artifact__project", domain="artifact__domain")
    rows = ArtifactVersion.objects.filter(readable, pk__in=edges.values("version_id")).select_related("artifact")
    return list(rows.defer("literal", "literal_type"))
