"""Where people let programs act as them: after flytekit opened a browser, and with a code typed from elsewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Error
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from artifacts.exceptions import InvalidArgument, NotFound
from console.accounts import devices, sign_ins
from console.oauth.server import of_request, server
from console.pages.middleware import policy
from console.pages.responses import PageRequest, page


@never_cache
@require_http_methods(["GET", "POST"])
@page
def authorize(request: PageRequest) -> HttpResponse:
    """The end of it is sent to the program's own address on the machine of the browser (console.oauth.clients)."""
    try:
        grant = server.get_consent_grant(request, end_user=request.user)
    except OAuth2Error as error:
        raise InvalidArgument(
            f"a program asked for a login that cannot be: {error.description or error.error}"
        ) from error
    if not request.GET.get("code_challenge"):
        raise InvalidArgument("a program asked for a login that cannot be: it sent no code_challenge (PKCE)")
    asked = grant.request
    back_to = asked.payload.redirect_uri or grant.client.get_default_redirect_uri()
    if request.method == "POST":
        allowed = request.user if request.POST.get("decision") == "allow" else None
        response: HttpResponse = server.create_authorization_response(of_request(request), allowed, grant)
        return response
    context = {
        "client": grant.client.client_id,
        "host": urlsplit(back_to).netloc,
        "scopes": sign_ins.scopes_of(asked.payload.scope or ""),
        "lasts": sign_ins.LASTS.days,
    }
    response = render(request, "account/consent.html", context)
    # Browsers hold a form to this policy along its redirects, too.
    response["Content-Security-Policy"] = policy(form_action=f"'self' http://{urlsplit(back_to).netloc}")
    return response


@never_cache
@require_http_methods(["GET", "POST"])
@page
def device(request: PageRequest) -> HttpResponse:
    """A code from another machine: first whose it is, then whether it may."""
    code = (request.POST.get("user_code") or request.GET.get("user_code") or "")[:40]
    try:
        row = devices.waiting(code, user=request.user) if code else None
        if row is not None and request.POST.get("decision") in ("allow", "deny"):
            approved = request.POST["decision"] == "allow"
            devices.decide(row, approved=approved, user=request.user)
            told = "It is logged in; it goes on within seconds." if approved else "It was refused."
            messages.success(request, told)
            return redirect("sessions")
    except NotFound as error:
        return render(request, "account/device.html", {"code": code, "wrong": error.message}, status=404)
    scopes = sign_ins.scopes_of(row.scope) if row is not None else []
    context = {"code": code, "row": row, "lasts": sign_ins.LASTS.days, "scopes": scopes}
    return render(request, "account/device.html", context)
