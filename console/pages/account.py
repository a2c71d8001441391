"""Log in and out, theme, scope, API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.record import record
from console import oidc
from console.access_objects import access_token
from console.accounts import sessions, sign_ins, throttle, tokens
from console.accounts.scopes import SCOPES
from console.pages.navigation import THEMES, TIMES
from console.pages.responses import PageRequest, attempt, back, page

EXPIRIES = {"30": "30 days", "90": "90 days", "365": "1 year", "": "never"}
CHOICES = {"expiries": EXPIRIES, "scopes": SCOPES}
ONE_YEAR = 365 * 24 * 3600


class Login(LoginView):
    template_name = "account/login.html"
    redirect_authenticated_user = True
    form_class = AuthenticationForm

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        sign_on = settings.CAUSEWAY_OIDC_NAME if oidc.is_set() else ""
        return super().get_context_data(sign_on=sign_on, by_mail=bool(settings.EMAIL_HOST), **context)


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """How pages look to this browser: `theme`, and whether `times` are those of its zone."""
    response = back(request, "/")
    for name, allowed in (("theme", THEMES), ("times", TIMES)):
        if (chosen := request.POST.get(name, "")) in allowed:
            response.set_cookie(name, chosen, max_age=ONE_YEAR, samesite="Lax", httponly=True)
    return response


@require_POST
@page
def set_scope(request: PageRequest) -> HttpResponse:
    project, _, domain = request.POST.get("scope", "").partition("/")
    request.session["scope"] = {"project": project, "domain": domain}
    return back(request, "/")


@never_cache
@require_GET
@page
def list_tokens(request: PageRequest) -> HttpResponse:
    """The secret of a token just made is taken out of the session: it is shown once."""
    rows = request.user.api_tokens.filter(sign_in=None).order_by("-created_at")
    fresh = request.session.pop("new_token", None)
    return render(request, "account/tokens.html", {"tokens": rows, "fresh": fresh, **CHOICES})


@require_POST
@page
def create_token(request: PageRequest) -> HttpResponse:
    days = request.POST.get("days", "90")
    expires_at = timezone.now() + timedelta(days=int(days)) if days in EXPIRIES and days else None

    def create() -> None:
        scopes, project = request.POST.getlist("scope"), request.POST.get("project", "")
        token, secret = tokens.create(
            request.user, request.POST.get("name", ""), expires_at, scopes=scopes, project=project
        )
        request.session["new_token"] = {"name": token.name, "secret": secret}

    attempt(request, create, "")
    return redirect("tokens")


@never_cache
@require_http_methods(["GET", "POST"])
@page
def change_password(request: PageRequest) -> HttpResponse:
    """One's own; the first one needs no other, for whoever got in by a login link."""
    made = PasswordChangeForm if request.user.has_usable_password() else SetPasswordForm
    form = made(request.user, request.POST or None)
    if request.method == "POST":
        # The old password is guessed at here by whoever finds a browser logged in.
        throttle.count(throttle.PASSWORD, "change", str(request.user.pk))
        if form.is_valid():
            throttle.take_back(throttle.PASSWORD, "change", str(request.user.pk))
            with transaction.atomic():
                form.save()
                record(request.user.username, "user.password", request.user.username)
            update_session_auth_hash(request, request.user)
            sessions.forget_note(request)
            sessions.end_all(request.user, actor=request.user.username, but=request.session.session_key or "")
            sign_ins.end_all(request.user, actor=request.user.username)
            messages.success(request, "Your password is changed; sessions and programs elsewhere are logged out.")
            return redirect("home")
    return render(request, "account/password.html", {"form": form})


@require_POST
@page
def revoke_token(request: PageRequest, token_id: int) -> HttpResponse:
    token = access_token(request.user, token_id)
    attempt(request, lambda: tokens.revoke_own(token, user=request.user), f"Token “{token.name}” no longer works.")
    return redirect("tokens")
