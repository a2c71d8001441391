"""Images that cards refer to by paths within their own versions, and what previews show and play, by signed addresses.

The signature is the whole authority, so that a card shows them wherever its HTML is shown. They are users' bytes: only
what begins as a raster image (or, of a preview, a sound) is served, as that and as nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from artifacts.exceptions import CausewayError
from artifacts.store import store

SALT = "causeway.card-image"
PREVIEW_SALT = "causeway.preview"
VALID = timedelta(hours=1)
LARGEST = 10_000_000  # bytes
BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
SOUNDS = {
    b"ID3": "audio/mpeg",
    b"\xff\xfb": "audio/mpeg",
    b"\xff\xf3": "audio/mpeg",
    b"\xff\xf2": "audio/mpeg",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
}


def image_path(uri: str) -> str:
    """Where the object at the URI is shown for an hour, on this site."""
    return reverse("card-image", args=[signing.dumps(uri, salt=SALT, compress=True)])


def image_url(uri: str) -> str:
    """The same for clients of the REST API."""
    return f"{settings.CAUSEWAY_PUBLIC_URL}{image_path(uri)}"


def preview_path(uri: str) -> str:
    """Where a picture or a sound is shown or played for an hour, on this site."""
    return reverse("preview-media", args=[signing.dumps(uri, salt=PREVIEW_SALT, compress=True)])


@require_safe
def card_image(request: HttpRequest, token: str) -> HttpResponse:
    return _served(token, SALT, _picture)


@require_safe
def preview_media(request: HttpRequest, token: str) -> HttpResponse:
    return _served(token, PREVIEW_SALT, lambda data: _picture(data) or _sound(data))


def _served(token: str, salt: str, kind_of: Callable[[bytes], str]) -> HttpResponse:
    try:
        uri = signing.loads(token, salt=salt, max_age=VALID)
        data = store().get(uri) if store().size(uri) <= LARGEST else b""
    except signing.BadSignature:
        return _headers(HttpResponse("This link has expired: load the page again.", "text/plain", 403))
    except CausewayError as error:
        return _headers(HttpResponse(error.message, "text/plain", error.http_status))
    kind = kind_of(data)
    if not kind:
        return _headers(HttpResponse("Not an image that is shown here.", "text/plain", 415))
    return _headers(HttpResponse(data, kind))


def _picture(data: bytes) -> str:
    """By how it begins; empty for what is not a PNG, JPEG, GIF or WebP."""
    if data.startswith(b"RIFF"):
        return "image/webp" if data[8:12] == b"WEBP" else ""
    return next((kind for start, kind in BEGINNINGS.items() if data.startswith(start)), "")


def _sound(data: bytes) -> str:
    """By how it begins; empty for what is not an MP3, Ogg, FLAC or WAV."""
    if data.startswith(b"RIFF"):
        return "audio/wav" if data[8:12] == b"WAVE" else ""
    return next((kind for start, kind in SOUNDS.items() if data.startswith(start)), "")


def _headers(response: HttpResponse) -> HttpResponse:
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


urlpatterns = [
    path("card-images/<str:token>", card_image, name="card-image"),
    path("previews/<str:token>", preview_media, name="preview-media"),
]
