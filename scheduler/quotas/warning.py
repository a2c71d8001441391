"""Quotas whose use has come to their warning level: told once each time it does, not as long as it lasts."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from artifacts.happenings import happened
from scheduler.models import Quota
from scheduler.notifications.kinds import QUOTA_WARNED
from scheduler.quotas.resources import HOURS, LAUNCHES, OF_EXECUTIONS, SETTINGS, words
from scheduler.quotas.why import Picture

ACTOR = "system:quotas"
QUIET = timedelta(hours=1)  # between two messages of a quota, however often its use goes up and down meanwhile


def is_near(quota: Quota, used: float) -> bool:
    """Whether so much is at or above the warning level. A limit of nothing is a pause, of which nobody is warned."""
    return quota.limit > 0 and used >= quota.limit * quota.warn_at / 100 - 1e-9


def look(*, now: datetime | None = None) -> int:
    """Note which quotas are near their limits and tell of those that were not before; returns how many."""
    now = now or timezone.now()
    rows = list(Quota.objects.exclude(resource__in=SETTINGS))
    if not rows:
        return 0
    picture = Picture(now)
    known = {one.id: one for one in picture.limits}
    told = 0
    for row in rows:
        limit = known.get(row.pk)
        ledger = picture.of_executions if row.resource in OF_EXECUTIONS else picture.ledger
        used = ledger.total(limit) if limit is not None else 0.0
        told += _note(row, used, is_warned=limit is not None and is_near(row, used), now=now)
    return told


def _note(row: Quota, used: float, *, is_warned: bool, now: datetime) -> int:
    """Whoever changes the row first tells."""
    if not is_warned:
        if row.warned_since is not None:
            Quota.objects.filter(pk=row.pk).update(warned_since=None)
        return 0
    if row.warned_since is not None:
        return 0
    with transaction.atomic():
        if not Quota.objects.filter(pk=row.pk, warned_since=None).update(warned_since=now):
            return 0
        is_due = Q(told_at=None) | Q(told_at__lte=now - QUIET)
        if not Quota.objects.filter(is_due, pk=row.pk).update(told_at=now):
            return 0
        happened(
            QUOTA_WARNED,
            actor=ACTOR,
            subject=row.subject,
            place=(row.project, row.domain),
            name=row.resource,
            detail={"quota": row.pk, "launch_plan": row.launch_plan, "said": said_of(row, used)},
            at=now,
        )
    return 1


def said_of(row: Quota, used: float) -> str:
    """In one sentence."""
    unit = f" of this {row.window}" if row.resource in HOURS else " of this minute" if row.resource == LAUNCHES else ""
    amounts = f"{words(row.resource, used)} of {words(row.resource, row.limit)}"
    return f"{row.subject[:1].upper()}{row.subject[1:]} uses {amounts} {row.resource}{unit}"
