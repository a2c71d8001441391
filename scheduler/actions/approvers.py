"""Who decides about gates: rules, groups of people, and delegations that end."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound
from audit.record import record
from scheduler.actions.identifiers import check_text
from scheduler.approving import reading
from scheduler.approving.rules import GROUP, MOST_NAMES, Mandate, Rule, check_delegation, check_rule
from scheduler.authority import holders_of
from scheduler.models import ApprovalRule, ApproverGroup, Delegation

MAX_REASON = 2000  # characters
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('approvers', 0))"


def set_rule(
    rule: Rule, *, project: str, domain: str = "", workflow: str = "", signal_id: str = "", actor: str
) -> ApprovalRule:
    """Replace the rule of that place; InvalidArgument for one that nobody could fulfil."""
    with transaction.atomic():
        _one_at_a_time()
        check_fulfilled(rule, project=project, domain=domain)
        at = timezone.now()
        row, _ = ApprovalRule.objects.update_or_create(
            project=project,
            domain=domain,
            workflow=workflow,
            signal_id=signal_id,
            defaults={
                "people": sorted(rule.people),
                "groups": sorted(rule.groups),
                "role": rule.role,
                "quorum": rule.quorum,
                "rejections": rule.rejections,
                "author_may": rule.author_may,
                "escalate_before": rule.escalate_before,
                "escalate_to": sorted(rule.escalate_to),
                "set_by": actor,
                "set_at": at,
            },
        )
        detail = {key: value for key, value in reading.as_rule(row).as_json().items() if key != "rule"}
        record(actor, "approval_rule.set", row, detail=detail)
    return row


def check_fulfilled(rule: Rule, *, project: str, domain: str) -> None:
    """InvalidArgument for a rule that nobody could fulfil there, as people, groups and roles are now."""
    groups = {row.name: row.members for row in ApproverGroup.objects.filter(project=project)}
    people = rule.people | {name for name in rule.escalate_to if not name.startswith(GROUP)}
    named = rule.people.union(*(groups.get(name, ()) for name in rule.groups))
    role = holders_of(reading.ACTIONS[rule.role], project, domain) if rule.role in reading.ACTIONS else frozenset()
    check_rule(rule, known=reading.active_of(people), groups=groups, of_role=len(role - named))


def remove_rule(row: ApprovalRule, *, actor: str) -> None:
    """From now on the next wider rule holds, or any one approver decides."""
    with transaction.atomic():
        if ApprovalRule.objects.filter(pk=row.pk).delete()[0]:
            record(actor, "approval_rule.remove", row)


def set_group(*, project: str, name: str, members: Collection[str], actor: str) -> ApproverGroup:
    """Make the group, or put these people into it instead. InvalidArgument for people there are not, and where a rule
    needs more people than the group would leave.
    """
    check_text(name, "name", 64)
    wanted = sorted(set(members))
    if not wanted or len(wanted) > MOST_NAMES:
        raise InvalidArgument(f"members: a group has 1 to {MOST_NAMES} people, not {len(wanted)}")
    if unknown := sorted(set(wanted) - reading.active_of(wanted)):
        raise InvalidArgument(f"members: there is no active user {unknown[0]!r}")
    with transaction.atomic():
        _one_at_a_time()
        _check_rules_with(project, name, wanted)
        row, _ = ApproverGroup.objects.update_or_create(
            project=project, name=name, defaults={"members": wanted, "set_by": actor, "set_at": timezone.now()}
        )
        record(actor, "approver_group.set", row, project=project, domain="", detail={"members": wanted})
    return row


def _check_rules_with(project: str, name: str, members: Collection[str]) -> None:
    """InvalidArgument for a rule whose quorum would be larger than those who are left."""
    groups = {row.name: row.members for row in ApproverGroup.objects.filter(project=project)} | {name: list(members)}
    for row in ApprovalRule.objects.filter(project=project, groups__contains=[name]):
        people = set(row.people).union(*(groups.get(one, ()) for one in row.groups))
        if row.role:
            people |= holders_of(reading.ACTIONS[row.role], project, row.domain)
        if row.quorum > len(people):
            raise InvalidArgument(f"members: the rule {row} needs {row.quorum} people, {len(people)} would be left")


def remove_group(row: ApproverGroup, *, actor: str) -> None:
    """FailedPrecondition while a rule names it."""
    with transaction.atomic():
        _one_at_a_time()
        rules = ApprovalRule.objects.filter(project=row.project)
        named = [rule for rule in rules if row.name in rule.groups or f"{GROUP}{row.name}" in rule.escalate_to]
        if named:
            raise FailedPrecondition(f"the rule {named[0]} names the group {row.name}: change that first")
        if ApproverGroup.objects.filter(pk=row.pk).delete()[0]:
            record(actor, "approver_group.remove", row, project=row.project, domain="")


def delegate(
    *, giver: str, to: str, project: str, starts_at: datetime | None, ends_at: datetime, reason: str, actor: str
) -> Delegation:
    """From `starts_at` (now) to `ends_at` `to` decides for `giver`. InvalidArgument for people there are not, and for
    what `check_delegation` refuses: circles, and what has no end within a year.
    """
    if unknown := sorted({giver, to} - reading.active_of([giver, to])):
        raise InvalidArgument(f"there is no active user {unknown[0]!r}")
    if len(reason) > MAX_REASON:
        raise InvalidArgument(f"reason: at most {MAX_REASON} characters")
    now = timezone.now()
    new = Mandate(giver, to, starts_at or now, ends_at)
    with transaction.atomic():
        _one_at_a_time()
        rows = Delegation.objects.filter(revoked_at__isnull=True, ends_at__gt=now)
        # One that holds everywhere meets those of every project.
        rows = rows.filter(project__in=("", project)) if project else rows
        check_delegation(new, [reading.mandate_of(row) for row in rows], now=now)
        row = Delegation.objects.create(
            giver=giver,
            to=to,
            project=project,
            reason=reason,
            starts_at=new.starts,
            ends_at=ends_at,
            created_by=actor,
            created_at=now,
        )
        detail = {"ends_at": ends_at.isoformat(), "reason": reason}
        record(actor, "delegation.create", f"{giver} -> {to}", project=project, domain="", detail=detail)
    return row


def revoke(row: Delegation, *, actor: str) -> None:
    """It ends now. NotFound for one that was revoked before."""
    with transaction.atomic():
        if not Delegation.objects.filter(pk=row.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
            raise NotFound(f"delegation {row.pk} was revoked before")
        record(actor, "delegation.revoke", f"{row.giver} -> {row.to}", project=row.project, domain="")


def _one_at_a_time() -> None:
    """Two changes that are right alone may not be so together."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
