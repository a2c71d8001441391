"""Images that a card refers to by a path within its own version, by signed addresses.

The signature is the whole authority, so that a card shows them wherever its HTML is shown. They are users' bytes: only
what begins as a raster image is served, as that and as nothing else.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from artifacts.exceptions import CausewayError
from artifacts.store import store

SALT = "causeway.card-image"
VALID = timedelta(hours=1)
LARGEST = 10_000_000  # bytes
BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"RIFF": "image/webp",
}


def image_path(uri: str) -> str:
    """Where the object at the URI is shown for an hour, on this site."""
    return reverse("card-image", args=[signing.dumps(uri, salt=SALT, compress=True)])


def image_url(uri: str) -> str:
    """The same for clients of the REST API."""
    return f"{settings.CAUSEWAY_PUBLIC_URL}{image_path(uri)}"


@require_safe
def card_image(request: HttpRequest, token: str) -> HttpResponse:
    try:
        uri = signing.loads(token, salt=SALT, max_age=VALID)
        data = store().get(uri) if store().size(uri) <= LARGEST else b""
    except signing.BadSignature:
        return _headers(HttpResponse("This link has expired: load the card again.", "text/plain", 403))
    except CausewayError as error:
        return _headers(HttpResponse(error.message, "text/plain", error.http_status))
    kind = _kind(data)
    if not kind:
        return _headers(HttpResponse("Not an image that is shown here.", "text/plain", 415))
    return _headers(HttpResponse(data, kind))


def _kind(data: bytes) -> str:
    """By how it begins; empty for what is not a PNG, JPEG, GIF or WebP."""
    found = next((kind for start, kind in BEGINNINGS.items() if data.startswith(start)), "")
    return found if found != "image/webp" or data[8:12] == b"WEBP" else ""


def _headers(response: HttpResponse) -> HttpResponse:
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


urlpatterns = [path("card-images/<str:token>", card_image, name="card-image")]
