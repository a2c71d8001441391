"""What a signed URL of the local store permits, packed into a token that cannot be forged or prolonged."""

from __future__ import annotations

import base64
import time
from dataclasses import asdict, dataclass
from datetime import timedelta

from django.core import signing

from artifacts.exceptions import PermissionDenied

SALT = "causeway.objects"


@dataclass(frozen=True)
class Grant:
    method: str  # GET or PUT
    key: str  # path below the store's root
    md5: str = ""  # base64, as in Content-MD5; empty: any content
    max_bytes: int = 0
    filename: str = ""
    part: int = 0  # PUT of one part of an upload in parts, from 1; 0: of the whole object


def md5_header(digest: bytes | None) -> str:
    """The digest as the Content-MD5 header carries it; empty for none."""
    return base64.b64encode(digest).decode() if digest else ""


def sign(grant: Grant, expires: timedelta) -> str:
    return signing.dumps({**asdict(grant), "until": time.time() + expires.total_seconds()}, salt=SALT, compress=True)


def verify(token: str, method: str) -> Grant:
    """The grant in a token; PermissionDenied when it is forged, has expired or is for another method."""
    try:
        fields = signing.loads(token, salt=SALT)
        until = fields.pop("until")
        grant = Grant(**fields)
    except (signing.BadSignature, TypeError, KeyError, AttributeError):
        raise PermissionDenied("this link is not valid; ask for a new one") from None
    if time.time() > until:
        raise PermissionDenied("this link has expired; ask for a new one")
    if grant.method != method:
        raise PermissionDenied(f"this link permits {grant.method}, not {method}")
    return grant
