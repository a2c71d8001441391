"""What holds for every page because of accounts."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.accounts import sessions
from console.accounts.throttle import TooManyAttempts
from console.fair import callers


class SeenSessions:
    """Writes down where sessions are used (console.accounts.sessions)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        session = request.session
        if session.accessed and (user_id := session.get(SESSION_KEY)):
            sessions.note(request, int(user_id))
            callers.remember(request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""), int(user_id))
        return response


class Doors:
    """Says when to come again to whom tried too often, and to come by TLS only where Causeway is reached by it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        public = urlsplit(settings.CAUSEWAY_PUBLIC_URL)
        self.host = public.netloc if settings.CAUSEWAY_TLS else ""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # Django says it over connections it knows to be secure. Who comes by the public name came by TLS, although the
        # proxy in front may not say so.
        if self.host and settings.SECURE_HSTS_SECONDS and request.META.get("HTTP_HOST") == self.host:
            response.headers.setdefault("Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}")
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, TooManyAttempts):
            return None
        response = render(request, "429.html", {"message": exception.message}, status=429)
        response.headers["Retry-After"] = str(exception.retry_after)
        return response
