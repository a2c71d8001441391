"""HTML that users made, served so that it cannot act as the one who looks at it, nor tell anybody of the look."""

from __future__ import annotations

from django.http import HttpResponse

from artifacts.store import store

# `sandbox` without allow-same-origin gives the page an origin of its own: no cookies, no storage, no calls to us. What
# it may load is in itself; it opens no windows and downloads nothing, which would be other ways to send something out.
DECK = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; media-src data: blob:; frame-ancestors 'self'; form-action 'none'; "
    "base-uri 'none'"
)
CARD = "sandbox; default-src 'none'; img-src 'self' data:; frame-ancestors 'self'; form-action 'none'; base-uri 'none'"


def sandboxed(html: bytes | str, policy: str) -> HttpResponse:
    response = HttpResponse(html, content_type="text/html; charset=utf-8")
    response["Content-Security-Policy"] = policy
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["X-DNS-Prefetch-Control"] = "off"
    return response


def sandboxed_deck(uri: str) -> HttpResponse:
    """The deck at a URI of the object store. Raises NotFound when it is gone."""
    return sandboxed(store().get(uri), DECK)
