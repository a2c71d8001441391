"""A project for those who administer it: its facts, members, service accounts, and what was done in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument, NotFound
from audit.models import AuditEvent
from console.access_objects import access_project
from console.accounts import access, roles, service_accounts
from console.accounts.access import Action
from console.accounts.models import Role, RoleBinding
from console.pages.responses import PageRequest, attempt, page
from scheduler.actions.projects import update_project
from scheduler.models import Project

MEMBERS, EVENTS = 500, 50
TOKEN_DAYS = {"90": "90 days", "365": "1 year", "": "never"}


@never_cache
@require_GET
@page
def list_projects(request: PageRequest) -> HttpResponse:
    """Those that the user may read, with what he may do about them."""
    rows = Project.objects.exclude(state=Project.State.ARCHIVED).order_by("identifier")
    known = access.known_projects(request.user)
    found = list(rows if known is None else rows.filter(identifier__in=known))
    context = {"rows": [(row, access.can(request.user, Action.ADMIN, row.identifier)) for row in found]}
    return render(request, "projects/list.html", context)


@never_cache
@require_GET
@page
def show_project(request: PageRequest, identifier: str) -> HttpResponse:
    row = access_project(request.user, identifier, action=Action.ADMIN)
    live = Count("api_tokens", filter=Q(api_tokens__revoked_at=None))
    members = RoleBinding.objects.filter(project=identifier).select_related("user").order_by("user__username", "role")
    context: dict[str, Any] = {
        "project": row,
        "members": members[:MEMBERS],
        "accounts": service_accounts.of(identifier).annotate(tokens=live)[:MEMBERS],
        "roles": Role.choices,
        "domains": settings.CAUSEWAY_DOMAINS,
        "days": TOKEN_DAYS,
        "events": AuditEvent.objects.filter(project=identifier).order_by("-at", "-id")[:EVENTS],
        "fresh": request.session.pop("new_account_token", None),
    }
    return render(request, "projects/project.html", context)


def _done(request: PageRequest, identifier: str, action: Callable[[], object], success: str) -> HttpResponse:
    attempt(request, action, success)
    return redirect("project", identifier)


@require_POST
@page
def change_project(request: PageRequest, identifier: str) -> HttpResponse:
    row = access_project(request.user, identifier, action=Action.ADMIN)
    name, description = request.POST.get("name", "").strip(), request.POST.get("description", "").strip()
    return _done(
        request,
        identifier,
        lambda: update_project(row, name=name, description=description, actor=request.user.username),
        "The project is changed.",
    )


@require_POST
@page
def add_member(request: PageRequest, identifier: str) -> HttpResponse:
    access_project(request.user, identifier, action=Action.ADMIN)
    name, domain = request.POST.get("user", "").strip(), request.POST.get("domain", "")

    def bind() -> None:
        try:
            roles.bind(name, _role(request), project=identifier, domain=domain, actor=request.user)
        except NotFound as error:  # a name that was mistyped, not a page that is not there
            raise InvalidArgument(error.message) from error

    return _done(request, identifier, bind, f"{name} has the role.")


@require_POST
@page
def remove_member(request: PageRequest, identifier: str, binding_id: int) -> HttpResponse:
    access_project(request.user, identifier, action=Action.ADMIN)
    binding = RoleBinding.objects.select_related("user").filter(pk=binding_id, project=identifier).first()
    if binding is None:
        raise NotFound(f"no role binding {binding_id}")
    return _done(request, identifier, lambda: roles.unbind(binding, actor=request.user), "The role is taken away.")


@require_POST
@page
def make_account(request: PageRequest, identifier: str) -> HttpResponse:
    access_project(request.user, identifier, action=Action.ADMIN)
    name, domain = request.POST.get("name", "").strip(), request.POST.get("domain", "")
    return _done(
        request,
        identifier,
        lambda: service_accounts.make(name, _role(request), project=identifier, domain=domain, actor=request.user),
        f"The service account {name} is there; it needs a token.",
    )


@require_POST
@page
def give_account_token(request: PageRequest, identifier: str, name: str) -> HttpResponse:
    """The secret is kept in the session until the page shows it, once."""
    access_project(request.user, identifier, action=Action.ADMIN)
    account = service_accounts.found(identifier, name)
    days = request.POST.get("days", "90")
    expires_at = timezone.now() + timedelta(days=int(days)) if days in TOKEN_DAYS and days else None

    def give() -> None:
        token, secret = service_accounts.give_token(
            account, request.POST.get("token", ""), expires_at, actor=request.user
        )
        request.session["new_account_token"] = {"name": f"{name}: {token.name}", "secret": secret}

    return _done(request, identifier, give, "")


@require_POST
@page
def close_account(request: PageRequest, identifier: str, name: str) -> HttpResponse:
    access_project(request.user, identifier, action=Action.ADMIN)
    account = service_accounts.found(identifier, name)
    return _done(request, identifier, lambda: service_accounts.close(account, actor=request.user), f"{name} is closed.")


def _role(request: PageRequest) -> Role:
    try:
        return Role(request.POST.get("role", ""))
    except ValueError:
        raise InvalidArgument(f"a role is one of {', '.join(Role.values)}") from None
