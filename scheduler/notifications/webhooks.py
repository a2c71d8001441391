"""Notifications by HTTP POST: signed, without redirects, and not into the network that Causeway itself stands in."""

from __future__ import annotations

import json
import time

from django.conf import settings

from lineage import outgoing
from scheduler.models import Channel, Notification
from scheduler.notifications.refusal import Refused
from scheduler.notifications.signing import secret_of, signature
from scheduler.notifications.texts import body_of, text_of

SECONDS = 20.0  # for one sending, whatever the receiver does
PASSING = frozenset({401, 403, 404, 408, 425, 429})  # refusals that are not the notification's fault


def send(notification: Notification) -> None:
    """Raises Refused unless the address answers with a 2xx."""
    body = {"text": text_of(notification)} if notification.channel == Channel.SLACK else body_of(notification)
    raw = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Causeway", "Causeway-Delivery": str(notification.pk)}
    if notification.subscription is not None and (secret := secret_of(notification.subscription)):
        headers["Causeway-Signature"] = signature(secret, raw, at=int(time.time()))
    private = settings.CAUSEWAY_WEBHOOK_PRIVATE
    try:
        answer = outgoing.post(notification.address, raw, headers, seconds=SECONDS, private=private)
    except outgoing.NotAllowed as error:
        raise Refused(str(error), for_good=True) from None
    except outgoing.NoAnswer as error:
        raise Refused(str(error), no_answer=True) from None
    if not 200 <= answer.status < 300:
        hopeless = 300 <= answer.status < 500 and answer.status not in PASSING
        raise Refused(f"{answer.status} {answer.reason}: {answer.text}", for_good=hopeless)
