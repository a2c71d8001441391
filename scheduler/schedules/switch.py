"""Switching a schedule on and off. The caller saves."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduler.models import Schedule
from scheduler.schedules.parse import recurrence_of


def start(schedule: Schedule, *, at: datetime) -> None:
    """Begins to fire with the first nominal time after `at`; times before are nobody's. The caller saves."""
    schedule.active = True
    schedule.anchor_at = at
    schedule.next_fire_at = recurrence_of(schedule).next_after(at) + timedelta(seconds=schedule.offset_seconds)


def stop(schedule: Schedule) -> None:
    schedule.active = False
    schedule.next_fire_at = None
