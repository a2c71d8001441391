"""Where people are logged in with browsers: noted as they are used, listed, ended."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from audit.record import record
from console.accounts import throttle
from console.accounts.models import BrowserSession, User

SEEN_EVERY = timedelta(minutes=5)  # so often it is written down that a session is used
_SEEN = "seen_at"  # in the session: seconds since 1970, so that nothing is asked of the database in between


def note(request: HttpRequest, user_id: int) -> None:
    """Writes down where the request's session is used; twice within SEEN_EVERY once."""
    session, now = request.session, timezone.now()
    seen = session.get(_SEEN, 0.0)
    if now.timestamp() - seen < SEEN_EVERY.total_seconds() or not session.session_key:
        return
    if not Session.objects.filter(pk=session.session_key).exists():  # ended meanwhile
        return
    facts = {
        "user_id": user_id,
        "last_seen_at": now,
        "address": throttle.address_of(request)[:64],
        "agent": request.headers.get("User-Agent", "").replace("\x00", "")[:300],
    }
    try:
        with transaction.atomic():
            BrowserSession.objects.update_or_create(session_id=session.session_key, defaults=facts)
    except IntegrityError:  # ended, or noted by another request of it, at this very moment
        return
    session[_SEEN] = now.timestamp()


def note_login(request: HttpRequest | None, user: User, **_: object) -> None:
    """Of Django's signal: a session begins."""
    if request is not None and hasattr(request, "session"):
        forget_note(request)
        note(request, user.pk)


def forget_note(request: HttpRequest) -> None:
    """The session has a new key: it is to be noted again."""
    request.session.pop(_SEEN, None)


def of(user: User) -> QuerySet[BrowserSession]:
    """Those that are good, the one used last first."""
    rows = BrowserSession.objects.filter(user=user, session__expire_date__gt=timezone.now())
    return rows.order_by("-last_seen_at")


def end(session: BrowserSession, *, actor: str) -> None:
    """The browser is asked to log in again with its next request."""
    with transaction.atomic():
        detail = {"address": session.address, "begun": session.created_at.isoformat()}
        if Session.objects.filter(pk=session.session_id).delete()[0]:  # of two at once one did it
            record(actor, "session.end", session.user.username, detail=detail)


def end_all(user: User, *, actor: str, but: str = "") -> int:
    """All of a user's, but the one with the key `but`; how many there were."""
    ended = list(of(user).exclude(session_id=but).select_related("user"))
    for session in ended:
        end(session, actor=actor)
    return len(ended)
