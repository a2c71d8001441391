"""The console's pages and actions as people call them: found by who types what he wants to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from console.accounts import access
from console.accounts.access import Action
from console.pages.navigation import ITEMS
from scheduler.models import Project


class Known(NamedTuple):
    """`others`: words that are no part of its label but mean it; `of_projects`: it can be looked at of one project."""

    label: str
    view: str
    query: str = ""
    icon: str = "link"
    others: str = ""
    of_projects: bool = True


class Found(NamedTuple):
    label: str
    url: str
    icon: str
    more: str = ""


# What the pages of the navigation are called besides, by the name of the view.
_OTHERS = {
    "home": "home dashboard start storm",
    "artifact-names": "data datasets models catalogue catalog registry partitions missing",
    "map": "lineage graph",
    "executions": "runs jobs history",
    "approvals": "gates review decide reject inbox",
    "launch-plans": "start run",
    "schedules": "late missed overdue due cron night nightly backfill tonight pause",
    "reactions": "triggers storm firings delay",
    "contests": "champion challenger shadow",
    "service-levels": "slo sla availability attainment",
    "quotas": "gpu gpus cpu memory limits waiting waits stuck capacity workers give",
    "usage": "cost costs price prices spend bill hours gpu cpu memory",
}
_ACTIONS = (
    Known("What failed", "executions", "phase=failed", "run", "errors failures broken tonight relaunch"),
    Known("What runs now", "executions", "phase=running", "run", "running active"),
    Known("What waits or is queued", "executions", "phase=idle", "run", "waiting stuck queue why"),
    Known("Calendar of schedules", "schedule-calendar", "", "clock", "late missed due week"),
    Known("Artifacts by name", "artifact-names", "", "artifact", "stale out of date newest"),
    Known("Champions", "artifacts", "q=alias:champion", "artifact", "aliases production"),
    Known("Usage of this month by user", "usage", "by=user", "usage", "cost who"),
    Known("Approvers", "approvers", "", "gate", "who decides", of_projects=False),
    Known("Promotions", "promotions", "", "gate", "promote staging production"),
    Known("Notifications", "inbox", "", "bell", "alerts bell", of_projects=False),
    Known("Subscriptions", "notifications", "", "bell", "alerts mail slack webhook notify", of_projects=False),
    Known("Secrets", "secrets", "", "lock", "credentials", of_projects=False),
    Known("Connections", "connections", "", "link", "databases warehouse", of_projects=False),
    Known(
        "Projects", "projects", "", "layers", "members roles access invite service accounts teams", of_projects=False
    ),
    Known("API tokens", "tokens", "", "key", "keys service accounts", of_projects=False),
    Known("Sessions", "sessions", "", "user", "devices logged in", of_projects=False),
    Known("Change my password", "password", "", "key", "account", of_projects=False),
    Known("REST API", "rest:docs", "", "link", "openapi swagger", of_projects=False),
)
_OF_PROJECT = ("member", "role", "access", "service", "account", "token", "invite", "project", "admin")
MOST_PROJECTS = 6


def pages_called(request: HttpRequest, text: str) -> Iterator[Found]:
    """Whose label has every word, or that words beginning so mean; with a project's name among them, that project's."""
    words = text.lower().split()
    named = _named(request, words)
    rest = [word for word in words if word not in named]
    yield from _projects(request, words, rest, named)
    for one in _known(request):
        if _means(one, words):
            yield _found(one, "")
        elif rest and one.of_projects and _means(one, rest):
            yield from (_found(one, project) for project in named)


def _projects(request: HttpRequest, words: list[str], rest: list[str], named: list[str]) -> Iterator[Found]:
    """The pages of projects, for who asks for what is done there."""
    if not words or not all(any(each.startswith(word) for each in _OF_PROJECT) for word in rest):
        return
    for project in named or _administered(request):
        if access.can(request.user, Action.ADMIN, project):
            url = reverse("project", args=[project])
            yield Found(project, url, "layers", "project: members, service accounts and their tokens")


def _found(one: Known, project: str) -> Found:
    query = "&".join(part for part in (one.query, urlencode({"project": project}) if project else "") if part)
    return Found(one.label, reverse(one.view) + (f"?{query}" if query else ""), one.icon, project)


def _named(request: HttpRequest, words: list[str]) -> list[str]:
    """The words that are projects the user may read something of."""
    known = access.known_projects(request.user)
    here = [word for word in words if known is None or word in known]
    rows = Project.objects.exclude(state=Project.State.ARCHIVED).filter(identifier__in=here)
    return list(rows.order_by("identifier").values_list("identifier", flat=True)) if here else []


def _administered(request: HttpRequest) -> list[str]:
    known = access.known_projects(request.user, action=Action.ADMIN)
    rows = Project.objects.exclude(state=Project.State.ARCHIVED).order_by("identifier")
    rows = rows if known is None else rows.filter(identifier__in=known)
    return list(rows.values_list("identifier", flat=True)[:MOST_PROJECTS])


def _known(request: HttpRequest) -> Iterator[Known]:
    for label, icon, view, _ in ITEMS:
        yield Known(label, view, "", icon, _OTHERS.get(view, ""))
    yield from _ACTIONS
    if access.can(request.user, Action.ADMIN):
        yield Known("Clusters", "clusters", "", "layers", "kubernetes executors pools", of_projects=False)
        yield Known("Connectors", "connectors", "", "layers", "agents", of_projects=False)


def _means(page: Known, words: list[str]) -> bool:
    label, others = page.label.lower(), page.others.split()
    return all(word in label or any(other.startswith(word) for other in others) for word in words)
