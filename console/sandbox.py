"""HTML that users made, served so that it cannot act as the one who looks at it, nor tell anybody of the look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from artifacts.store import store

# `sandbox` without allow-same-origin gives the page an origin of its own: no cookies, no storage, no calls to us. What
# it may load is in itself; it opens no windows and downloads nothing, which would be other ways to send something out.
DECK = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; media-src data: blob:; frame-ancestors 'self'; form-action 'none'; "
    "base-uri 'none'"
)
CARD = "sandbox; default-src 'none'; img-src 'self' data:; frame-ancestors 'self'; form-action 'none'; base-uri 'none'"


CHUNK = 256 * 1024  # bytes in memory of a deck that is sent
HTML = "text/html; charset=utf-8"


def sandboxed(html: bytes | str, policy: str) -> HttpResponse:
    response = HttpResponse(html, content_type=HTML)
    _confine(response, policy)
    return response


def sandboxed_deck(uri: str) -> HttpResponseBase:
    """The deck at a URI of the object store, a large one sent in pieces. Raises NotFound when it is gone."""
    size = store().size(uri)
    if size <= CHUNK:
        return sandboxed(store().get(uri), DECK)
    response = StreamingHttpResponse(_pieces(store().open(uri), size), content_type=HTML)
    response["Content-Length"] = str(size)
    _confine(response, DECK)
    return response


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes at most: a deck that is written anew meanwhile must not be longer than was announced."""
    with stream:
        while size > 0 and (piece := stream.read(min(CHUNK, size))):
            size -= len(piece)
            yield piece


def _confine(response: HttpResponseBase, policy: str) -> None:
    response["Content-Security-Policy"] = policy
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["X-DNS-Prefetch-Control"] = "off"
