"""Hooks: addresses at which a program without a token publishes versions of one artifact, signing what it sends.

`Causeway-Signature: t=<seconds>,v1=<hex>` is an HMAC-SHA256 of "<seconds>.<body>", as of the webhooks that it sends.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from artifacts.actions.publish import Outcome
from artifacts.exceptions import AlreadyExists, InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from artifacts.names import check_name
from audit.record import record
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import Hook, HookCall, User
from console.accounts.scopes import Grant, grant_of, narrow
from console.hook_senders import Signed, publication_in, read_signature
from console.rest.parsing import read_json
from console.rest.publishing import check_body, publish_from
from scheduler.actions.identifiers import check_project
from scheduler.secrets.cipher import open_sealed, seal

WINDOW = timedelta(minutes=5)  # how far the clock of who signs may be off
OVERLAP = timedelta(hours=24)  # for so long the secret before is good after a rotation
MAX_BODY = 1024**2  # bytes
PREFIX = "cwh_"
_REFUSED = "the hook or its signature is not valid"  # which of them is not told


@dataclass(frozen=True)
class Call:
    """What came, as it is."""

    headers: Mapping[str, str]
    body: bytes


def visible(user: User) -> QuerySet[Hook]:
    """Hooks of places where the user publishes."""
    return Hook.objects.filter(access.readable(user, action=Action.PUBLISH)).select_related("user")


def find(user: User, key: str) -> Hook:
    found = visible(user).filter(key=key).first()
    if found is None:
        raise NotFound(f"no hook {key} where you publish")
    return found


def make(project: str, domain: str, artifact: str, *, actor: User) -> tuple[Hook, str]:
    """A new hook and its secret, which cannot be read again. InvalidArgument, NotFound, PermissionDenied."""
    access.require(actor, Action.PUBLISH, project, domain)
    if not actor.pk:
        raise PermissionDenied("a task's token ends with the task and makes no hooks")
    check_project(project, domain)
    check_name(artifact)
    grant = grant_of(actor)
    key, secret = secrets.token_hex(12), PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        hook = Hook.objects.create(
            key=key,
            user_id=actor.pk,
            parent_id=grant.token if grant else None,
            project=project,
            domain=domain,
            artifact=artifact,
            sealed=seal(secret.encode(), bound_to=_bound(key)),
        )
        _record(actor, "hook.create", hook)
    return hook, secret


def rotate(hook: Hook, *, actor: User) -> str:
    """A new secret. The one before is good for OVERLAP, so that senders can be changed one by one; not the one before
    that. PermissionDenied for a hook of somebody else: with its secret one would publish by that name, and for a token
    other than the one it was made with, which could outlive itself so.
    """
    access.require(actor, Action.PUBLISH, hook.project, hook.domain)
    grant = grant_of(actor)
    if hook.user_id != actor.pk:
        raise PermissionDenied(f"the hook publishes by the name of {hook.user.username}: make one of your own")
    if grant is not None and not grant.is_whole and grant.token != hook.parent_id:
        raise PermissionDenied("a limited token gives new secrets to the hooks alone that were made with it")
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        locked = Hook.objects.select_for_update().get(pk=hook.pk)
        locked.former, locked.former_until = locked.sealed, timezone.now() + OVERLAP
        locked.sealed = seal(secret.encode(), bound_to=_bound(hook.key))
        locked.save(update_fields=["sealed", "former", "former_until"])
        _record(actor, "hook.rotate", hook)
    return secret


def remove(hook: Hook, *, actor: User) -> None:
    access.require(actor, Action.PUBLISH, hook.project, hook.domain)
    with transaction.atomic():
        if Hook.objects.filter(pk=hook.pk).delete()[0]:  # of two at once one did it
            _record(actor, "hook.remove", hook)


def take(key: str, call: Call) -> Outcome | None:
    """Publish what was sent; None for what says nothing to publish.

    Unauthenticated for a wrong hook, signature or time; AlreadyExists for one sent before;
    PermissionDenied when who made the hook may not publish there any more; else as a publication over REST.
    """
    now = timezone.now()
    hook = Hook.objects.select_related("user", "parent").filter(key=key).first()
    signed = _verified(hook, call, now)
    if hook is None or not _is_alive(hook, now):
        raise Unauthenticated(_REFUSED)
    user = _publisher(hook)
    if user is None or not access.can(user, Action.PUBLISH, hook.project, hook.domain):
        raise PermissionDenied(f"{hook.user.username}, who made this hook, may not publish there any more")
    said = publication_in(_read(call.body), signed.sender)
    if said is None:
        return None
    body = check_body(said)
    body["producer"] = body["producer"] or f"hook:{hook.key}"
    with transaction.atomic():
        _note(hook, signed.seen, now)
        return publish_from(body, None, project=hook.project, domain=hook.domain, name=hook.artifact, user=user)


def _verified(hook: Hook | None, call: Call, now: datetime) -> Signed:
    """The signature, once it is right. For a hook that there is not it takes as long to say so."""
    signed = read_signature(call.headers)
    matches = [signed.is_by(secret, call.body) for secret in _secrets(hook, now)]  # all are looked at
    if not any(matches):
        raise Unauthenticated(_REFUSED)
    if abs(now.timestamp() - signed.at) > WINDOW.total_seconds():
        raise Unauthenticated(f"the time of the signature is more than {WINDOW.seconds} seconds from now")
    return signed


def _secrets(hook: Hook | None, now: datetime) -> list[str]:
    if hook is None:
        return [secrets.token_urlsafe(32)]
    sealed = [hook.sealed]
    if hook.former is not None and hook.former_until is not None and now < hook.former_until:
        sealed.append(hook.former)
    return [open_sealed(bytes(one), bound_to=_bound(hook.key)).decode() for one in sealed]


def _is_alive(hook: Hook, now: datetime) -> bool:
    parent = hook.parent
    if parent is not None and (parent.revoked_at is not None or (parent.expires_at or now) < now):
        return False
    return hook.user.is_active


def _publisher(hook: Hook) -> User | None:
    """Who made the hook, with his rights of now, and no more than the token it was made with."""
    user = access.account(hook.user.username)
    if user is not None and hook.parent is not None:
        narrow(user, Grant(hook.parent.pk, tuple(hook.parent.scopes), hook.parent.project))
    return user


def _read(body: bytes) -> Any:
    data = read_json(body, once=False)
    if not isinstance(data, dict):
        raise InvalidArgument("the body is a JSON object, as one that publishes over REST")
    return data


def _note(hook: Hook, seen: str, now: datetime) -> None:
    """AlreadyExists where the hook has seen the signature: in the transaction of the publication, so that one that was
    refused may be sent again.
    """
    HookCall.objects.filter(hook=hook, at__lt=now - 3 * WINDOW).delete()
    try:
        with transaction.atomic():
            HookCall.objects.create(hook=hook, signature=seen, at=now)
    except IntegrityError:
        raise AlreadyExists("this was received before") from None
    Hook.objects.filter(pk=hook.pk).update(last_used_at=now)


def _bound(key: str) -> tuple[str, ...]:
    return "hook", key


def _record(actor: User, verb: str, hook: Hook) -> None:
    record(actor.get_username(), verb, f"{hook.artifact}:{hook.key}", project=hook.project, domain=hook.domain)
