"""What holds for every page because of accounts."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.accounts.throttle import TooManyAttempts


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
