"""What every page shows around its content: navigation, scope, theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from console.accounts import access
from console.accounts.access import Action
from console.pages.approvals_context import waiting_count
from console.pages.scope import scope_of
from scheduler.models import Project

THEMES = ("system", "light", "dark")
TIMES = ("local", "utc")


@dataclass(frozen=True)
class Item:
    label: str
    icon: str
    url: str
    current: bool


# Label, icon, name of the view, and the beginning of the addresses that belong to it.
ITEMS = (
    ("Overview", "home", "home", ""),
    ("Artifacts", "artifact", "artifact-names", "/artifacts/"),
    ("Map", "map", "map", "/map/"),
    ("Executions", "run", "executions", "/executions/"),
    ("Approvals", "gate", "approvals", "/approvals/"),
    ("Launch plans", "plan", "launch-plans", "/launch-plans/"),
    ("Schedules", "clock", "schedules", "/schedules/"),
    ("Reactions", "reaction", "reactions", "/reactions/"),
    ("Workflows", "workflow", "workflows", "/workflows/"),
    ("Tasks", "task", "tasks", "/tasks/"),
    ("Contests", "check", "contests", "/contests/"),
    ("Service levels", "level", "service-levels", "/service-levels/"),
    ("Queue and quotas", "layers", "quotas", "/quotas/"),
    ("Usage", "usage", "usage", "/usage/"),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context processor; what needs the database is looked up only by pages that show it."""
    theme = request.COOKIES.get("theme", "system")
    context: dict[str, Any] = {"theme": theme if theme in THEMES else "system", "themes": THEMES}
    context |= {"times": "utc" if request.COOKIES.get("times") == "utc" else "local", "time_choices": TIMES}
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or request.path.startswith("/admin/"):
        return context
    items = [
        Item(label, icon, reverse(view), request.path.startswith(start) if start else request.path == "/")
        for label, icon, view, start in ITEMS
    ]
    return context | {
        "nav_items": items,
        "scope": scope_of(request),
        "scope_domains": settings.CAUSEWAY_DOMAINS,
        "scope_projects": SimpleLazyObject(lambda: _projects(request)),
        "nav_clusters": access.can(request.user, Action.ADMIN),
        "nav_figures": access.can(request.user, Action.WATCH),
        "nav_waiting": SimpleLazyObject(lambda: waiting_count(request)),
    }


def _projects(request: HttpRequest) -> list[Project]:
    rows = Project.objects.exclude(state=Project.State.ARCHIVED).order_by("identifier")
    known = access.known_projects(request.user)
    return list(rows if known is None else rows.filter(identifier__in=known))
