"""The queue and the quotas: what waits for what, what is in use, and the form by which a quota is set."""

from __future__ import annotations

from datetime import datetime, timezone

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import CausewayError, InvalidArgument
from console import places, quotas
from console.accounts import access
from console.accounts.access import Action
from console.pages.responses import PageRequest, attempt, page, respond
from console.pages.scope import scope_of as shown_scope
from scheduler.actions.quotas import Wanted, remove_quota, scope_of, set_quota
from scheduler.models import QuotaWindow
from scheduler.models.quota import WARN_AT

_WHOSE = ("project", "domain", "user", "launch_plan")
_TEXTS = (*_WHOSE, "resource", "limit", "warn_at", "guaranteed", "borrows_from", "window", "valid_from", "valid_until")


_RESOURCES = (
    ("gpu", "GPUs at once; gpu:MODEL for one kind"),
    ("cpu", "cores at once"),
    ("memory", "at once, such as 64Gi"),
    ("executions", "that go on at once"),
    ("launches", "that start within a minute"),
    ("attempts", "tasks that run at once"),
    ("cpu-hours", "of a window"),
    ("gpu-hours", "of a window"),
    ("weight", "turns beside other projects"),
    ("preemption", "1: takes part in it"),
)


@require_GET
@page
def list_quotas(request: PageRequest) -> HttpResponse:
    """`?edit=ID` fills the form with one that is there."""
    return _show(request, _typed(request))


def _typed(request: PageRequest) -> dict[str, str]:
    chosen = request.GET.get("edit", "")
    if not (chosen.isascii() and chosen.isdigit() and len(chosen) < 19):
        return {}
    shown = quotas.access_quota(request.user, int(chosen))
    one = shown.row
    typed = {name: str(getattr(one, name) or "") for name in (*_WHOSE, "resource", "warn_at", "window")}
    typed |= {"limit": f"{one.limit:.15g}", "guaranteed": f"{one.guaranteed:.15g}" if one.guaranteed else ""}
    typed["borrows_from"] = shown.lender
    times = {"valid_from": one.valid_from, "valid_until": one.valid_until}
    return typed | {name: f"{at:%Y-%m-%dT%H:%M}" if at else "" for name, at in times.items()}


def _show(request: PageRequest, typed: dict[str, str], problem: str = "") -> HttpResponse:
    project = shown_scope(request).project
    context = {
        "quotas": quotas.shown(request.user, project=project),
        "queue": quotas.queue(request.user, project=project),
        "places": places.places(request.user),
        "workers": places.workers(),
        "running": [(one, places.asked(one)) for one in places.running(request.user, project=project)],
        "longest": places.LONGEST,
        "typed": typed,
        "problem": problem,
        "windows": QuotaWindow.values,
        "may_set": _may_set(request),
        "resources": _RESOURCES,
        "more": any(value for name, value in typed.items() if name not in ("project", "resource", "limit", "warn_at")),
    }
    response = respond(request, "quotas/list.html", "quotas/_list.html", context, live=True)
    if problem:
        response.status_code = 400
    return response


def _may_set(request: PageRequest) -> bool:
    known = access.known_projects(request.user)
    projects = [""] if known is None else ["", *known]
    return any(access.can(request.user, Action.ADMIN, project) for project in projects)


@require_POST
@page
def set_one(request: PageRequest) -> HttpResponse:
    """What was typed stays where it is refused."""
    typed = {name: request.POST.get(name, "").strip() for name in _TEXTS}
    try:
        scope = scope_of(**{name: typed[name] for name in _WHOSE})
        by = quotas.setter(request.user, scope)
        wanted = Wanted(
            scope=scope,
            resource=typed["resource"],
            limit=typed["limit"],
            warn_at=_percent(typed["warn_at"]),
            guaranteed=typed["guaranteed"] or 0,
            borrows_from=quotas.lender_meant(request.user, scope, typed["resource"], typed["borrows_from"]),
            window=typed["window"],
            valid_from=parse_utc(typed["valid_from"]),
            valid_until=parse_utc(typed["valid_until"]),
        )
        row, made = set_quota(wanted, by=by)
    except CausewayError as error:
        if error.http_status == 403:
            raise
        return _show(request, typed, error.message)
    messages.success(request, f"{row} is {'set' if made else 'changed'}.")
    if warning := quotas.access_quota(request.user, row.pk).warning:
        messages.warning(request, warning)
    return redirect("quotas")


def _percent(text: str) -> int:
    if not text:
        return WARN_AT
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidArgument(f"the warning level is 1 to 100 percent of the limit, not {text!r}")
    return int(text)


def parse_utc(text: str) -> datetime | None:
    """What a field for a time holds, in UTC, as which it is taken where it names no zone. InvalidArgument, also for one
    that has no date in UTC: the database would take it, and nobody could read it again.
    """
    try:
        found = datetime.fromisoformat(text) if text else None
        if found is None or found.tzinfo is not None:
            return found and found.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise InvalidArgument(f"{text[:40]!r} is no time such as 2026-05-31T12:00") from None
    return found.replace(tzinfo=timezone.utc)


@require_POST
@page
def remove(request: PageRequest, pk: int) -> HttpResponse:
    row = quotas.access_quota(request.user, pk).row
    by = quotas.setter_of(request.user, pk)
    attempt(request, lambda: remove_quota(pk, by=by), f"{row} is removed.")
    return redirect("quotas")
