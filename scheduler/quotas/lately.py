"""What projects used lately counts in their turns: who had much an hour ago comes after who had nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from scheduler.models import UsageHour
from scheduler.quotas import lanes
from scheduler.quotas.rules import cost
from scheduler.quotas.used import HOUR, hour_of

HOURS_BACK = 6
HALF = 0.5  # of what counts for an hour counts for the one before
FRESH_SECONDS = 60.0


def add_lately(costs: dict[str, float], *, now: datetime) -> dict[str, float]:
    """With what each project held on average in the last hours, the later ones counting more."""
    for project, amount in _lately(hour_of(now), int(time.monotonic() / FRESH_SECONDS)).items():
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
