"""Connections that tasks ask for: what there are, and the form by which an administrator sets one."""

from __future__ import annotations

from typing import Any

import yaml
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_connection
from console.accounts import connections
from console.pages.placed import show_placed
from console.pages.responses import PageRequest, attempt, page
from console.pages.scope import scope_of
from scheduler.actions.connections import Wanted
from scheduler.models import Connection

_TYPED = ("project", "domain", "name", "kind", "host", "port", "user", "database", "options")


@never_cache
@require_GET
@page
def list_connections(request: PageRequest) -> HttpResponse:
    """`?edit=ID` fills the form with one that is there; its secrets stay."""
    scope = scope_of(request)
    chosen = request.GET.get("edit", "")
    if chosen.isdecimal() and len(chosen) < 19:  # digits of a bigint
        return _show(request, _typed(access_connection(request.user, int(chosen))))
    return _show(request, {"project": scope.project, "domain": scope.domain})


def _typed(row: Connection) -> dict[str, str]:
    typed = {name: str(getattr(row, name) or "") for name in _TYPED if name != "options"}
    return {**typed, "options": yaml.safe_dump(row.options, sort_keys=True) if row.options else ""}


def _show(request: PageRequest, typed: dict[str, str], problem: str = "") -> HttpResponse:
    return show_placed(request, "account/connections.html", connections.visible(request.user), typed, problem)


@sensitive_post_parameters("password", "secrets")
@require_POST
@page
def set_connection(request: PageRequest) -> HttpResponse:
    """What was typed stays in the form when it is refused, secrets excepted."""
    typed = {name: request.POST.get(name, "").strip() for name in _TYPED}
    try:
        row, made = connections.put(
            typed["name"],
            _wanted(request, typed),
            project=typed["project"],
            domain=typed["domain"],
            actor=request.user,
        )
    except InvalidArgument as error:
        return _show(request, typed, error.message)
    messages.success(request, f"{row} is set." if made else f"{row} is changed.")
    return redirect("connections")


def _wanted(request: PageRequest, typed: dict[str, str]) -> Wanted:
    """InvalidArgument; an empty password leaves the one that is there."""
    port = typed["port"]
    if port and not (port.isdecimal() and len(port) <= 5):  # digits of the largest one
        raise InvalidArgument("port: a whole number")
    secrets: dict[str, str | None] = {
        name: value if value is None else str(value)
        for name, value in _mapping(request.POST.get("secrets", ""), "secrets").items()
    }
    if password := request.POST.get("password", ""):
        secrets["password"] = password
    plain = {name: typed[name] for name in ("kind", "host", "user", "database")}
    options = _mapping(typed["options"], "options")
    return Wanted(**plain, port=int(port) if port else None, options=options, secrets=secrets)


def _mapping(text: str, what: str) -> dict[str, Any]:
    """Lines of `name: value`. InvalidArgument, never with what was typed."""
    try:
        found = yaml.safe_load(text.replace("\r\n", "\n"))
    except (yaml.YAMLError, ValueError):  # a date that there is not is a ValueError
        found = text
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise InvalidArgument(f"{what}: lines of `name: value`")
    return found


@require_POST
@page
def remove_connection(request: PageRequest, connection_id: int) -> HttpResponse:
    found = access_connection(request.user, connection_id)
    attempt(request, lambda: connections.remove(found, actor=request.user), f"{found} is removed.")
    return redirect("connections")
