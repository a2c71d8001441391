"""Programs that people logged in (flytekit): each has a refresh token, by which it gets API tokens of an hour.

Of both only the SHA-256 is kept. Ending a sign-in revokes what it was given.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from audit.record import record
from console.accounts import scopes, tokens
from console.accounts.models import ApiToken, SignIn, User

LASTS = timedelta(days=30)
TOKEN_LASTS = timedelta(hours=1)
REFRESH_PREFIX = "cwr_"


@dataclass(frozen=True)
class Program:
    """Who is logged in: the client's id, where it asked from, and what for (console.accounts.scopes; none: all)."""

    client: str
    address: str
    scopes: Sequence[str]


def new_token() -> str:
    return tokens.PREFIX + secrets.token_urlsafe(32)


def new_refresh_token() -> str:
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def scopes_of(scope: str) -> list[str]:
    """What an API token is narrowed to by the scopes of a request; empty: nothing. Unknown ones are left out."""
    return scopes.in_order(scope.split())


def begin(user: User, program: Program, *, token: str, refresh_token: str) -> SignIn:
    """The user has allowed it. Raises nothing: who may log in may be logged in."""
    now = timezone.now()
    with transaction.atomic():
        sign_in = SignIn.objects.create(
            user=user,
            client=program.client[:100],
            digest=tokens.digest(refresh_token),
            scopes=list(program.scopes),
            address=program.address[:64],
            last_used_at=now,
            expires_at=now + LASTS,
        )
        _give(sign_in, token, now)
        detail = {"client": program.client, "address": program.address, "scopes": list(program.scopes)}
        record(user.username, "sign_in.begin", user.username, detail=detail)
    return sign_in


def renew(sign_in: SignIn, *, token: str, scopes: Sequence[str] = ()) -> None:
    """The next hour, of these scopes or all that it has. Tokens of it that have expired are of no use and go."""
    now = timezone.now()
    with transaction.atomic():
        ApiToken.objects.filter(sign_in=sign_in, expires_at__lte=now).delete()
        _give(sign_in, token, now, scopes)
        SignIn.objects.filter(pk=sign_in.pk).update(last_used_at=now)


def _give(sign_in: SignIn, token: str, now: datetime, scopes: Sequence[str] = ()) -> None:
    ApiToken.objects.create(
        user_id=sign_in.user_id,
        name=f"{sign_in.client}, logged in"[:100],
        digest=tokens.digest(token),
        expires_at=min(now + TOKEN_LASTS, sign_in.expires_at),
        scopes=list(scopes) or sign_in.scopes,
        sign_in=sign_in,
    )


def found(refresh_token: str) -> SignIn | None:
    """The sign-in of a refresh token that is still good; locked, so that it is not ended meanwhile."""
    rows = SignIn.objects.select_for_update(of=("self",)).select_related("user")
    good = rows.filter(ended_at=None, expires_at__gt=timezone.now(), user__is_active=True)
    return good.filter(digest=tokens.digest(refresh_token)).first()


def of(user: User) -> QuerySet[SignIn]:
    """Those that are good, the one used last first."""
    return SignIn.objects.filter(user=user, ended_at=None, expires_at__gt=timezone.now()).order_by("-last_used_at")


def end(sign_in: SignIn, *, actor: str) -> None:
    """What it was given no longer works. Ending twice changes nothing."""
    with transaction.atomic():
        if not SignIn.objects.filter(pk=sign_in.pk, ended_at=None).update(ended_at=timezone.now()):
            return
        for token in ApiToken.objects.filter(sign_in=sign_in, revoked_at=None):
            tokens.revoke(token, actor=actor)
        record(actor, "sign_in.end", sign_in.user.username, detail={"client": sign_in.client})


def end_all(user: User, *, actor: str) -> int:
    ended = list(of(user).select_related("user"))
    for sign_in in ended:
        end(sign_in, actor=actor)
    return len(ended)
