"""Where one is logged in: browsers, programs, and the provider of single sign-on."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from console import oidc
from console.accounts import sessions, sign_ins
from console.pages.responses import PageRequest, attempt, page


@never_cache
@require_GET
@page
def list_sessions(request: PageRequest) -> HttpResponse:
    context: dict[str, Any] = {
        "browsers": sessions.of(request.user),
        "here": request.session.session_key,
        "programs": sign_ins.of(request.user),
        "sign_on": oidc.is_set(),
        "identities": request.user.identities.order_by("pk"),
    }
    return render(request, "account/sessions.html", context)


@require_POST
@page
def end_session(request: PageRequest, session_id: int) -> HttpResponse:
    session = sessions.of(request.user).select_related("user").filter(pk=session_id).first()
    if session is None:
        raise Http404("no such session")
    attempt(request, lambda: sessions.end(session, actor=request.user.username), "That session has ended.")
    return redirect("sessions")


@require_POST
@page
def end_others(request: PageRequest) -> HttpResponse:
    """All browsers but this one, and all programs."""

    def end() -> None:
        sessions.end_all(request.user, actor=request.user.username, but=request.session.session_key or "")
        sign_ins.end_all(request.user, actor=request.user.username)

    attempt(request, end, "You are logged in nowhere but here.")
    return redirect("sessions")


@require_POST
@page
def end_sign_in(request: PageRequest, sign_in_id: int) -> HttpResponse:
    sign_in = sign_ins.of(request.user).select_related("user").filter(pk=sign_in_id).first()
    if sign_in is None:
        raise Http404("no such program")
    attempt(request, lambda: sign_ins.end(sign_in, actor=request.user.username), "That program is logged out.")
    return redirect("sessions")
