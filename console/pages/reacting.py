"""Reactions at a glance: a row for each launch plan however often it reacted, beside the ledger of all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from console.pages import badges
from console.pages.badges import Badge
from scheduler.models import Trigger, TriggerFiring

HOUR = timedelta(hours=1)
COUNTED = 20_000  # firings of the last hour, the newest
SHOWN = 12  # launch plans


@dataclass(frozen=True)
class Reacting:
    """A launch plan whose trigger did something of late. `outcomes`: how often what came of it."""

    trigger: Trigger
    newest: datetime
    outcomes: list[tuple[Badge, int]]

    @property
    def count(self) -> int:
        return sum(count for _, count in self.outcomes)


def of_last_hour(rows: QuerySet[TriggerFiring], triggers: QuerySet[Trigger], *, now: datetime) -> list[Reacting]:
    """Those that reacted last come first. `triggers`: with their launch plans."""
    recent = rows.select_related(None).defer(None).filter(at__gt=now - HOUR).order_by("-at", "-id")
    outcomes: dict[int, Counter[str]] = defaultdict(Counter)
    newest: dict[int, datetime] = {}
    for trigger, outcome, at in recent.values_list("trigger_id", "outcome", "at")[:COUNTED]:
        outcomes[trigger][outcome] += 1
        newest.setdefault(trigger, at)
    known = triggers.in_bulk(list(newest)[:SHOWN])
    return [
        Reacting(known[pk], newest[pk], _badges(outcomes[pk].items())) for pk in list(newest)[:SHOWN] if pk in known
    ]


def _badges(counts: Iterable[tuple[str, int]]) -> list[tuple[Badge, int]]:
    ordered = sorted(counts, key=lambda one: -one[1])
    return [(badges.FIRING.get(outcome, Badge(outcome)), count) for outcome, count in ordered]
