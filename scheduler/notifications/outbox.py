"""Who is to be told of what: rows written in the transaction of what they tell of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from flyteidl.admin import common_pb2, execution_pb2

from artifacts.happenings import CHECK_FAILED, FALLEN_BACK, STRANDED, follow
from artifacts.models import Happening
from scheduler.models import Channel, Execution, Gate, Notification, Quota, ServiceLevel, Subject, Subscription
from scheduler.phases import ExecutionPhase
from scheduler.wake import wake_notifications

SUBJECTS = {
    ExecutionPhase.SUCCEEDED: Subject.SUCCEEDED,
    ExecutionPhase.FAILED: Subject.FAILED,
    ExecutionPhase.ABORTED: Subject.ABORTED,
    ExecutionPhase.TIMED_OUT: Subject.TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class _Recipient:
    channel: Channel
    address: str
    subscription: Subscription | None = None


def note_phase(execution: Execution, phase: ExecutionPhase, *, at: datetime) -> None:
    """Tell those whom the execution's own notifications name for this phase, and the subscribers."""
    subject = SUBJECTS.get(phase)
    if subject is not None and execution.shadow_id is None:  # runs beside production tell nobody
        _note(execution, subject, [*_own(execution, phase), *_subscribed(execution, subject)], at=at)


def note_gates(execution: Execution, gates: Iterable[Gate], *, at: datetime) -> None:
    """Tell subscribers that gates which wait for a person were reached."""
    waiting = [gate.signal_id for gate in gates if gate.decided_at is None]
    if not waiting:
        return
    recipients = list(_subscribed(execution, Subject.GATE_WAITING))
    for signal_id in waiting:
        _note(execution, Subject.GATE_WAITING, recipients, at=at, signal_id=signal_id)


def note_escalation(gate: Gate, addresses: Iterable[str], *, at: datetime) -> None:
    """Tell those who are asked too now, at their mail addresses, and subscribers, that a gate's time is nearly up."""
    execution = gate.execution
    asked = [_Recipient(Channel.EMAIL, address) for address in addresses]
    recipients = [*asked, *_subscribed(execution, Subject.GATE_ESCALATED)]
    _note(execution, Subject.GATE_ESCALATED, recipients, at=at, signal_id=gate.signal_id)


def note_quota(quota: Quota, said: str, *, at: datetime) -> None:
    """Tell subscribers of the quota's project that its use is above the warning level."""
    scoped = Q(project=quota.project, launch_plan__in=("", quota.launch_plan)) if quota.project else Q(pk__in=())
    if quota.domain:
        scoped &= Q(domain__in=("", quota.domain))
    else:
        scoped &= Q(domain="")
    rows = Subscription.objects.filter(scoped, subjects__contains=[Subject.QUOTA_WARNING])
    recipients = [_Recipient(Channel(row.channel), row.address, row) for row in rows]
    _write(recipients, Subject.QUOTA_WARNING, at=at, quota=quota, said=said)


def note_level(level: ServiceLevel, said: str, *, at: datetime) -> None:
    """Tell subscribers of the place, and of the launch plan, that a service level was not kept."""
    names = ("", level.name) if level.kind in (ServiceLevel.Kind.ENDS_WITHIN, ServiceLevel.Kind.P95_WITHIN) else ("",)
    rows = Subscription.objects.filter(
        project=level.project,
        domain__in=("", level.domain),
        launch_plan__in=names,
        subjects__contains=[Subject.SERVICE_LEVEL],
    )
    recipients = [_Recipient(Channel(row.channel), row.address, row) for row in rows]
    _write(recipients, Subject.SERVICE_LEVEL, at=at, said=said)


_TOLD = {
    CHECK_FAILED.name: Subject.CHECK_FAILED,
    FALLEN_BACK.name: Subject.ALIAS_FELL_BACK,
    STRANDED.name: Subject.ALIAS_STRANDED,
}


@follow(CHECK_FAILED)
@follow(FALLEN_BACK)
@follow(STRANDED)
def note_happening(happening: Happening) -> None:
    """Tell subscribers of the project, those of one launch plan left out."""
    scoped = Q(project=happening.project, domain__in=("", happening.domain), launch_plan="")
    subject = _TOLD[happening.kind]
    rows = Subscription.objects.filter(scoped, subjects__contains=[subject])
    recipients = [_Recipient(Channel(row.channel), row.address, row) for row in rows]
    _write(recipients, subject, at=happening.at, happening=happening, said=_said_of(happening))


def _said_of(happening: Happening) -> str:
    detail = happening.detail
    if happening.kind == CHECK_FAILED.name:
        message = f": {detail['message']}" if detail.get("message") else ""
        return f"check {happening.name} of {happening.subject} failed{message}"
    did = f"fell back to {detail['version']}" if happening.kind == FALLEN_BACK.name else "found nothing to fall back to"
    return f"{happening.subject} {did}: {detail.get('reason', '')}"


def _own(execution: Execution, phase: ExecutionPhase) -> Iterator[_Recipient]:
    """What flytekit's Email, Slack and PagerDuty say: in Flyte all three are mail addresses."""
    spec = execution_pb2.ExecutionSpec.FromString(bytes(execution.spec))
    for rule in spec.notifications.notifications:
        if int(phase) in map(int, rule.phases):
            for address in _addresses(rule):
                yield _Recipient(Channel.EMAIL, address.strip())


def _addresses(rule: common_pb2.Notification) -> Iterable[str]:
    kind = rule.WhichOneof("type")
    return getattr(rule, kind).recipients_email if kind else ()


def _subscribed(execution: Execution, subject: Subject) -> Iterator[_Recipient]:
    scoped = Q(project=execution.project) & Q(domain__in=("", execution.domain)) & Q(subjects__contains=[subject])
    rows = list(Subscription.objects.filter(scoped))
    if not rows:
        return
    name = execution.launch_plan.name if execution.launch_plan else ""
    for row in rows:
        if row.launch_plan in ("", name):
            yield _Recipient(Channel(row.channel), row.address, row)


def _note(
    execution: Execution, subject: Subject, recipients: Iterable[_Recipient], *, at: datetime, signal_id: str = ""
) -> None:
    _write(recipients, subject, at=at, execution=execution, signal_id=signal_id)


def _write(recipients: Iterable[_Recipient], subject: Subject, *, at: datetime, **about: Any) -> None:
    rows = [
        Notification(
            **about,
            subject=subject,
            channel=recipient.channel,
            address=recipient.address,
            subscription=recipient.subscription,
            created_at=at,
            next_at=at,
        )
        for recipient in recipients
        if recipient.address
    ]
    if rows:
        Notification.objects.bulk_create(rows, ignore_conflicts=True)  # an address that two rules name is told once
        wake_notifications()
