"""Schedules: what is due, what was missed or late, pausing, running now."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_schedule
from console.accounts import access
from console.accounts.access import Action
from console.pages.badges import Badge
from console.pages.responses import PageRequest, attempt, back, page, respond
from console.pages.scope import in_scope
from scheduler.models import Execution, Schedule, ScheduleFire
from scheduler.schedules.agenda import TROUBLE, Agenda, Outcome, Tick, agenda, next_up
from scheduler.schedules.fire import run_now
from scheduler.schedules.switch import pause, resume
from scheduler.schedules.words import in_words

SHOWN, NEXT_UP = 60, 8
DAY = timedelta(days=1)
BINS = 48  # of half an hour, on each side of now
FIRES = 5_000  # of the last day, of all that are shown
OUTCOMES = {
    Outcome.LAUNCHED: Badge("Launched", "good"),
    Outcome.LATE: Badge("Late", "warn"),
    Outcome.FAILED: Badge("Failed", "bad"),
    Outcome.REFUSED: Badge("Not launched", "bad"),
    Outcome.MISSED: Badge("Missed", "bad"),
    Outcome.PAUSED: Badge("Paused"),
    Outcome.OVERDUE: Badge("Overdue", "bad", live=True),
    Outcome.COMING: Badge("Due", "info"),
}


@dataclass(frozen=True)
class Bar:
    """Half an hour of the strip, by its place from 0 to twice BINS."""

    x: int
    tone: str
    words: str


@dataclass(frozen=True)
class Row:
    agenda: Agenda
    words: str
    state: Badge
    bars: list[Bar]
    summary: str
    may_pause: bool
    may_run: bool

    @property
    def schedule(self) -> Schedule:
        return self.agenda.schedule

    @property
    def next(self) -> datetime | None:
        return self.schedule.next_fire_at

    @property
    def trouble(self) -> Tick | None:
        return self.agenda.worst

    @property
    def trouble_badge(self) -> Badge | None:
        return OUTCOMES[self.agenda.worst.outcome] if self.agenda.worst else None

    @property
    def counts(self) -> list[tuple[Badge, int]]:
        return [(OUTCOMES[outcome], count) for outcome, count in self.agenda.counts.items()]


@require_GET
@page
def list_schedules(request: PageRequest) -> HttpResponse:
    """Those of active launch plans, the next due first; `?all=1` the others too, `?q=` by part of a plan's name."""
    text, everything = request.GET.get("q", "").strip(), bool(request.GET.get("all"))
    found = list(schedules_of(request, text=text, everything=everything)[: SHOWN + 1])
    now = timezone.now()
    shown = [_row(request, one, now) for one in _agendas(found[:SHOWN], now)]
    context = {
        "rows": shown,
        "more": len(found) > SHOWN,
        "next_up": next_up([row.agenda for row in shown], limit=NEXT_UP),
        "troubled": [row for row in shown if row.trouble is not None],
        "q": text,
        "everything": everything,
    }
    return respond(request, "schedules/list.html", "schedules/_list.html", context, live=True)


def schedules_of(request: PageRequest, *, text: str, everything: bool) -> QuerySet[Schedule]:
    """Those in the scope whose plan's name has the text, the next due first; inactive ones too where everything is."""
    heavy = ("launch_plan__spec", "launch_plan__closure")
    rows = in_scope(request, Schedule.objects.select_related("launch_plan").defer(*heavy), prefix="launch_plan__")
    rows = rows if everything else rows.filter(active=True)
    rows = rows.filter(launch_plan__name__icontains=text) if text else rows
    return rows.order_by("-active", F("next_fire_at").asc(nulls_last=True), "launch_plan__name", "-pk")


def _agendas(schedules: list[Schedule], now: datetime) -> list[Agenda]:
    """One query for what all of them launched in the last day."""
    fires = ScheduleFire.objects.filter(schedule__in=schedules, fire_at__gt=now - DAY).select_related("execution")
    heavy = ("execution__spec", "execution__error", "execution__counters", "execution__resolution")
    by_schedule: dict[int, list[ScheduleFire]] = defaultdict(list)
    for fire in fires.defer(*heavy).order_by("-fire_at")[:FIRES]:
        by_schedule[fire.schedule_id].append(fire)
    return [agenda(one, by_schedule[one.pk], now=now, span=DAY) for one in schedules]


def _row(request: PageRequest, found: Agenda, now: datetime) -> Row:
    plan, schedule = found.schedule.launch_plan, found.schedule
    state = Badge("Active", "good") if schedule.active else Badge("Inactive")
    if schedule.paused_at is not None:
        state = Badge("Paused", "warn")
    told = [f"{count} {outcome.value}" for outcome, count in found.counts.items()]
    summary = f"the last 24 hours: {', '.join(told) or 'nothing'}; the next 24 hours: {len(found.coming)} due"
    return Row(
        found,
        in_words(found.recurrence),
        state,
        _bars(found, now),
        summary,
        may_pause=access.can(request.user, Action.ACTIVATE, plan.project, plan.domain),
        may_run=access.can(request.user, Action.LAUNCH, plan.project, plan.domain),
    )


def _bars(found: Agenda, now: datetime) -> list[Bar]:
    """The day before and after now, each half hour in the colour of the worst that happened in it."""
    worst: dict[int, list[Outcome]] = defaultdict(list)
    for tick in (*found.past, *found.coming):
        place = int((tick.at - now + DAY) / DAY * BINS)
        if 0 <= place < 2 * BINS:
            worst[place].append(tick.outcome)
    order = [*TROUBLE, Outcome.PAUSED, Outcome.LAUNCHED, Outcome.COMING]
    bars = []
    for place, outcomes in sorted(worst.items()):
        leads = min(outcomes, key=order.index)
        start = now - DAY + place * DAY / BINS
        bars.append(Bar(place, OUTCOMES[leads].tone, f"{start:%H:%M}: {len(outcomes)}, {leads.value}"))
    return bars


SWITCHES = ("pause", "resume", "run")  # what the buttons of a schedule say


@require_POST
@page
def switch_schedule(request: PageRequest, schedule_id: int) -> HttpResponse:
    """Pause, resume, or launch once now."""
    what, actor = request.POST.get("do", ""), request.user.username
    action = Action.LAUNCH if what == "run" else Action.ACTIVATE
    schedule = access_schedule(request.user, schedule_id, action=action)
    if what not in SWITCHES:
        raise InvalidArgument(f"do: one of {', '.join(SWITCHES)}, not {what[:40]!r}")
    started: list[Execution] = []

    def act() -> None:
        if what == "run":
            started.append(run_now(schedule, actor=actor))
        else:
            (pause if what == "pause" else resume)(schedule_id, actor=actor)

    said = {"pause": "Paused: nothing is launched until it is resumed.", "resume": "It goes on with its next time."}
    attempt(request, act, said.get(what, "Launched."))
    if started:
        run = started[0]
        return redirect("execution", project=run.project, domain=run.domain, name=run.name)
    return back(request, "/schedules/")
