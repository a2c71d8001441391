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
from console.pages.drawings import BarChart, Datum, bar_chart
from console.pages.wording import spell_duration
from scheduler.run_history import Entity, Figures, Past, figures, recent

IN_LIST, ON_PAGE = 20, 60


@dataclass(frozen=True)
class RunStrip:
    chart: BarChart
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
    data = [_datum(one, now) for one in runs]
    parts = [f"{len(data)} runs"]
    if told.success is not None:
        parts.append(f"{told.success} % of those that ended well or badly succeeded")
    p50, p95 = (spell_duration(timedelta(seconds=one)) if one is not None else "" for one in (told.p50, told.p95))
    if p50:
        parts.append(f"half of them within {p50}, 95 % within {p95}")
    chart = bar_chart(data, label="; ".join(parts), columns=("Run", "Ended"), places=places, start="older", end="now")
    return RunStrip(chart, told, p50, p95, runs[-1].created)


def _datum(run: Past, now: datetime) -> Datum:
    badge = badges.EXECUTION.get(run.phase, badges.QUEUED)
    took = run.seconds(now)
    words = f"{run.name}{f' {run.node}' if run.node else ''}, {run.created:%Y-%m-%d %H:%M}"
    value = f"{badge.label.lower()}, {spell_duration(timedelta(seconds=took))}" if run.started else badge.label.lower()
    place = (run.project, run.domain, run.name)
    url = reverse("node", args=[*place, run.node]) if run.node else reverse("execution", args=place)
    return Datum(took, badge.tone, words, value, url)
