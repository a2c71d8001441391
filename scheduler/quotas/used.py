"""Hours of cpu and GPU that were used in a window of the calendar."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from scheduler.quotas.rules import Limit


def window_start(window: str, now: datetime) -> datetime:
    """In UTC."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "week":
        return day - timedelta(days=day.weekday())
    return day if window == "day" else day.replace(day=1)


def spent(limits: Collection[Limit], *, now: datetime) -> dict[int, float]:
    """By limit."""
    return {}
