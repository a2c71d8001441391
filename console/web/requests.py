"""A request while it is received: how many bytes of body it may bring, and what is answered without reading them."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

from django.conf import settings
from waitress.parser import HTTPRequestParser
from waitress.utilities import Error, RequestEntityTooLarge

from artifacts.exceptions import CausewayError
from artifacts.store import signing
from console.rest.base import JSON_BODY_LIMIT

OBJECTS = "/objects/"
# What an upload may not take of the disk that it is received on, in bytes: the database's log may lie there too.
KEEP_FREE = 1 << 30


class InsufficientStorage(Error):  # type: ignore[misc]
    code = 507
    reason = "Insufficient Storage"


def body_limit(method: str, path: str, headers: dict[str, str]) -> int:
    """How many bytes of body are received, in memory or on disk, before the application is asked about the request.

    Whoever has no business to send more than a form could fill the disk otherwise: that a signed URL is one, and that
    somebody says who he is, can be told from the head of the request.
    """
    if path.startswith(OBJECTS):
        try:
            return signing.verify(path.removeprefix(OBJECTS), method).max_bytes
        except CausewayError:
            return 0
    named = "AUTHORIZATION" in headers or settings.SESSION_COOKIE_NAME in headers.get("COOKIE", "")
    if named and headers.get("CONTENT_TYPE", "").startswith("multipart/"):
        return settings.CAUSEWAY_MAX_UPLOAD_BYTES
    return JSON_BODY_LIMIT


class Request(HTTPRequestParser):  # type: ignore[misc]
    """Reads one request, as waitress does, with a limit of its own for its body.

    One that announces more than that is complete with its head: the application refuses it in its own words, as it
    refuses others that are too large, and the connection is closed afterwards.
    """

    body_limit = JSON_BODY_LIMIT
    is_cut_short = False  # its body was not read
    error: Error | None = None
    body_rcv: Any = None  # waitress's receiver of the body

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.body_rcv is None:
            return
        self.body_limit = body_limit(self.command, self.path, self.headers)
        if self.content_length > self.body_limit:
            self._cut_short()
        elif self.content_length > self.adj.inbuf_overflow and not _has_room(self.content_length):
            self.error = InsufficientStorage("there is too little room on the disk for this upload; try again later")
            self._cut_short()

    def _cut_short(self) -> None:
        self.is_cut_short, self.expect_continue = True, False
        self.headers["CONNECTION"] = "close"
        self.body_rcv, self.content_length = None, 0

    def received(self, data: bytes) -> int:
        consumed = int(super().received(data))
        if self.chunked and self.body_rcv and not self.error and len(self.body_rcv) > self.body_limit:
            self.error = RequestEntityTooLarge(f"the body may have {self.body_limit} bytes here")
            self.is_cut_short, self.completed = True, True
        return consumed


def _has_room(size: int) -> bool:
    return shutil.disk_usage(tempfile.gettempdir()).free - size > KEEP_FREE
