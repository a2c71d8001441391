"""What projects used lately counts in their turns: who had much an hour ago comes after who had nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
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
MOST_OF_TIME = 0.01  # that goes by with asking


def costs_lately(*, now: datetime) -> dict[str, float]:
    """What each project held on average in the last hours, the later ones counting more. For those who decide, before
    they take their lock: it may have to be asked of all attempts of this hour.
    """
    current = hour_of(now)
    found = dict(_lately(current, int(time.monotonic() / FRESH_SECONDS)))
    for project, amount in _this_hour(current).items():
        found[project] = found.get(project, 0.0) + amount
    return found


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


@dataclass(frozen=True)
class _Kept:
    hour: datetime | None = None
    until: float = 0.0
    costs: Mapping[str, float] = field(default_factory=dict)


_kept = _Kept()


def _this_hour(current: datetime) -> Mapping[str, float]:
    """Where an hour has so many attempts that asking takes long, it is asked less often."""
    global _kept
    clock = time.monotonic()
    if _kept.hour != current or clock >= _kept.until:
        found = _costs_of_hour(current)
        took = time.monotonic() - clock
        _kept = _Kept(current, clock + max(NOW_FRESH_SECONDS, took / MOST_OF_TIME), found)
    return _kept.costs


def _costs_of_hour(current: datetime) -> Mapping[str, float]:
    now = timezone.now()
    ran = of_attempts(current, now, now=now)
    known = lanes.load(ran.keys())
    found: dict[str, float] = defaultdict(float)
    for number, (seconds, _) in ran.items():
        if lane := known.get(number):
            found[lane.project] += cost(lane.demand) * seconds / 3600
    return found
