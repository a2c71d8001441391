"""What is set for a project's domain, or everywhere, and asked for there by its name: secrets and connections."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.pages.paging import newest_first
from console.pages.responses import PageRequest
from console.pages.scope import scope_of
from scheduler.models import Connection, Project, Secret


def show_placed(
    request: PageRequest,
    template: str,
    rows: QuerySet[Secret] | QuerySet[Connection],
    typed: dict[str, str],
    problem: str = "",
) -> HttpResponse:
    """The page: those of `rows` that hold in the scope, and the form with what was typed, and why it was refused."""
    context = {
        "page": newest_first(request, _in_scope(request, rows)),
        "mine": set(rows.filter(access.readable(request.user, action=Action.ADMIN)).values_list("pk", flat=True)),
        "projects": _administered(request.user),
        "everywhere": access.can(request.user, Action.ADMIN),
        "domains": settings.CAUSEWAY_DOMAINS,
        "typed": typed,
        "problem": problem,
    }
    return render(request, template, context, status=400 if problem else 200)


def _in_scope(request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
    """With what holds there because it holds everywhere."""
    scope = scope_of(request)
    if scope.project:
        rows = rows.filter(project__in=("", scope.project))
    return rows.filter(domain__in=("", scope.domain)) if scope.domain else rows


def _administered(user: User) -> list[str]:
    """Projects in which the user may set one, in some domain at least."""
    rows = Project.objects.exclude(state=Project.State.ARCHIVED).order_by("identifier")
    return [
        row.identifier
        for row in rows
        if any(access.can(user, Action.ADMIN, row.identifier, each) for each in settings.CAUSEWAY_DOMAINS)
    ]
