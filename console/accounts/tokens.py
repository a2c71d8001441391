"""API tokens: `cwy_` and 256 random bits, kept only as SHA-256. The secret is shown once, to the one who made it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from artifacts.exceptions import InvalidArgument, PermissionDenied, Unauthenticated
from artifacts.prepared import prepared
from artifacts.written_out import row_of, selection
from audit.record import record
from console.accounts.models import ApiToken, User
from console.accounts.scopes import Grant, checked, grant_of, narrow

PREFIX = "cwy_"
# `last_used_at` is for people who look for forgotten tokens; writing it on every call would cost more than the call.
LAST_USED_EVERY = timedelta(minutes=1)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def create(
    user: User,
    name: str,
    expires_at: datetime | None = None,
    *,
    scopes: Sequence[str] = (),
    project: str = "",
    actor: str | None = None,
    within: Grant | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its secret, which nobody can read again.

    Made by somebody who came with a token (or `within` that of another), it may do no more, lives no longer, and ends
    with that one. Raises InvalidArgument for an expiry in the past or later than that, and for more than that;
    PermissionDenied for a task.
    """
    name = name.strip()
    if not name or len(name) > 100:
        raise InvalidArgument("a token needs a name of 1 to 100 characters")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidArgument("expires_at must lie in the future")
    if not user.pk:
        raise PermissionDenied("a task's token ends with the task and makes no others")
    if "\x00" in name + project or len(project) > 64:
        raise InvalidArgument("a project's name has 1 to 64 characters")
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        grant = within or grant_of(user)
        parent = _parent(grant)
        allowed, where = checked(scopes, project, within=grant)
        token = ApiToken.objects.create(
            user_id=user.pk,
            name=name,
            digest=digest(secret),
            expires_at=_expiry(expires_at, parent),
            scopes=allowed,
            project=where,
            parent=parent,
        )
        detail = {"token": token.pk, "scopes": allowed, "project": where, "parent": parent.pk if parent else None}
        record(actor or user.username, "token.create", f"{user.username}:{name}", detail=detail)
    return token, secret


def _parent(grant: Grant | None) -> ApiToken | None:
    """The token that another is made with; locked, so that it is not revoked meanwhile."""
    if grant is None:
        return None
    parent = ApiToken.objects.select_for_update().get(pk=grant.token)
    if parent.revoked_at is not None:
        raise Unauthenticated("this token is not valid")
    return parent


def _expiry(wanted: datetime | None, parent: ApiToken | None) -> datetime | None:
    latest = parent.expires_at if parent else None
    if latest is None or (wanted is not None and wanted <= latest):
        return wanted
    if wanted is None:
        return latest
    raise InvalidArgument(f"the token this one is made with expires at {latest.isoformat()}: this one must too")


# A token, those made with it, those made with these.
_FAMILY = """
    WITH RECURSIVE family AS (
        SELECT id FROM accounts_apitoken WHERE id = %s
        UNION SELECT token.id FROM accounts_apitoken AS token JOIN family ON token.parent_id = family.id
    )
    SELECT id FROM family
"""


def family(token_id: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_FAMILY, [token_id])
        return [row[0] for row in cursor.fetchall()]


def revoke(token: ApiToken, *, actor: str) -> None:
    """Ends the token at once, and those that were made with it. Revoking twice changes nothing."""
    with transaction.atomic():
        list(ApiToken.objects.select_for_update().filter(pk=token.pk))  # nobody makes another with it meanwhile
        ended = ApiToken.objects.filter(pk__in=family(token.pk), revoked_at=None).select_related("user")
        for each in ended.order_by("pk"):
            record(actor, "token.revoke", f"{each.user.username}:{each.name}", detail={"token": each.pk})
        ended.update(revoked_at=timezone.now())


def revoke_own(token: ApiToken, *, user: User) -> None:
    """As `revoke`, for its owner. Who came with a token of less than everything ends only that and those made with it.

    Raises PermissionDenied.
    """
    grant = grant_of(user)
    if grant is not None and not grant.is_whole and token.pk not in family(grant.token):
        raise PermissionDenied("this token may revoke itself and what was made with it, no others")
    revoke(token, actor=user.username)


# Asked with every call, so it is not put together by the ORM each time, which costs four times what the query does.
_OWNER = """
    SELECT {columns}, token.id, token.expires_at, token.last_used_at, token.revoked_at, token.scopes, token.project
    FROM accounts_apitoken AS token JOIN accounts_user AS owner ON owner.id = token.user_id
    WHERE token.digest = %s::text
"""


def authenticate(secret: str) -> User:
    """The user of a secret. Raises Unauthenticated for an unknown, expired or revoked token, or an inactive user."""
    selected = selection(User, of="owner")
    with prepared() as cursor:
        cursor.execute(_OWNER.format(columns=selected.columns), [digest(secret)])
        found = cursor.fetchone()
    if found is None:
        raise Unauthenticated("this token is not valid")
    user, now = row_of(User, selected, found), timezone.now()
    token_id, expires_at, last_used_at, revoked_at, scopes, project = found[len(selected.names) :]
    if revoked_at is not None or not user.is_active:
        raise Unauthenticated("this token is not valid")
    if expires_at is not None and expires_at <= now:
        raise Unauthenticated(f"this token expired at {expires_at.isoformat()}")
    if last_used_at is None or now - last_used_at > LAST_USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_EVERY)
        ApiToken.objects.filter(stale, pk=token_id).update(last_used_at=now)
    granted = json.loads(scopes) if isinstance(scopes, str) else scopes
    narrow(user, Grant(token_id, tuple(granted), project))
    return user
