"""Secrets that tasks ask for: their names, and the form by which an administrator sets one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_secret
from console.accounts import secrets
from console.pages.placed import show_placed
from console.pages.responses import PageRequest, attempt, page
from console.pages.scope import scope_of
from scheduler.secrets.names import Name

_NAMES = ("project", "domain", "group", "key", "version")


@never_cache
@require_GET
@page
def list_secrets(request: PageRequest) -> HttpResponse:
    scope = scope_of(request)
    return _show(request, {"project": scope.project, "domain": scope.domain})


def _show(request: PageRequest, typed: dict[str, str], problem: str = "") -> HttpResponse:
    return show_placed(request, "account/secrets.html", secrets.visible(request.user), typed, problem)


@sensitive_post_parameters("value")
@require_POST
@page
def set_secret(request: PageRequest) -> HttpResponse:
    """What was typed stays in the form when it is refused, the value excepted. A form makes CRLF of line ends."""
    typed = {name: request.POST.get(name, "").strip() for name in _NAMES}
    value = request.POST.get("value", "").replace("\r\n", "\n")
    try:
        row, made = secrets.put(
            Name(typed["group"], typed["key"], typed["version"]),
            value.encode(),
            project=typed["project"],
            domain=typed["domain"],
            actor=request.user,
        )
    except InvalidArgument as error:
        return _show(request, typed, error.message)
    messages.success(request, f"{row} is set." if made else f"{row} has a new value.")
    return redirect("secrets")


@require_POST
@page
def remove_secret(request: PageRequest, secret_id: int) -> HttpResponse:
    found = access_secret(request.user, secret_id)
    attempt(request, lambda: secrets.remove(found, actor=request.user), f"{found} is removed.")
    return redirect("secrets")
