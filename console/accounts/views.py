from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from artifacts.exceptions import Unauthenticated
from console.accounts import login_links, throttle


@never_cache
@require_GET
def login_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Logs in with a one-time link. A browser that only looks ahead does not use it up."""
    if "prefetch" in (request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")):
        return HttpResponse(status=503)
    try:
        user = login_links.redeem(secret, address=throttle.address_of(request))
    except Unauthenticated as error:
        messages.error(request, error.message)
        return redirect("login")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    wanted = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return redirect(wanted if safe else resolve_url("/"))
