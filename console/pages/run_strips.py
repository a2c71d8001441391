"""Runs at a glance: a bar for each, as high as it took long, in the colour of how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from console.accounts import access
from console.pages import badges
from console.pages.charts import Bar, BarChart, Part, bars
from console.pages.wording import spell_duration
from scheduler.run_history import Entity, Figures, Past, figures, recent

IN_LIST, ON_PAGE = 20, 60
SEEN = 4.0  # per cent of the height that a run has at least which took no time


@dataclass(frozen=True)
class RunStrip:
    chart: BarChart | None
    figures: Figures
    p50: str  # empty where nothing succeeded
    p95: str
    newest: datetime

    @property
    def success_tone(self) -> str:
        success = self.figures.success
        return "neutral" if success is None else "good" if success >= 95 else "warn" if success >= 80 else "bad"


def strips_of(request: HttpRequest, entities: Iterable[Entity]) -> dict[int, RunStrip]:
    """For lists: by primary key, of those that ran. One query."""
    found = recent(entities, most=IN_LIST, may_read=access.may_read(request.user))
    return {pk: _strip(runs, IN_LIST) for pk, runs in found.items()}


def strip_of(request: HttpRequest, entity: Entity) -> RunStrip | None:
    """For its own page."""
    found = recent([entity], most=ON_PAGE, may_read=access.may_read(request.user))
    return _strip(found[entity.pk], ON_PAGE) if found.get(entity.pk) else None


def _strip(runs: Sequence[Past], places: int) -> RunStrip:
    now = timezone.now()
    told = figures(runs)
    parts = [f"{len(runs)} runs"]
    if told.success is not None:
        parts.append(f"{told.success} % of those that ended well or badly succeeded")
    p50, p95 = (spell_duration(timedelta(seconds=one)) if one is not None else "" for one in (told.p50, told.p95))
    if p50:
        parts.append(f"half of them within {p50}, 95 % within {p95}")
    told_of = "; ".join(parts)
    chart = bars(
        "How long each took",
        [_bar(one, now) for one in runs],
        spell=lambda seconds: spell_duration(timedelta(seconds=seconds)),
        head=("Run", "Ended"),
        words=told_of,
        at_least=places,
        least=SEEN,
        ends=("older", "now"),
    )
    return RunStrip(chart, told, p50, p95, runs[-1].created)


def _bar(run: Past, now: datetime) -> Bar:
    badge = badges.EXECUTION.get(run.phase, badges.QUEUED)
    took = run.seconds(now)
    name = f"{run.name}{f' {run.node}' if run.node else ''}, {run.created:%Y-%m-%d %H:%M}"
    value = f"{badge.label.lower()}, {spell_duration(timedelta(seconds=took))}" if run.started else badge.label.lower()
    place = (run.project, run.domain, run.name)
    url = reverse("node", args=[*place, run.node]) if run.node else reverse("execution", args=place)
    return Bar(name, [Part(took, badge.tone, badge.label.lower())], f"{name}: {value}", url)
