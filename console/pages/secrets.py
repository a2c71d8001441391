"""Secrets that tasks ask for: their names, and the form by which an administrator sets one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_secret
from console.accounts import access, secrets
from console.accounts.access import Action
from console.accounts.models import User
from console.pages.paging import newest_first
from console.pages.responses import PageRequest, attempt, page
from console.pages.scope import scope_of
from scheduler.models import Project, Secret
from scheduler.secrets.names import Name

_NAMES = ("project", "domain", "group", "key", "version")


@never_cache
@require_GET
@page
def list_secrets(request: PageRequest) -> HttpResponse:
    scope = scope_of(request)
    return _show(request, {"project": scope.project, "domain": scope.domain})


def _show(request: PageRequest, typed: dict[str, str], problem: str = "") -> HttpResponse:
    rows, scope = secrets.visible(request.user), scope_of(request)
    if scope.project:  # and what holds there because it holds everywhere
        rows = rows.filter(project__in=("", scope.project))
    if scope.domain:
        rows = rows.filter(domain__in=("", scope.domain))
    administered = access.readable(request.user, action=Action.ADMIN)
    context: dict[str, Any] = {
        "page": newest_first(request, rows),
        "mine": set(Secret.objects.filter(administered).values_list("pk", flat=True)),
        "projects": administered_projects(request.user),
        "everywhere": access.can(request.user, Action.ADMIN),
        "domains": settings.CAUSEWAY_DOMAINS,
        "typed": typed,
        "problem": problem,
    }
    return render(request, "account/secrets.html", context, status=400 if problem else 200)


def administered_projects(user: User) -> list[str]:
    """Those in which the user may set one, in some domain at least."""
    rows = Project.objects.exclude(state=Project.State.ARCHIVED).order_by("identifier")
    return [
        row.identifier
        for row in rows
        if any(access.can(user, Action.ADMIN, row.identifier, each) for each in settings.CAUSEWAY_DOMAINS)
    ]


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
