"""Launching a range of a schedule's nominal times that nothing came of: the preview, then the launches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone as clock
from django.views.decorators.http import require_http_methods

from artifacts.exceptions import CausewayError, InvalidArgument
from console.access_objects import access_schedule
from console.accounts import access
from console.accounts.access import Action
from console.pages.quotas import parse_utc
from console.pages.responses import PageRequest, page
from scheduler.models import Schedule
from scheduler.schedules.backfill import AT_ONCE, MOST, backfill, slots
from scheduler.schedules.parse import recurrence_of
from scheduler.schedules.words import in_words

WEEK = timedelta(days=7)


@require_http_methods(["GET", "POST"])
@page
def show_backfill(request: PageRequest, schedule_id: int) -> HttpResponse:
    """`?start=&end=`: a preview of that range, of the last week without; POST launches what is open in it."""
    action = Action.LAUNCH if request.method == "POST" else Action.READ
    schedule = access_schedule(request.user, schedule_id, action=action)
    given = request.POST if request.method == "POST" else request.GET
    now = clock.now().replace(second=0, microsecond=0)
    typed = {
        "start": given.get("start", f"{now - WEEK:%Y-%m-%dT%H:%M}"),
        "end": given.get("end", f"{now:%Y-%m-%dT%H:%M}"),
    }
    try:
        start, end = _moment(typed["start"]), _moment(typed["end"])
        if request.method == "POST":
            return _launch(request, schedule, start, end, typed)
        context: dict[str, Any] = {"slots": slots(schedule, start, end), "problem": ""}
    except InvalidArgument as error:
        context = {"slots": [], "problem": error.message}
    return render(request, "schedules/backfill.html", context | _shown(request, schedule, typed, context["slots"]))


def _shown(request: PageRequest, schedule: Schedule, typed: dict[str, str], found: list[Any]) -> dict[str, Any]:
    plan = schedule.launch_plan
    return {
        "schedule": schedule,
        "plan": plan,
        "words": in_words(recurrence_of(schedule)),
        "typed": typed,
        "open": sum(slot.is_open for slot in found),
        "at_once": AT_ONCE,
        "most": MOST,
        "may_launch": access.can(request.user, Action.LAUNCH, plan.project, plan.domain),
    }


def _moment(text: str) -> datetime:
    found = parse_utc(text)
    if found is None:
        raise InvalidArgument("a range needs a beginning and an end, such as 2026-05-31T12:00")
    return found


def _launch(
    request: PageRequest, schedule: Schedule, start: datetime, end: datetime, typed: dict[str, str]
) -> HttpResponse:
    """No transaction around all of them: what was launched stays launched where a later one is refused."""
    try:
        done = backfill(schedule, start, end, actor=request.user.username)
    except InvalidArgument:
        raise
    except CausewayError as error:
        messages.error(request, error.message)
    else:
        left = f" {done.left} are left: launch once more." if done.left else ""
        messages.success(request, f"Launched {len(done.launched)}.{left}")
        for at, said in done.refused[:3]:
            messages.error(request, f"{at:%Y-%m-%d %H:%M} was refused: {said}")
    return redirect(f"{reverse('backfill', args=[schedule.pk])}?{urlencode(typed)}")
