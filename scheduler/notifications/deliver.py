"""Sends what the outbox holds. Any number may deliver at a time; each row is leased to one of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.models import Q
from django.utils import timezone

from artifacts.exceptions import InvalidArgument
from audit.record import record
from scheduler.authority import Action, Authority
from scheduler.models import Channel, Notification
from scheduler.notifications import mail, smtp, webhooks
from scheduler.notifications.refusal import NotSetUp, Refused

logger = logging.getLogger(__name__)

ATTEMPTS = 12  # about three hours
KEPT = 24  # attempts of one in its log: those of sending it again too
SETTLED_FOR = timedelta(days=30)  # so long after it was told, or could not be, a notification is kept
FIRST_WAIT, SLOWEST = timedelta(seconds=2), timedelta(hours=1)
# For one sending, and the writing of what came of it: each way has a deadline of its own for all that it does.
LEASE = timedelta(seconds=3 * max(webhooks.SECONDS, smtp.SECONDS))
SPARED = timedelta(minutes=1)
BATCH = 50
BUDGET = 60.0  # seconds that one run sends for; the next one goes on

SENDERS: Mapping[str, Callable[[Notification], None]] = {
    Channel.EMAIL: mail.send,
    Channel.WEBHOOK: webhooks.send,
    Channel.SLACK: webhooks.send,
}

# Mail that waits for a server is taken once, to say so, and again when there is one.
_TAKE = """
    UPDATE scheduler_notification SET next_at = %s, attempts = attempts + 1 WHERE id = (
        SELECT id FROM scheduler_notification WHERE sent_at IS NULL AND given_up_at IS NULL AND next_at <= %s
            AND (channel <> 'email' OR error = '' OR %s) AND recipient || address <> ALL(%s)
        ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING id, recipient || address
"""
_taking = threading.Lock()
_busy: set[str] = set()  # addresses that threads of this process send to just now: a slow one holds one thread only


def deliver_due(*, limit: int = BATCH) -> int:
    """Send what is due, one after the other; the number sent. What this call does not reach the next one does."""
    sent, until = 0, time.monotonic() + BUDGET
    for _ in range(limit):
        if time.monotonic() >= until:
            break
        taken = _take()
        if taken is None:
            break
        pk, address = taken
        try:
            sent += _deliver(_row(pk))
        finally:
            _busy.discard(address)
    return sent


def _take() -> tuple[int, str] | None:
    now = timezone.now()
    with _taking, connection.cursor() as cursor:
        cursor.execute(_TAKE, [now + LEASE, now, mail.is_set_up(), sorted(_busy)])
        taken: tuple[int, str] | None = cursor.fetchone()
        if taken is not None:
            _busy.add(taken[1])
    return taken


def _row(pk: int) -> Notification:
    return Notification.objects.select_related("subscription", "happening").get(pk=pk)


def _deliver(notification: Notification) -> bool:
    if not _may_see(notification):
        notification.delete()  # without a trace: that there was something is not told either
        return False
    began = time.monotonic()
    try:
        SENDERS[notification.channel](notification)
    except NotSetUp as missing:
        Notification.objects.filter(pk=notification.pk).update(
            error=str(missing), attempts=notification.attempts - 1, next_at=timezone.now()
        )
        return False
    except Refused as refused:
        _put_off(notification, str(refused), began, for_good=refused.for_good)
        if refused.no_answer:
            _spare(notification)
        return False
    except Exception as error:
        logger.exception("notification %s", notification.pk)
        _put_off(notification, f"{type(error).__name__}: {error}", began, for_good=False)
        return False
    log = _logged(notification, began)
    Notification.objects.filter(pk=notification.pk).update(sent_at=timezone.now(), error="", log=log)
    return True


def _may_see(notification: Notification) -> bool:
    """What goes to a person goes only as long as he may read where it happened. An address is its project's."""
    happening = notification.happening
    who = notification.recipient
    return not who or Authority(who).may(Action.READ, happening.project, happening.domain)


def _logged(notification: Notification, began: float, said: str = "") -> list[dict[str, object]]:
    """The log with this attempt: when it began, how long it took (s), and what came of it."""
    took = time.monotonic() - began
    at = (timezone.now() - timedelta(seconds=took)).isoformat(timespec="seconds")
    return [*notification.log, {"at": at, "seconds": round(took, 3), "said": said}][-KEPT:]


def _put_off(notification: Notification, reason: str, began: float, *, for_good: bool) -> None:
    now = timezone.now()
    reason = reason.replace("\0", "")[:2000]
    hopeless = for_good or notification.attempts >= ATTEMPTS
    wait = min(FIRST_WAIT * 2 ** (notification.attempts - 1), SLOWEST)
    Notification.objects.filter(pk=notification.pk).update(
        error=reason,
        next_at=now + wait,
        given_up_at=now if hopeless else None,
        log=_logged(notification, began, reason[:300]),
    )
    logger.warning("notification %s to %s: %s", notification.pk, notification.channel, reason[:200])


def _spare(notification: Notification) -> None:
    """What waits for an address that did not answer waits a while longer: others come first."""
    now = timezone.now()
    waiting = Notification.objects.filter(
        channel=notification.channel, address=notification.address, sent_at=None, given_up_at=None, next_at__lte=now
    )
    waiting.exclude(channel=Channel.EMAIL).update(next_at=now + SPARED)


def send_again(notification: Notification, *, actor: str) -> None:
    """Whatever became of it: it is due now, with all its attempts. InvalidArgument for what cannot be sent."""
    happening = notification.happening
    if notification.channel == Channel.CONSOLE:
        raise InvalidArgument("what the console shows is not sent")
    if notification.subscription is None and notification.channel != Channel.EMAIL:
        raise InvalidArgument("its subscription was removed, and with it the secret that it is signed with")
    with transaction.atomic():
        Notification.objects.filter(pk=notification.pk).update(
            attempts=0, next_at=timezone.now(), sent_at=None, given_up_at=None, error=""
        )
        about = happening.execution_key or happening.subject
        detail = {"notification": notification.pk}
        record(
            actor,
            "notification.resend",
            about,
            project=happening.project,
            domain=happening.domain,
            detail=detail,
        )


def forget_settled() -> int:
    """Remove what was told, or given up, long ago; the number."""
    return Notification.objects.filter(
        Q(sent_at__isnull=False) | Q(given_up_at__isnull=False), created_at__lt=timezone.now() - SETTLED_FOR
    )._raw_delete(DEFAULT_DB_ALIAS)
