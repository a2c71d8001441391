"""How often somebody may be wrong, at every place where a secret is told: passwords, tokens, one-time links.

Counted in the database, so by all processes together. A window begins with the first try and is not made longer by
those that follow: who is kept out is let in again when it ends, whatever others do meanwhile.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from artifacts.exceptions import ResourceExhausted
from console.accounts.models import Attempts


@dataclass(frozen=True)
class Limit:
    """At most `most` tries of one subject within `seconds` of the first."""

    kind: str
    most: int
    seconds: int


# Of one account from one address: what a person who mistypes needs.
PASSWORD = Limit("password", 10, 900)
# From one address, whatever the account: one password tried on many.
ADDRESS = Limit("address", 60, 900)
# Of one account, from wherever. Not asked of an address the account was logged in from before: whoever tries from many
# addresses can otherwise keep out a person whose name he knows.
ACCOUNT = Limit("account", 100, 900)
TOKEN = Limit("token", 100, 300)  # wrong ones from one address
LINK = Limit("link", 20, 900)  # likewise
DEVICE = Limit("device", 30, 900)  # device codes asked for from one address
USER_CODE = Limit("user-code", 20, 900)  # wrong ones typed by one person
RESET = Limit("reset", 5, 3600)  # mails to set a new password, to one address
RESET_FROM = Limit("reset-from", 30, 3600)  # likewise, asked for from one
KNOWN_FOR = timedelta(days=30)

_COUNT = """
    INSERT INTO accounts_attempts AS row (key, count, until)
    VALUES (%s, 1, clock_timestamp() + make_interval(secs => %s))
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN row.until <= clock_timestamp() THEN 1 ELSE row.count + 1 END,
        until = CASE WHEN row.until <= clock_timestamp() THEN EXCLUDED.until ELSE row.until END
    RETURNING count, extract(epoch FROM until - clock_timestamp())
"""
# Proving a password costs a second of a core. So many are proved at once, so many may wait for it, others come again.
_proving = threading.BoundedSemaphore(2)
_waiting = threading.BoundedSemaphore(6)


class TooManyAttempts(ResourceExhausted):
    """Too many were wrong; `retry_after` says in how many seconds to try again."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def count(limit: Limit, *subject: str) -> None:
    """Counts a try before its outcome is known, so that many at once are not one. Raises TooManyAttempts."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [_key(limit.kind, *subject), limit.seconds])
        number, left = cursor.fetchone()
    if number == 1:
        Attempts.objects.filter(until__lt=timezone.now() - timedelta(days=1)).delete()
    if number > limit.most:
        seconds = max(1, int(left) + 1)
        raise TooManyAttempts(f"too many attempts that failed; try again in {seconds} seconds", seconds)


def take_back(limit: Limit, *subject: str) -> None:
    """What was counted was right."""
    with connection.cursor() as cursor:
        statement = "UPDATE accounts_attempts SET count = greatest(count - 1, 0) WHERE key = %s"
        cursor.execute(statement, [_key(limit.kind, *subject)])


@contextmanager
def password_attempt(account: str, address: str) -> Iterator[None]:
    """Around the proving of a password: counts it, and lets few be proved at once. Raises TooManyAttempts."""
    if not _waiting.acquire(blocking=False):
        raise TooManyAttempts("many people log in at this moment; try again", 2)
    try:
        count(ADDRESS, address)
        count(PASSWORD, account, address)
        if not _is_known(account, address):
            count(ACCOUNT, account)
        with _proving:
            yield
    finally:
        _waiting.release()


def password_was_right(account: str, address: str) -> None:
    take_back(ADDRESS, address)
    if not _is_known(account, address):
        take_back(ACCOUNT, account)
    Attempts.objects.filter(key=_key(PASSWORD.kind, account, address)).delete()
    until = timezone.now() + KNOWN_FOR
    Attempts.objects.update_or_create(key=_key("known", account, address), defaults={"count": 1, "until": until})


def _is_known(account: str, address: str) -> bool:
    return Attempts.objects.filter(key=_key("known", account, address), until__gt=timezone.now()).exists()


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


def address_of(request: HttpRequest | None) -> str:
    """Whom a request came from; behind a proxy that is trusted, whom that names."""
    return network(request.META.get("REMOTE_ADDR", "")) if request is not None else ""


def network(address: str) -> str:
    """What one person has of addresses: all of an IPv6 /64, else the address itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(ipaddress.ip_network(f"{parsed}/64", strict=False))
    return str(parsed)
