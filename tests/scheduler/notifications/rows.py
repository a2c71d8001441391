"""Notifications of an execution's end, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from artifacts.happenings import happened
from scheduler.models import Channel, Execution, Notification, Subscription
from scheduler.notifications.kinds import ENDS
from scheduler.phases import ExecutionPhase

HOOK = "https://hooks.example.org/secret-path"


def make_notification(execution: Execution, *, at: datetime | None = None, **over: Any) -> Notification:
    happening = happened(
        ENDS[ExecutionPhase.FAILED],
        actor="system:engine",
        subject=execution.key,
        place=(execution.project, execution.domain),
        execution_key=execution.key,
        at=at,
    )
    assert happening is not None
    now = at or timezone.now()
    if over.get("channel", Channel.WEBHOOK) == Channel.WEBHOOK:
        over["subscription"] = Subscription.objects.create(
            kinds=["*"], project=execution.project, channel=Channel.WEBHOOK, address=HOOK, created_at=now
        )
    fields: dict[str, Any] = {"channel": Channel.WEBHOOK, "address": HOOK, "created_at": now, "next_at": now}
    return Notification.objects.create(happening=happening, **{**fields, **over})
