"""The calendar of schedules: what was launched, late, missed, and what is due, day by day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from django.test import Client
from django.utils import timezone as django_timezone

from console.accounts.models import User
from console.pages.calendar import Day
from scheduler.models import LaunchPlan, Schedule, ScheduleFire
from scheduler.phases import ExecutionPhase
from tests.console.pages.cast import World, make_execution

Browse = Callable[[User], Client]
NOON = datetime(2026, 3, 11, 12, tzinfo=timezone.utc)
URL = "/schedules/calendar/"


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.pages.calendar.now_utc", lambda: NOON)


def _schedule(expression: str, *, next_at: datetime, days: int = 30, **more: object) -> Schedule:
    plan = LaunchPlan.objects.get(name="train_on_dataset")
    anchor = NOON - timedelta(days=days)
    values = {"kind": "cron", "expression": expression, "active": True, "anchor_at": anchor, "next_fire_at": next_at}
    return Schedule.objects.create(launch_plan=plan, **(values | more))


def _told(day: Day) -> dict[str, int]:
    return {badge.label: count for entry in day.entries for badge, count in entry.counts}


def test_seven_days_from_two_days_ago(world: World, browse: Browse) -> None:
    schedule = _schedule("0 9 * * *", next_at=NOON.replace(hour=9) + timedelta(days=1))
    run = make_execution("daily", "train_on_dataset", ExecutionPhase.SUCCEEDED, age=timedelta(0))
    at = NOON.replace(hour=9)
    type(run).objects.filter(pk=run.pk).update(created_at=at + timedelta(seconds=2))
    ScheduleFire.objects.create(schedule=schedule, fire_at=at, execution=run)
    ScheduleFire.objects.create(schedule=schedule, fire_at=at - timedelta(days=1), error="no role <any> more")
    answer = browse(world.viewer).get(URL)
    days = answer.context["days"]
    assert [str(day.date) for day in days] == [f"2026-03-{number:02}" for number in range(9, 16)]
    assert [_told(day) for day in days] == [
        {"Missed": 1},
        {"Not launched": 1},
        {"Launched": 1},
        {"Due": 1},
        {"Due": 1},
        {"Due": 1},
        {"Due": 1},
    ]
    page = answer.content.decode()
    assert "no role &lt;any&gt; more" in page and 'href="/executions/demo/development/daily/"' in page
    assert [day.is_today for day in days].index(True) == 2


def test_what_went_wrong_alone(world: World, browse: Browse) -> None:
    _schedule("0 9 * * *", next_at=NOON.replace(hour=9) + timedelta(days=1))
    days = browse(world.viewer).get(URL + "?bad=1").context["days"]
    assert [_told(day) for day in days] == [{"Missed": 1}] * 3 + [{}] * 4


def test_another_week_before_and_after(world: World, browse: Browse) -> None:
    _schedule("0 9 * * 1", next_at=NOON.replace(hour=9) + timedelta(days=5), days=8)
    client = browse(world.viewer)
    later = client.get(URL + "?from=2026-04-01").context["days"]
    assert [(str(day.date), _told(day)) for day in later if day.entries] == [("2026-04-06", {"Due": 1})]
    before = client.get(URL + "?from=2026-02-20").context["days"]
    assert not any(day.entries for day in before)  # it was not there yet


def test_what_is_due_now_is_overdue_after_a_while(world: World, browse: Browse) -> None:
    _schedule("0 11 * * *", next_at=NOON.replace(hour=11))
    days = browse(world.viewer).get(URL).context["days"]
    assert _told(days[2]) == {"Overdue": 1}


def test_what_fires_every_minute_is_counted_up_to_a_number(world: World, browse: Browse) -> None:
    _schedule("* * * * *", next_at=NOON + timedelta(minutes=1), days=1)
    answer = browse(world.viewer).get(URL)
    tomorrow = answer.context["days"][3].entries[0]
    assert (len(tomorrow.ticks), tomorrow.is_cut) == (30, True)
    assert "30+" in answer.content.decode()


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "1000-01-01", "9999-12-31"])
def test_a_day_that_is_none_is_refused(world: World, browse: Browse, text: str) -> None:
    answer = browse(world.viewer).get(f"{URL}?from={text}")
    assert answer.status_code == 400 and "from: " in answer.content.decode()


def test_others_see_nothing(world: World, browse: Browse) -> None:
    _schedule("0 9 * * *", next_at=django_timezone.now())
    assert not any(day.entries for day in browse(world.outsider).get(URL).context["days"])
