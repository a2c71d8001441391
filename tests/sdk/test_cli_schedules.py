"""`causeway schedule` against the real API."""

from __future__ import annotations

import json
from datetime import timedelta

from flyteidl.admin import schedule_pb2

from scheduler.actions.launch_plans import set_state
from scheduler.models import LaunchPlan
from scheduler.schedules.fire import fire_due
from tests.scheduler.test_schedules import NOON, activated, hourly
from tests.sdk.conftest import Command


def test_it_shows_previous_and_next_times_and_what_they_launched(causeway: Command) -> None:
    schedule = activated(hourly())
    (before,) = json.loads(causeway("schedule", "list", "--json"))
    assert (before["last_fire_at"], before["next_fire_at"]) == (None, "2026-03-01T13:00:00Z")
    fire_due(now=NOON + timedelta(hours=2))
    (listed,) = json.loads(causeway("schedule", "list", "--json"))
    assert (listed["last_fire_at"], listed["next_fire_at"]) == ("2026-03-01T14:00:00Z", "2026-03-01T15:00:00Z")
    assert (listed["launch_plan"], listed["when"], listed["state"]) == ("timed", "every hour (UTC)", "active")
    fires = json.loads(causeway("schedule", "fires", schedule.pk, "--json"))
    assert [each["at"] for each in fires] == ["2026-03-01T14:00:00Z", "2026-03-01T13:00:00Z"]
    assert fires[0]["execution"] in causeway("schedule", "fires", schedule.pk, "--limit", 1)
    assert "schedule 0" in causeway("schedule", "fires", 0, exit_code=3)


def test_it_hides_schedules_of_inactive_launch_plans_unless_asked(causeway: Command) -> None:
    rate = schedule_pb2.FixedRate(value=90, unit=schedule_pb2.MINUTE)
    schedule = activated(schedule_pb2.Schedule(rate=rate, kickoff_time_input_arg="when"))
    assert "every 90 minutes" in causeway("schedule", "list")
    set_state(schedule.launch_plan, LaunchPlan.State.INACTIVE, actor="ann")
    assert json.loads(causeway("schedule", "list", "--json")) == []
    (listed,) = json.loads(causeway("schedule", "list", "--all", "--json"))
    assert (listed["state"], listed["next_fire_at"]) == ("inactive", None)


def test_it_pauses_goes_on_and_runs_now(causeway: Command) -> None:
    schedule = activated(hourly())
    assert "is paused" in causeway("schedule", "pause", schedule.pk)
    assert "paused" in causeway("schedule", "list")
    assert "goes on at" in causeway("schedule", "resume", schedule.pk)
    causeway("schedule", "resume", schedule.pk, exit_code=1)
    assert "demo/development/" in causeway("schedule", "run", schedule.pk)
    causeway("schedule", "run", 0, exit_code=3)


def test_it_backfills_a_range_after_a_look(causeway: Command) -> None:
    schedule = activated(hourly())
    times = ("--from", "2026-03-01T10:00:00Z", "--to", "2026-03-01T12:00:00Z")
    looked = json.loads(causeway("schedule", "backfill", schedule.pk, *times, "--dry-run", "--json"))
    assert [(slot["at"], slot["open"]) for slot in looked] == [
        ("2026-03-01T10:00:00Z", True),
        ("2026-03-01T11:00:00Z", True),
    ]
    done = json.loads(causeway("schedule", "backfill", schedule.pk, *times, "--json"))
    assert len(done["launched"]) == 2 and done["refused"] == [] and done["left"] == 0
    assert "nothing was open" in causeway("schedule", "backfill", schedule.pk, *times)
    causeway("schedule", "backfill", schedule.pk, "--from", times[3], "--to", times[1], exit_code=1)
