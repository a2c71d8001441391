"""Pages of service levels: what was promised, how well it is kept, and Causeway's own availability."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone as clock
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_level
from console.accounts import access
from console.accounts.access import Action
from console.pages.form_fields import number, texts
from console.pages.responses import PageRequest, attempt, page
from console.pages.scope import in_scope
from scheduler.actions import levels
from scheduler.levels.attainment import attainment, availability
from scheduler.models import ServiceLevel

SHOWN = 200


@require_GET
@page
def list_levels(request: PageRequest) -> HttpResponse:
    """Service levels with how well they are kept, and Causeway's own availability."""
    rows = list(in_scope(request, ServiceLevel.objects.filter(removed_at=None), prefix="").order_by("-pk")[:SHOWN])
    kept, now = attainment(rows, now=clock.now()), clock.now()
    context = {
        "levels": [(row, kept[row.pk]) for row in rows],
        "availability": availability(now=now) if access.can(request.user, Action.WATCH) else None,
        "kinds": ServiceLevel.Kind.choices,
        "may_set": bool(access.known_projects(request.user, action=Action.ACTIVATE) != []),
    }
    return render(request, "stewardship/levels.html", context)


@require_GET
@page
def show_level(request: PageRequest, level_id: int) -> HttpResponse:
    row = access_level(request.user, level_id)
    context = {
        "level": row,
        "kept": attainment([row], now=clock.now())[row.pk],
        "outcomes": list(row.outcomes.order_by("-at", "-pk")[:SHOWN]),
        "may_change": access.can(request.user, Action.ACTIVATE, row.project, row.domain),
    }
    return render(request, "stewardship/level.html", context)


@require_POST
@page
def set_level(request: PageRequest) -> HttpResponse:
    form = texts(request.POST, "project", "domain", "kind", "name", "time", "zone", "hours")
    place = form["project"], form["domain"]
    access.require_found(request.user, Action.ACTIVATE, *place, what=f"project {place[0]} with domain {place[1]}")

    def act() -> None:
        if form["kind"] not in ServiceLevel.Kind.values:
            raise InvalidArgument(f"kind: one of {', '.join(ServiceLevel.Kind.values)}")
        seconds = number(request.POST, "hours") * 3600 if form["hours"] else None
        levels.set_level(
            project=place[0],
            domain=place[1],
            kind=ServiceLevel.Kind(form["kind"]),
            name=form["name"],
            time=form["time"],
            zone=form["zone"],
            seconds=seconds,
            actor=request.user.username,
        )

    attempt(request, act, "It is looked at from now on.")
    return redirect("service-levels")


@require_POST
@page
def remove_level(request: PageRequest, level_id: int) -> HttpResponse:
    row = access_level(request.user, level_id, action=Action.ACTIVATE)
    attempt(request, lambda: levels.remove_level(row, actor=request.user.username), "It is looked at no more.")
    return redirect("service-levels")
