"""The rules of approving, put to rows: which rule holds for a gate, and who has a seat."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db.models import Q
from flyteidl.core import types_pb2

from scheduler.approving.declared import declared_by
from scheduler.approving.rules import DEFAULT, GROUP, Mandate, Rule, Seats, Vote, acting_for
from scheduler.authority import Action, holders_of
from scheduler.models import ApprovalRule, ApproverGroup, Delegation, Execution, Gate, GateKind, GateVote
from scheduler.origins import origin_of

ACTIONS = {"contributor": Action.LAUNCH, "approver": Action.DECIDE, "admin": Action.ADMIN}


def rule_for(gate: Gate) -> Rule:
    """The narrowest rule that fits, else the one that its launch plan declares; DEFAULT where there is none."""
    found = rule_of(gate.execution, gate.signal_id, _rules(gate.execution.project))
    return declared_by(gate.execution.launch_plan_id).get(gate.signal_id, found) if found.is_default else found


def _rules(project: str) -> list[ApprovalRule]:
    return list(ApprovalRule.objects.filter(project=project))


def rule_of(execution: Execution, signal_id: str, rules: Iterable[ApprovalRule]) -> Rule:
    """The narrowest of the rules of its project that fits; DEFAULT where none does."""
    if not (fitting := [rule for rule in rules if _fits(rule, execution, signal_id)]):
        return DEFAULT
    narrowest = max(fitting, key=lambda rule: (bool(rule.signal_id), bool(rule.workflow), bool(rule.domain)))
    return as_rule(narrowest)


PROMOTE = "promote"  # the signal of rules that govern promotions; `promote:NAME`: of one artifact


def promotion_rule(project: str, domain: str, name: str) -> Rule:
    """The narrowest rule that governs promoting to the artifact there; DEFAULT where none does."""
    signals = [PROMOTE, f"{PROMOTE}:{name}"]
    rows = ApprovalRule.objects.filter(project=project, domain__in=("", domain), workflow="", signal_id__in=signals)
    narrowest = max(rows, key=lambda row: (len(row.signal_id), bool(row.domain)), default=None)
    return DEFAULT if narrowest is None else as_rule(narrowest)


def _fits(rule: ApprovalRule, execution: Execution, signal_id: str) -> bool:
    return (
        rule.project == execution.project
        and rule.domain in ("", execution.domain)
        and rule.signal_id in ("", signal_id)
        and (not rule.workflow or rule.workflow == execution.workflow.name)
    )


def as_rule(row: ApprovalRule) -> Rule:
    return Rule(
        people=frozenset(row.people),
        groups=frozenset(row.groups),
        role=row.role,
        quorum=row.quorum,
        rejections=row.rejections,
        author_may=row.author_may,
        escalate_before=row.escalate_before,
        escalate_to=frozenset(row.escalate_to),
        where=str(row),
    )


def is_decision(gate: Gate) -> bool:
    """Whether giving its value is deciding: an approval, or a yes or no that a rule of its own name governs.

    The second is what a workflow may branch on: a rejection is a `false` that it goes on with.
    """
    if gate.kind == GateKind.APPROVE:
        return True
    is_boolean = types_pb2.LiteralType.FromString(bytes(gate.literal_type)).simple == types_pb2.BOOLEAN
    if not is_boolean or gate.kind != GateKind.SIGNAL:
        return False
    return _named(gate) or gate.signal_id in declared_by(gate.execution.launch_plan_id)


def decisions_wanted() -> Q:
    """Of gates: approvals, and what has the name that a rule of its project governs."""
    wanted = Q(kind=GateKind.APPROVE)
    named = ApprovalRule.objects.exclude(signal_id="").exclude(signal_id__startswith=PROMOTE)
    for project, signal in named.values_list("project", "signal_id").distinct():
        wanted |= Q(kind=GateKind.SIGNAL, execution__project=project, signal_id=signal)
    return wanted


def _named(gate: Gate) -> bool:
    rules = ApprovalRule.objects.filter(project=gate.execution.project, signal_id=gate.signal_id)
    return any(_fits(rule, gate.execution, gate.signal_id) for rule in rules)


def members_of(project: str, names: Collection[str]) -> frozenset[str]:
    """The people of these groups of the project."""
    rows = ApproverGroup.objects.filter(project=project, name__in=names) if names else ()
    return frozenset(member for row in rows for member in row.members)


def mandates(project: str, *, at: datetime) -> list[Mandate]:
    """Delegations that may hold there now or later; those revoked are not among them."""
    rows = Delegation.objects.filter(revoked_at__isnull=True, ends_at__gt=at).filter(Q(project="") | Q(project=project))
    return [mandate_of(row) for row in rows]


def mandate_of(row: Delegation) -> Mandate:
    return Mandate(row.giver, row.to, row.starts_at, row.ends_at)


def holders(rule: Rule, project: str, domain: str, *, escalated: bool) -> frozenset[str]:
    """Everybody who has a seat, of those who are active."""
    named = rule.people | members_of(project, rule.groups)
    if escalated:
        named |= escalation_of(rule, project)
    if rule.role:
        named |= holders_of(ACTIONS[rule.role], project, domain)
    if rule.of_approvers:
        named &= holders_of(Action.DECIDE, project, domain)
    return active_of(named)


def escalation_of(rule: Rule, project: str) -> frozenset[str]:
    """Whom the rule names for when the time-out comes near."""
    groups = {name[len(GROUP) :] for name in rule.escalate_to if name.startswith(GROUP)}
    people = {name for name in rule.escalate_to if not name.startswith(GROUP)}
    return frozenset(people) | members_of(project, groups)


def active_of(names: Collection[str]) -> frozenset[str]:
    """Those of the names that people have whose accounts are active: what a rule governs no program decides."""
    rows = get_user_model().objects.filter(username__in=names, is_active=True, service_of="")
    return frozenset(rows.values_list("username", flat=True))


def authors_of(gate: Gate, versions: Iterable[str] = ()) -> frozenset[str]:
    """Who launched the execution, who began the chain it belongs to, and `versions`: who published what it is about."""
    names = {gate.execution.principal, origin_of(gate.execution).by, *versions}
    return frozenset(name for name in names if name and not name.startswith("system:"))


def standing_votes(gate: Gate) -> list[GateVote]:
    return list(GateVote.objects.filter(gate=gate, voided_at__isnull=True).order_by("pk"))


def without_seat(votes: Sequence[GateVote], seats: Seats) -> list[GateVote]:
    """Those given in a seat that is no more (somebody left the group), or by an account that was switched off since."""
    active = active_of({one.actor for one in votes}) if votes else frozenset()
    return [one for one in votes if one.acting_for not in seats.holders or one.actor not in active]


def as_votes(rows: Iterable[GateVote]) -> list[Vote]:
    return [Vote(row.actor, row.acting_for, row.approve, row.digest) for row in rows]


def seats_of(gate: Gate, rule: Rule, *, published_by: Iterable[str]) -> Seats:
    project, domain = gate.execution.project, gate.execution.domain
    return Seats(
        holders=holders(rule, project, domain, escalated=gate.escalated_at is not None),
        authors=authors_of(gate, published_by),
        voted=frozenset(vote.acting_for for vote in standing_votes(gate)),
    )


def chain_of(actor: str, project: str, *, at: datetime) -> list[str]:
    """Whom the actor may act for there now, himself first."""
    return acting_for(actor, mandates(project, at=at), at=at)
