"""Reactions drawn: how many a minute in the last hour, and how long they took."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from django.db.models import QuerySet

from console.pages import badges
from console.pages.charts import Bar, BarChart, Part, bars
from scheduler.models import TriggerFiring

MINUTES = 60
FIRINGS = 20_000  # of the last hour
LATENCIES = 500  # the newest
BOUNDS = (25, 50, 100, 200, 500, 1_000, 2_000, 5_000, 15_000, 60_000)  # milliseconds


def firings_a_minute(firings: QuerySet[TriggerFiring], now: datetime) -> BarChart | None:
    """None where nothing happened in the last hour."""
    since = now.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
    rows = _plain(firings).filter(at__gte=since).order_by("-at")
    counts: Counter[tuple[int, str]] = Counter()
    for at, outcome in rows.values_list("at", "outcome")[:FIRINGS]:
        counts[int((at - since).total_seconds() // 60), outcome] += 1
    if not counts:
        return None
    given = []
    for minute in range(MINUTES):
        found = [(badge, counts[minute, outcome]) for outcome, badge in badges.FIRING.items()]
        parts = [Part(count, badge.tone, badge.label.lower()) for badge, count in found if count]
        given.append(Bar(f"{since + timedelta(minutes=minute):%H:%M}", parts))
    most = max(bar.value for bar in given)
    title = f"Reactions of the last hour by minute: {counts.total()}, at most {most:.0f} in a minute"
    return bars(title, given, head=("Minute", "Reactions"), ends=(f"{since:%H:%M}", "now"))


def _plain(firings: QuerySet[TriggerFiring]) -> QuerySet[TriggerFiring]:
    return firings.select_related(None).defer(None)


def latencies(firings: QuerySet[TriggerFiring]) -> BarChart | None:
    """From publication to launch, of the newest firings; None where none launched."""
    rows = _plain(firings).filter(latency_ms__isnull=False).order_by("-at")
    took = [ms for ms in rows.values_list("latency_ms", flat=True)[:LATENCIES] if ms is not None]
    if not took:
        return None
    counts = Counter(next((place for place, bound in enumerate(BOUNDS) if ms <= bound), len(BOUNDS)) for ms in took)
    first, last = min(counts), max(counts)
    given = [Bar.of(_between(place), counts[place], tone=_tone(place)) for place in range(first, last + 1)]
    title = f"From publication to launch, {len(took)} times: mostly {_between(counts.most_common(1)[0][0])}"
    return bars(title, given, head=("Latency", "Reactions"))


def _tone(place: int) -> str:
    return "good" if place < BOUNDS.index(1_000) + 1 else "warn"


def _between(place: int) -> str:
    if place == len(BOUNDS):
        return f"over {_spelled(BOUNDS[-1])}"
    return f"{_spelled(BOUNDS[place - 1])} to {_spelled(BOUNDS[place])}" if place else f"up to {_spelled(BOUNDS[0])}"


def _spelled(ms: int) -> str:
    return f"{ms} ms" if ms < 1_000 else f"{ms // 1_000} s"
