"""What somebody may not do and tried: the doors write it into the audit trail, within bounds."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import DatabaseError

from artifacts.exceptions import CausewayError, PermissionDenied
from audit.record import record
from console.accounts.access import Hidden, Refused

logger = logging.getLogger(__name__)

AN_HOUR = 20  # rows of one user by one process: a script that tries again all the time must not fill the table
_lock = threading.Lock()
_written: defaultdict[str, deque[float]] = defaultdict(deque)
_left_out: defaultdict[str, int] = defaultdict(int)


def note(user: AbstractBaseUser | AnonymousUser, error: CausewayError, what: str) -> None:
    """Writes a refusal down. Doors call it for calls that would change something, outside the transaction that failed.

    `what` is what was called: `POST /api/v1/executions`. Beyond the bound nothing is written; the next row says of how
    many that holds.
    """
    scope = error.scope if isinstance(error, (Refused, Hidden)) else None
    if not user.is_authenticated or (scope is None and not isinstance(error, PermissionDenied)):
        return
    left_out = _take_turn(user.get_username())
    if left_out is None:
        return
    detail: dict[str, object] = {"message": error.message[:500]} | ({"left_out": left_out} if left_out else {})
    verb, project, domain = "refused", "", ""
    if scope is not None:
        verb, project, domain = f"refused.{scope.action.value}", _fits(scope.project), _fits(scope.domain)
    try:
        record(user.get_username(), verb, what.replace("\x00", ""), project=project, domain=domain, detail=detail)
    except DatabaseError:
        logger.exception("a refusal could not be written down: %s %s", user, what)


def forget() -> None:
    """Starts the hour anew for everybody."""
    with _lock:
        _written.clear()
        _left_out.clear()


def _fits(name: str) -> str:
    return name.replace("\x00", "")[:64]


def _take_turn(actor: str) -> int | None:
    """How many were left out since the last row; None when this one is, too."""
    now = time.monotonic()
    with _lock:
        written = _written[actor]
        while written and written[0] < now - 3600:
            written.popleft()
        if len(written) >= AN_HOUR:
            _left_out[actor] += 1
            return None
        written.append(now)
        return _left_out.pop(actor, 0)
