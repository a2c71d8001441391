"""Connector services: what there are, what each runs, and the form by which one is set."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import AlreadyExists, InvalidArgument
from console import connectors
from console.accounts import access
from console.accounts.access import Action
from console.pages.responses import PageRequest, attempt, page
from scheduler.actions.connectors import change_connector, remove_connector
from scheduler.actions.connectors import set_connector as set_it


@never_cache
@require_GET
@page
def list_connectors(request: PageRequest) -> HttpResponse:
    """`?edit=NAME` fills the form with one that is there."""
    chosen = request.GET.get("edit", "")
    found = connectors.access_connector(request.user, chosen) if chosen else None
    editable = found is not None and found.editable
    return _show(request, {"name": found.name, "description": found.yaml} if found and editable else {})


def _show(request: PageRequest, typed: dict[str, str], problem: str = "") -> HttpResponse:
    context = {"connectors": connectors.shown(request.user), "typed": typed, "problem": problem}
    return render(request, "account/connectors.html", context, status=400 if problem else 200)


@require_POST
@page
def set_connector(request: PageRequest) -> HttpResponse:
    """What was typed stays where it is not understood."""
    access.require(request.user, Action.ADMIN)
    typed = {name: request.POST.get(name, "").strip() for name in ("name", "description")}
    description = typed["description"].replace("\r\n", "\n")
    try:
        row, made = set_it(typed["name"], description, actor=request.user.username)
    except (InvalidArgument, AlreadyExists) as error:
        return _show(request, typed, error.message)
    messages.success(request, f"{row} is set." if made else f"{row} is changed.")
    return redirect("connectors")


@require_POST
@page
def switch(request: PageRequest, name: str) -> HttpResponse:
    """Open it for new attempts, or close it."""
    row, is_open = connectors.access_row(request.user, name), request.POST.get("open") == "yes"
    said = f"{name} takes new attempts." if is_open else f"{name} takes no new attempts; its jobs go on."
    attempt(request, lambda: change_connector(row, {"open": is_open}, actor=request.user.username), said)
    return redirect("connectors")


@require_POST
@page
def remove(request: PageRequest, name: str) -> HttpResponse:
    row = connectors.access_row(request.user, name)
    attempt(request, lambda: remove_connector(row, actor=request.user.username), f"{name} is removed.")
    return redirect("connectors")
