"""Who asks, told from a request's head before anything of it is worked on.

A credential counts as its user once it was found to be right, and until then as the address that it comes from: whoever
makes up credentials or projects gains no turns by that, since projects only part what one caller asks for.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote

from django.conf import settings

from console.fair.turns import Caller

MOST_KNOWN = 10_000
PERSON = 4.0  # the share of whoever sits in front of a page
BODY_READ = 4096  # bytes of a JSON body in which a project is looked for
_SCOPED = re.compile(r"^/(?:api/v1/)?[a-z-]+/([^/]{1,63})/")
_IN_QUERY = re.compile(r"(?:^|&)project=([^&]{1,63})")
_IN_BODY = re.compile(rb'"project"\s*:\s*"([^"\\]{1,63})"')
_KEY = secrets.token_bytes(16)
_known: dict[bytes, str] = {}


def remember(credential: str, user: int | str) -> None:
    """It was found to be this user's (his id; the name where there is none): a token, or the key of a session."""
    if len(_known) > MOST_KNOWN:
        _known.clear()
    _known[_digest(credential)] = f"user {user}"


def who(credential: str, address: str) -> str:
    return (credential and _known.get(_digest(credential))) or f"address {address}"


def of_request(request: Any, address: str) -> Caller:
    """Of waitress's request, which may be one that it could not read."""
    if request.error is not None:
        return Caller(who("", address))
    headers = request.headers
    token = headers.get("AUTHORIZATION", "").partition(" ")[2].strip()
    session = "" if token else _session(headers.get("COOKIE", ""))
    return Caller(who(token or session, address), _project(request), PERSON if session else 1.0)


def of_metadata(metadata: Iterable[tuple[str, Any]]) -> Caller:
    """Of a gRPC call: what it is about is not read before its turn."""
    for key, value in metadata:
        if key.lower().endswith("authorization"):
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            return Caller(who(text.partition(" ")[2].strip(), ""))
    return Caller(who("", ""))


def _session(cookies: str) -> str:
    found = re.search(rf"(?:^|;\s*){re.escape(settings.SESSION_COOKIE_NAME)}=([^;\s]+)", cookies)
    return found[1] if found else ""


def _project(request: Any) -> str:
    """The one that it names first: in its query, its body, or its path."""
    if found := _IN_QUERY.search(request.query or ""):
        return unquote(found[1])
    receiver = request.body_rcv
    is_json = receiver is not None and "json" in request.headers.get("CONTENT_TYPE", "")
    if is_json and (named := _IN_BODY.search(receiver.getbuf().get(BODY_READ), 0, BODY_READ)):
        return named[1].decode("utf-8", "replace")
    found = _SCOPED.match(request.path)
    return found[1] if found else ""


def _digest(credential: str) -> bytes:
    return blake2b(credential.encode(), digest_size=16, key=_KEY).digest()
