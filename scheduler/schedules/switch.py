"""Switching a schedule on and off with its launch plan, where the caller saves; pausing and resuming it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, NotFound
from audit.record import record
from scheduler.models import Schedule
from scheduler.schedules.parse import recurrence_of


def start(schedule: Schedule, *, at: datetime) -> None:
    """Begins to fire with the first nominal time after `at`; times before are nobody's. The caller saves."""
    schedule.active = True
    schedule.paused_at, schedule.paused_by = None, ""
    schedule.anchor_at = at
    schedule.next_fire_at = recurrence_of(schedule).next_after(at) + timedelta(seconds=schedule.offset_seconds)


def stop(schedule: Schedule) -> None:
    schedule.active = False
    schedule.next_fire_at = None
    schedule.paused_at, schedule.paused_by = None, ""


def pause(schedule_id: int, *, actor: str) -> Schedule:
    """Launch nothing until resumed: what falls due meanwhile is nobody's. FailedPrecondition unless it is active."""
    with transaction.atomic():
        schedule = _locked(schedule_id)
        if schedule.paused_at is None:
            schedule.paused_at, schedule.paused_by, schedule.next_fire_at = timezone.now(), actor, None
            schedule.save(update_fields=["paused_at", "paused_by", "next_fire_at"])
            record(actor, "schedule.pause", schedule.launch_plan, detail={"expression": schedule.expression})
    return schedule


def resume(schedule_id: int, *, actor: str) -> Schedule:
    """Launch again, from the next nominal time on. FailedPrecondition when it is not paused."""
    with transaction.atomic():
        schedule = _locked(schedule_id)
        if schedule.paused_at is None:
            raise FailedPrecondition(f"schedule {schedule_id} is not paused")
        schedule.paused_at, schedule.paused_by = None, ""
        offset = timedelta(seconds=schedule.offset_seconds)
        schedule.next_fire_at = recurrence_of(schedule).next_after(timezone.now() - offset) + offset
        schedule.save(update_fields=["paused_at", "paused_by", "next_fire_at"])
        record(actor, "schedule.resume", schedule.launch_plan, detail={"expression": schedule.expression})
    return schedule


def _locked(schedule_id: int) -> Schedule:
    rows = Schedule.objects.select_for_update(of=("self",)).select_related("launch_plan")
    schedule = rows.defer("launch_plan__spec", "launch_plan__closure").filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound(f"no schedule {schedule_id}")
    if not schedule.active:
        raise FailedPrecondition(f"schedule {schedule_id} is not active: its launch plan is not")
    return schedule
