"""Headers of every page, compression, and polls that are told that nothing has changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import redirect
from django.urls import Resolver404, resolve


def policy(*, form_action: str = "'self'") -> str:
    """`form_action`: where forms may lead, as CSP writes it."""
    return "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            f"form-action {form_action}",
            "frame-ancestors 'self'",
        )
    )


POLICY = policy()


class ContentSecurityPolicy:
    """No script or style but our own files. A view that needs another policy (a deck's sandbox) sets its own header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response


PACKET = 1400  # bytes that go in one packet anyway


class Compression(GZipMiddleware):
    """Pages and answers of the API that take more than a packet. Objects are sent as they lie in the store."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path.startswith("/objects/"):
            return response
        if isinstance(response, HttpResponse) and len(response.content) < PACKET:
            return response
        return super().process_response(request, response)


# What differs from answer to answer although nothing has changed: the mask of a token, and what the page's own clocks
# keep right.
_VARYING = (
    (re.compile(rb'name="csrfmiddlewaretoken" value="[^"]*"'), b""),
    (re.compile(rb'(<(?:time|span)\b[^>]*\bdata-clock="[^>]*>)[^<]*'), rb"\1"),
)


class UnchangedFragments:
    """A poll that names what it shows already (If-None-Match) is answered 304 while that has not changed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.method != "GET" or "HX-Request" not in request.headers or response.streaming:
            return response
        if response.status_code != 200:
            return response
        content = bytes(response.content)
        for pattern, instead in _VARYING:
            content = pattern.sub(instead, content)
        # Weak: the bytes may differ, what they say does not.
        mark = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
        if request.headers.get("If-None-Match") == mark:
            response = HttpResponseNotModified()
        response.headers["ETag"] = mark
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response


class FormAddresses:
    """An address that only a form is sent to leads to the page it is below, whoever comes there without the form: by
    logging in again after a session ended, by the address bar, by a form of the page that said what was refused.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED or request.method != "GET":
            return response
        if "HX-Request" in request.headers or not _is_page(request.path):
            return response
        return redirect(next(address for address in _above(request.path) if _is_page(address)))


def _above(path: str) -> Iterator[str]:
    """The addresses above it, the nearest first; the last is that of the overview."""
    parts = path.strip("/").split("/")
    yield from (f"/{'/'.join(parts[:length])}/" for length in range(len(parts) - 1, 0, -1))
    yield "/"


def _is_page(path: str) -> bool:
    """Whether a view of the console is there. One that answers no GET leads on, to what is above it."""
    try:
        return getattr(resolve(path).func, "is_page", False)
    except Resolver404:
        return False
