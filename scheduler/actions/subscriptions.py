"""Who else is told of a project's executions."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import InvalidArgument
from audit.record import record
from scheduler.models import Channel, Subject, Subscription


def subscribe(
    *,
    project: str,
    domain: str,
    launch_plan: str,
    subjects: Iterable[Subject],
    channel: Channel,
    address: str,
    secret: str,
    actor: str,
) -> Subscription:
    """InvalidArgument for an address that the channel cannot be sent to."""
    _check_address(channel, address)
    if secret and channel is not Channel.WEBHOOK:
        raise InvalidArgument(f"secret: only webhooks are signed, not {channel}")
    told = sorted(set(subjects))
    with transaction.atomic():
        made = Subscription.objects.create(
            project=project,
            domain=domain,
            launch_plan=launch_plan,
            subjects=told,
            channel=channel,
            address=address,
            secret=secret,
            created_by=actor,
            created_at=timezone.now(),
        )
        detail = {"launch_plan": launch_plan, "subjects": told, "channel": channel}
        record(actor, "subscription.create", made, detail=detail)
    return made


def unsubscribe(subscription: Subscription, *, actor: str) -> None:
    """What waits to be sent is still sent."""
    with transaction.atomic():
        if Subscription.objects.filter(pk=subscription.pk).delete()[0]:
            record(actor, "subscription.remove", subscription)


def _check_address(channel: Channel, address: str) -> None:
    if channel is Channel.EMAIL:
        try:
            validate_email(address)
        except ValidationError:
            raise InvalidArgument(f"address: {address!r} is not a mail address") from None
        return
    try:
        parts = urlsplit(address)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        fine = False
    if not fine or any(character.isspace() for character in address):
        raise InvalidArgument("address: a webhook needs a URL like https://host/path, without user and password")
