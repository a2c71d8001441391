"""API tokens: `cwy_` and 256 random bits, kept only as SHA-256. The secret is shown once, to the one who made it."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from artifacts.exceptions import InvalidArgument, PermissionDenied, Unauthenticated
from console.accounts import audit
from console.accounts.models import ApiToken, User

PREFIX = "cwy_"
# `last_used_at` is for people who look for forgotten tokens; writing it on every call would cost more than the call.
LAST_USED_EVERY = timedelta(minutes=1)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def create(
    user: User, name: str, expires_at: datetime | None = None, *, actor: str | None = None
) -> tuple[ApiToken, str]:
    """A new token and its secret, which nobody can read again. Raises InvalidArgument for an expiry in the past.

    PermissionDenied for a running task: no row stands for it.
    """
    if not user.pk:
        raise PermissionDenied("a running task makes no tokens: nobody could revoke them when it has ended")
    name = name.strip()
    if not name or len(name) > 100:
        raise InvalidArgument("a token needs a name of 1 to 100 characters")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidArgument("expires_at must lie in the future")
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(user=user, name=name, digest=digest(secret), expires_at=expires_at)
        audit.record(actor or user.username, "token.create", f"{user.username}:{name}", detail={"token": token.pk})
    return token, secret


def revoke(token: ApiToken, *, actor: str) -> None:
    """Ends the token at once. Revoking twice changes nothing."""
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            audit.record(actor, "token.revoke", f"{token.user.username}:{token.name}", detail={"token": token.pk})


# Asked with every call, so it is not put together by the ORM each time, which costs four times what the query does.
_OWNER = """
    SELECT owner.*, token.id AS token_id, token.expires_at, token.last_used_at, token.revoked_at
    FROM accounts_apitoken AS token JOIN accounts_user AS owner ON owner.id = token.user_id WHERE token.digest = %s
"""


def authenticate(secret: str) -> User:
    """The user of a secret. Raises Unauthenticated for an unknown, expired or revoked token, or an inactive user."""
    user: Any = next(iter(User.objects.raw(_OWNER, [digest(secret)])), None)  # with the token's columns
    now = timezone.now()
    if user is None or user.revoked_at is not None or not user.is_active:
        raise Unauthenticated("this token is not valid")
    if user.expires_at is not None and user.expires_at <= now:
        raise Unauthenticated(f"this token expired at {user.expires_at.isoformat()}")
    if user.last_used_at is None or now - user.last_used_at > LAST_USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_EVERY)
        ApiToken.objects.filter(stale, pk=user.token_id).update(last_used_at=now)
    return cast(User, user)
