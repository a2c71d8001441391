"""Who is told of what happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import InvalidArgument
from audit.record import record
from scheduler.actions.identifiers import check_project
from scheduler.models import Channel, Notification, Subscription
from scheduler.names import problem_with
from scheduler.notifications.kinds import check_kinds
from scheduler.notifications.signing import seal, secret_of
from scheduler.secrets.cipher import is_newest

OWN = (Channel.CONSOLE, Channel.EMAIL)  # how a person is told who gives no address


PATTERN = 255  # characters of a pattern of names


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Who is to be told of what (scheduler.models.Subscription). No address: `actor` himself, of what he may see."""

    kinds: Sequence[str]
    channel: Channel
    project: str = ""
    domain: str = ""
    artifact: str = ""
    launch_plan: str = ""
    address: str = ""
    secret: str = ""


def subscribe(wish: Wish, *, actor: str) -> Subscription:
    """InvalidArgument for kinds that there are not, and for an address that the channel cannot be sent to."""
    kinds = check_kinds(wish.kinds)
    _check_address(wish)
    for name in ("artifact", "launch_plan"):
        if problem := problem_with(getattr(wish, name), PATTERN):
            raise InvalidArgument(f"{name} {problem}")
    if wish.secret and wish.channel is not Channel.WEBHOOK:
        raise InvalidArgument(f"secret: only webhooks are signed, not {wish.channel}")
    if wish.project or wish.address:  # an address is a project's
        check_project(wish.project, wish.domain or None)
    elif wish.domain and wish.domain not in settings.CAUSEWAY_DOMAINS:
        raise InvalidArgument(f"domain: one of {', '.join(settings.CAUSEWAY_DOMAINS)}, or none")
    with transaction.atomic():
        made = Subscription.objects.create(
            owner="" if wish.address else actor,
            kinds=kinds,
            project=wish.project,
            domain=wish.domain,
            artifact=wish.artifact,
            launch_plan=wish.launch_plan,
            channel=wish.channel,
            address=wish.address,
            sealed=seal(wish.secret, wish.address),
            created_by=actor,
            created_at=timezone.now(),
        )
        detail = {"artifact": wish.artifact, "launch_plan": wish.launch_plan, "kinds": kinds, "channel": wish.channel}
        record(actor, "subscription.create", made, detail=detail)
    return made


def unsubscribe(subscription: Subscription, *, actor: str) -> None:
    """What waits to be sent by it is not sent any more: the secret to sign it with goes too."""
    with transaction.atomic():
        Notification.objects.filter(subscription=subscription.pk, sent_at=None, given_up_at=None).delete()
        if Subscription.objects.filter(pk=subscription.pk).delete()[0]:
            record(actor, "subscription.remove", subscription)


def reseal() -> int:
    """As scheduler.actions.secrets.reseal."""
    number = 0
    for pk in Subscription.objects.filter(sealed__isnull=False).order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            row = Subscription.objects.select_for_update().filter(pk=pk).first()
            if row is None or row.sealed is None or is_newest(bytes(row.sealed)):
                continue
            row.sealed = seal(secret_of(row), row.address)
            row.save(update_fields=["sealed"])
            number += 1
    return number


def _check_address(wish: Wish) -> None:
    channel, address = wish.channel, wish.address
    if not address:
        if channel not in OWN:
            raise InvalidArgument(
                f"address: {channel} needs one; without an address you are told by {' or '.join(OWN)}"
            )
        return
    if channel is Channel.CONSOLE:
        raise InvalidArgument("address: the console shows it to you; leave the address out")
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
