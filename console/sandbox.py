"""HTML that users' code made (decks), served so that it cannot act as the one who looks at it."""

from __future__ import annotations

from django.http import HttpResponse

from artifacts.store import store

# `sandbox` without allow-same-origin gives the page an origin of its own: no cookies, no storage, no calls to us.
POLICY = (
    "sandbox allow-scripts allow-popups allow-downloads; frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
)


def sandboxed(html: bytes | str) -> HttpResponse:
    response = HttpResponse(html, content_type="text/html; charset=utf-8")
    response["Content-Security-Policy"] = POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    return response


def sandboxed_object(uri: str) -> HttpResponse:
    """The HTML at a URI of the object store. Raises NotFound when it is gone."""
    return sandboxed(store().get(uri))
