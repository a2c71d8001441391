"""What was used this month, by project, user or launch plan."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from console import usage
from console.pages.responses import PageRequest, page
from scheduler.quotas.resources import ATTEMPTS, BYTES
from scheduler.quotas.used import window_start


@dataclass(frozen=True)
class Bar:
    name: str
    hours: str  # of memory: GiB hours
    percent: int  # of all
    width: int  # of 1000, the largest has all


@require_GET
@page
def show_usage(request: PageRequest) -> HttpResponse:
    by = request.GET.get("by", "project")
    by = by if by in usage.GROUPS else "project"
    start = window_start("month", timezone.now())
    found = usage.usage(request.user, start=start, by=(by,))
    resources = sorted({one.resource for one in found})
    chosen = request.GET.get("resource", "")
    resource = chosen if chosen in resources else (resources or [ATTEMPTS])[0]
    rows = [one for one in found if one.resource == resource]
    query = urlencode({"by": by, "start": start.isoformat()})
    context = {
        "rows": _bars(rows, by),
        "by": by,
        "groups": usage.GROUPS,
        "resource": resource,
        "resources": resources,
        "start": start,
        "csv": f"{reverse('rest:usage-csv')}?{query}",
    }
    return render(request, "quotas/usage.html", context)


def _bars(rows: list[usage.Used], by: str) -> list[Bar]:
    total, most = sum(one.hours for one in rows), max((one.hours for one in rows), default=0.0)
    bars = []
    for one in sorted(rows, key=lambda one: -one.hours):
        shown = f"{one.hours / 2**30:,.2f} GiB" if one.resource in BYTES else f"{one.hours:,.2f}"
        share = one.hours / total if total else 0.0
        bars.append(Bar(one.group[by], shown, round(100 * share), round(1000 * one.hours / most) if most else 0))
    return bars
