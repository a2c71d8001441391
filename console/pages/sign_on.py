"""Single sign-on: to the provider and back, and an account that is linked to one."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import CausewayError
from console import oidc
from console.accounts import sign_on
from console.accounts.models import Identity, User
from console.pages.responses import PageRequest, attempt, page

_NEXT, _LINK, _ID_TOKEN = "oidc_next", "oidc_link", "oidc_id_token"  # in the session


@never_cache
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """A form's, so that no other site starts it."""
    if not oidc.is_set():
        raise Http404("no single sign-on is set")
    request.session[_NEXT] = request.POST.get("next", "")
    request.session[_LINK] = request.user.pk if request.user.is_authenticated and request.POST.get("link") else None
    return _tried(request, lambda: _away(request, oidc.start(request)))


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    if not oidc.is_set():
        raise Http404("no single sign-on is set")
    return _tried(request, lambda: _finish(request))


def _finish(request: HttpRequest) -> HttpResponse:
    person, id_token = oidc.finish(request)
    wanted, linking = request.session.pop(_NEXT, ""), request.session.pop(_LINK, None)
    if linking is not None and isinstance(request.user, User) and request.user.pk == linking:
        sign_on.link(request.user, person)
        messages.success(request, "Your account is linked: you can log in there from now on.")
        return redirect("sessions")
    login(request, sign_on.log_in(person), backend="django.contrib.auth.backends.ModelBackend")
    request.session[_ID_TOKEN] = id_token
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return redirect(wanted if safe and wanted else resolve_url("/"))


@never_cache
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Here, and at the provider by which one had logged in."""
    id_token = request.session.get(_ID_TOKEN, "")
    logout(request)
    there = oidc.end(id_token) if id_token and oidc.is_set() else ""
    return _away(request, there) if there else redirect("login")


def _away(request: HttpRequest, url: str) -> HttpResponse:
    """To another site after a form: by a page, for a redirect is stopped by browsers that keep to `form-action`."""
    return render(request, "account/away.html", {"url": url, "where": settings.CAUSEWAY_OIDC_NAME})


def _tried(request: HttpRequest, step: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        return step()
    except CausewayError as error:
        messages.error(request, error.message)
        return redirect("sessions" if request.user.is_authenticated else "login")


@require_POST
@page
def unlink(request: PageRequest, identity_id: int) -> HttpResponse:
    identity = Identity.objects.select_related("user").filter(pk=identity_id, user=request.user).first()
    if identity is None:
        raise Http404("no such link")
    attempt(request, lambda: sign_on.unlink(identity, actor=request.user.username), "It is linked no more.")
    return redirect("sessions")
