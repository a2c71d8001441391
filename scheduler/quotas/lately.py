"""What projects used lately counts in their turns: who had much an hour ago comes after who had nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from django.utils import timezone

from scheduler.models import UsageHour
from scheduler.quotas import lanes
from scheduler.quotas.rules import cost
from scheduler.quotas.used import HOUR, hour_of, of_attempts

HOURS_BACK = 6
HALF = 0.5  # of what counts for an hour counts for the one before
FRESH_SECONDS = 60.0
# Of the hour that goes on: where there is one place, nobody holds anything when it becomes free, and only this tells
# whose turn it is. So often do they take turns there.
NOW_FRESH_SECONDS = 5.0


def add_lately(costs: dict[str, float], *, now: datetime) -> dict[str, float]:
    """With what each project held on average in the last hours, the later ones counting more."""
    current, clock = hour_of(now), time.monotonic()
    before = _lately(current, int(clock / FRESH_SECONDS))
    for found in (before, _this_hour(current, int(clock / NOW_FRESH_SECONDS))):
        for project, amount in found.items():
            costs[project] = costs.get(project, 0.0) + amount
    return costs


@lru_cache(maxsize=2)
def _lately(current: datetime, tick: int) -> Mapping[str, float]:
    rows = UsageHour.objects.filter(hour__gte=current - HOURS_BACK * HOUR, hour__lt=current)
    known = lanes.load({row.lane for row in rows})
    found: dict[str, float] = defaultdict(float)
    for row in rows:
        if lane := known.get(row.lane):
            back = round((current - row.hour) / HOUR)
            found[lane.project] += cost(lane.demand) * row.seconds / 3600 * HALF**back
    return found


@lru_cache(maxsize=2)
def _this_hour(current: datetime, tick: int) -> Mapping[str, float]:
    now = timezone.now()
    ran = of_attempts(current, now, now=now)
    known = lanes.load(ran.keys())
    found: dict[str, float] = defaultdict(float)
    for number, (seconds, _) in ran.items():
        if lane := known.get(number):
            found[lane.project] += cost(lane.demand) * seconds / 3600
    return found
