"""The calendar of schedules: seven days, and in each what was launched, late, missed, and what is due."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from django.http import HttpResponse
from django.utils.timezone import now as now_utc
from django.views.decorators.http import require_GET

from artifacts.exceptions import InvalidArgument
from console.pages.badges import Badge
from console.pages.responses import PageRequest, page, respond
from console.pages.schedules import OUTCOMES, schedules_of
from scheduler.models import Schedule, ScheduleFire
from scheduler.schedules.agenda import TROUBLE, Outcome, Tick, window

DAYS = 7
SHOWN = 60  # schedules
MOST = 30  # times of one schedule and day that no fire tells of; what fires more often is "30+"
FIRES = 20_000
FAR = timedelta(days=366)  # no further before or after today
_ORDER = [*TROUBLE, Outcome.PAUSED, Outcome.LAUNCHED, Outcome.COMING]


@dataclass(frozen=True)
class Entry:
    """One schedule in one day."""

    schedule: Schedule
    ticks: list[Tick]
    is_cut: bool  # there are more than are counted

    @property
    def first(self) -> Tick:
        return self.ticks[0]

    @property
    def worst(self) -> Tick:
        return min(self.ticks, key=lambda tick: _ORDER.index(tick.outcome))

    @property
    def counts(self) -> list[tuple[Badge, int]]:
        """By what came of it, the worst first."""
        outcomes = [tick.outcome for tick in self.ticks]
        return [(OUTCOMES[one], outcomes.count(one)) for one in _ORDER if one in outcomes]


@dataclass(frozen=True)
class Day:
    date: date
    is_today: bool
    entries: list[Entry]


@require_GET
@page
def show_calendar(request: PageRequest) -> HttpResponse:
    """`?from=2026-11-23`: the first of seven days, in UTC; without, two days ago. `?bad=1`: only what went wrong."""
    now = now_utc()
    first = _first(request.GET.get("from", ""), now)
    only_bad = bool(request.GET.get("bad"))
    schedules = list(schedules_of(request, text="", everything=False)[: SHOWN + 1])
    days = _days(schedules[:SHOWN], first, now)
    if only_bad:
        days = [Day(one.date, one.is_today, [e for e in one.entries if e.worst.outcome in TROUBLE]) for one in days]
    context: dict[str, Any] = {
        "days": days,
        "first": first,
        "last": days[-1].date,
        "before": first - timedelta(days=DAYS),
        "after": first + timedelta(days=DAYS),
        "more": len(schedules) > SHOWN,
        "only_bad": only_bad,
        "empty": not any(one.entries for one in days),
    }
    return respond(request, "schedules/calendar.html", "schedules/_calendar.html", context, live=True)


def _first(text: str, now: datetime) -> date:
    if not text:
        return now.date() - timedelta(days=2)
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f"from: a day such as {now:%Y-%m-%d}, not {text[:40]!r}") from None
    if abs(found - now.date()) > FAR:
        raise InvalidArgument("from: at most a year before or after today")
    return found


def _days(schedules: list[Schedule], first: date, now: datetime) -> list[Day]:
    """One query for what all of them launched in these days."""
    begin = datetime(first.year, first.month, first.day, tzinfo=timezone.utc)
    margin = timedelta(seconds=max((one.offset_seconds for one in schedules), default=0))
    fires = ScheduleFire.objects.filter(
        schedule__in=schedules, fire_at__gte=begin - margin, fire_at__lt=begin + timedelta(days=DAYS)
    ).select_related("execution")
    heavy = ("execution__spec", "execution__error", "execution__counters", "execution__resolution")
    by_day: dict[tuple[int, date], list[ScheduleFire]] = defaultdict(list)
    offsets = {one.pk: timedelta(seconds=one.offset_seconds) for one in schedules}
    for fire in fires.defer(*heavy).order_by("-fire_at")[:FIRES]:
        by_day[fire.schedule_id, (fire.fire_at + offsets[fire.schedule_id]).date()].append(fire)
    days = []
    for number in range(DAYS):
        start = begin + timedelta(days=number)
        entries = [_entry(one, by_day[one.pk, start.date()], start, now) for one in schedules]
        found = sorted((one for one in entries if one is not None), key=lambda entry: entry.first.at)
        days.append(Day(start.date(), start.date() == now.date(), found))
    return days


def _entry(schedule: Schedule, fires: list[ScheduleFire], start: datetime, now: datetime) -> Entry | None:
    end = start + timedelta(days=1) - timedelta(microseconds=1)
    found = window(schedule, fires, now=now, start=start - timedelta(microseconds=1), end=end, most=MOST)
    ticks = [tick for tick in (*found.past, *found.coming) if start <= tick.at <= end]
    return Entry(schedule, ticks, len(ticks) - len(fires) >= MOST) if ticks else None
