"""What was used this month, by project, user or launch plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import CausewayError
from console import usage
from console.accounts import access
from console.accounts.access import Action
from console.pages import charts
from console.pages.charts import BarChart
from console.pages.quotas import parse_utc
from console.pages.responses import PageRequest, attempt, page
from scheduler.actions.prices import remove_price, set_price
from scheduler.models import Price
from scheduler.quotas.resources import ATTEMPTS, BYTES
from scheduler.quotas.used import window_start

FIRST = "cpu"  # what is shown where nobody asked for another resource


@dataclass(frozen=True)
class Bar:
    name: str
    hours: str  # of memory: GiB hours
    cost: str  # empty: it had no price
    percent: int  # of all
    width: int  # of 1000, the largest has all


@require_GET
@page
def show_usage(request: PageRequest) -> HttpResponse:
    return _show(request, {})


def _show(request: PageRequest, typed: dict[str, str], problem: str = "") -> HttpResponse:
    by = request.GET.get("by", "project")
    by = by if by in usage.GROUPS else "project"
    start = window_start("month", timezone.now())
    step = by if by in usage.STEPS else "day"
    found = usage.usage(request.user, start=start, by=(by,) if by == step else (by, step))
    resources = sorted({one.resource for one in found})
    chosen = request.GET.get("resource", "")
    resource = next((one for one in (chosen, FIRST, *resources) if one in resources), ATTEMPTS)
    rows = [one for one in found if one.resource == resource]
    days = usage.together(rows, step, letters=len("2026-05-31"))
    query = urlencode({"by": by, "start": start.isoformat()})
    context = {
        "rows": _bars(usage.together(rows, by), by),
        "by": by,
        "groups": usage.GROUPS,
        "resource": resource,
        "resources": resources,
        "start": start,
        "csv": f"{reverse('rest:usage-csv')}?{query}",
        "days": _days(days, step, start, resource),
        "prices": Price.objects.order_by("resource", "valid_from"),
        "currency": usage.currency(),
        "may_set": access.can(request.user, Action.ADMIN),
    }
    response = render(request, "quotas/usage.html", {**context, "typed": typed, "problem": problem})
    response.status_code = 400 if problem else 200
    return response


def _days(rows: list[usage.Used], step: str, start: datetime, resource: str) -> BarChart | None:
    """Every day since the start, those without use too."""
    unit = 2**30 if resource in BYTES else 1
    hours = {one.group[step]: one.hours / unit for one in rows}
    names = [f"{start + timedelta(days=day):%Y-%m-%d}" for day in range((timezone.now() - start).days + 1)]
    given = [charts.Bar.of(name, round(hours.get(name, 0.0), 2)) for name in names]
    title = f"{resource}: {'GiB ' if unit > 1 else ''}hours by day"
    return charts.bars(title, given, head=("Day", "Hours")) if hours else None


@require_POST
@page
def set_price_of(request: PageRequest) -> HttpResponse:
    """What was typed stays where it is refused."""
    access.require(request.user, Action.ADMIN)
    typed = {name: request.POST.get(name, "").strip() for name in ("resource", "per_hour", "currency", "valid_from")}
    try:
        row = set_price(
            typed["resource"],
            typed["per_hour"],
            currency=typed["currency"],
            valid_from=parse_utc(typed["valid_from"]),
            actor=request.user.username,
        )
    except CausewayError as error:
        return _show(request, typed, error.message)
    messages.success(request, f"{row} is set.")
    return redirect("usage")


@require_POST
@page
def remove_price_of(request: PageRequest, pk: int) -> HttpResponse:
    access.require(request.user, Action.ADMIN)
    attempt(request, lambda: remove_price(pk, actor=request.user.username), "The price is removed.")
    return redirect("usage")


def _bars(rows: list[usage.Used], by: str) -> list[Bar]:
    total, most = sum(one.hours for one in rows), max((one.hours for one in rows), default=0.0)
    bars = []
    for one in sorted(rows, key=lambda one: -one.hours):
        share = one.hours / total if total else 0.0
        cost = "" if one.cost is None else f"{one.cost:,.2f}"
        width = round(1000 * one.hours / most) if most else 0
        bars.append(Bar(one.group[by], _hours(one), cost, round(100 * share), width))
    return bars


def _hours(one: usage.Used) -> str:
    return f"{one.hours / 2**30:,.2f} GiB" if one.resource in BYTES else f"{one.hours:,.2f}"
