"""Before a gate's time is up, others are asked too: those whom its rule names for that."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from artifacts.happenings import happened
from audit.record import record
from scheduler.approving import reading
from scheduler.approving.happenings import ESCALATED
from scheduler.models import ApprovalRule, Gate
from scheduler.notifications.outbox import note_asked
from scheduler.phases import EXECUTION_TERMINAL

ACTOR = "system:approvals"
BATCH = 100  # in one sweep


def escalate_due() -> int:
    """Those whose time has come, once each; the number."""
    rules: dict[str, list[ApprovalRule]] = {}
    for rule in ApprovalRule.objects.filter(escalate_before__isnull=False):
        rules.setdefault(rule.project, [])
    if not rules:
        return 0
    for rule in ApprovalRule.objects.filter(project__in=rules):
        rules[rule.project].append(rule)
    waiting = Gate.objects.filter(
        decided_at__isnull=True, waiting_since__isnull=False, expires_at__isnull=False, escalated_at__isnull=True
    ).exclude(execution__phase__in=EXECUTION_TERMINAL)
    waiting = waiting.filter(execution__project__in=rules).select_related("execution__workflow")
    heavy = ("execution__workflow__spec", "execution__workflow__closure")
    now, done = timezone.now(), 0
    for gate in waiting.defer(*heavy).order_by("expires_at")[:BATCH]:
        holds = reading.rule_of(gate.execution, gate.signal_id, rules[gate.execution.project])
        before = holds.escalate_before
        if before is not None and gate.expires_at is not None and gate.expires_at - before <= now:
            done += _escalate(gate, sorted(reading.escalation_of(holds, gate.execution.project)), at=now)
    return done


def _escalate(gate: Gate, names: list[str], *, at: datetime) -> bool:
    with transaction.atomic():
        if not Gate.objects.filter(pk=gate.pk, escalated_at__isnull=True, decided_at__isnull=True).update(
            escalated_at=at
        ):
            return False
        execution = gate.execution
        record(
            ACTOR,
            "gate.escalate",
            f"{execution.key}/{gate.signal_id}",
            project=execution.project,
            domain=execution.domain,
            detail={"asked": names},
        )
        happening = happened(
            ESCALATED,
            actor=ACTOR,
            subject=f"{execution.key}/{gate.signal_id}",
            place=(execution.project, execution.domain),
            execution_key=execution.key,
            name=gate.signal_id,
            detail={"asked": names, "said": f"the time of {gate.signal_id} of {execution.key} is nearly up"},
            at=at,
        )
        people = get_user_model().objects.filter(username__in=names, is_active=True)
        if happening is not None:
            note_asked(happening, people.values_list("username", "email"))
    return True
