"""The page of schedules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.accounts.models import User
from scheduler.models import Execution, Schedule, ScheduleFire
from tests.console.pages.cast import World
from tests.scheduler.test_schedules import activated, hourly

Browse = Callable[[User], Client]
HOUR = timedelta(hours=1)


@pytest.fixture
def schedule(world: World) -> Schedule:
    """Hourly for five hours, of another project and domain."""
    return activated(hourly(), at=timezone.now() - 5 * HOUR)


def test_it_says_when_what_is_due_and_what_went_wrong(world: World, browse: Browse, schedule: Schedule) -> None:
    last = timezone.now().replace(minute=0, second=0, microsecond=0)
    ScheduleFire.objects.create(schedule=schedule, fire_at=last, error="input x is missing")
    Schedule.objects.filter(pk=schedule.pk).update(next_fire_at=last + HOUR)

    answer = browse(world.admin).get("/schedules/")

    (row,) = answer.context["rows"]
    counted = {badge.label: count for badge, count in row.counts}
    assert counted["Not launched"] == 1 and counted["Missed"] in (4, 5)
    page = answer.content.decode()
    assert "every hour" in page and "24 due" in page and "Due next" in page
    ScheduleFire.objects.update(fire_at=last - 30 * HOUR)
    Schedule.objects.filter(pk=schedule.pk).update(anchor_at=timezone.now())
    assert "Nothing: whatever was due was launched in time." in browse(world.admin).get("/schedules/").content.decode()


def test_it_pauses_resumes_and_runs(world: World, browse: Browse, schedule: Schedule) -> None:
    client = browse(world.admin)
    address = f"/schedules/{schedule.pk}/"

    client.post(address, {"do": "pause"})
    schedule.refresh_from_db()
    assert schedule.paused_by == "admin" and "Resume" in client.get("/schedules/").content.decode()
    client.post(address, {"do": "resume"})
    schedule.refresh_from_db()
    assert schedule.paused_at is None
    answer = client.post(address, {"do": "run"})
    run = Execution.objects.latest("pk")
    assert answer["Location"].endswith(f"/{run.name}/") and run.launch_plan_id == schedule.launch_plan_id
    assert client.post(address, {"do": "stop"}).status_code == 400


def test_a_viewer_sees_and_switches_nothing(world: World, browse: Browse, schedule: Schedule) -> None:
    plan = schedule.launch_plan
    client = browse(world.viewer)

    page = client.get("/schedules/").content.decode()

    assert plan.name in page and "Pause" not in page and "Run now" not in page
    for word in ("pause", "resume", "run"):
        assert client.post(f"/schedules/{schedule.pk}/", {"do": word}).status_code == 403
    assert browse(world.outsider).post(f"/schedules/{schedule.pk}/", {"do": "run"}).status_code == 404
    assert plan.name not in browse(world.outsider).get("/schedules/").content.decode()


def test_inactive_ones_are_shown_when_asked_for_and_nothing_says_so(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    assert "Nothing starts by the clock" in client.get("/schedules/").content.decode()
    made = activated(hourly(), at=timezone.now())
    Schedule.objects.filter(pk=made.pk).update(active=False, next_fire_at=None)
    assert not client.get("/schedules/").context["rows"]
    assert len(client.get("/schedules/?all=1").context["rows"]) == 1
    assert "Nothing matches" in client.get("/schedules/?q=nothing").content.decode()


def test_it_asks_no_more_for_more_schedules(world: World, browse: Browse, schedule: Schedule) -> None:
    client = browse(world.admin)
    with CaptureQueriesContext(connection) as few:
        client.get("/schedules/")
    for number in range(3):
        activated(hourly(), at=timezone.now() - HOUR, name=f"more{number}")
    with CaptureQueriesContext(connection) as many:
        client.get("/schedules/")
    assert len(few) == len(many) <= 7


def test_a_range_is_looked_at_and_then_launched(world: World, browse: Browse, schedule: Schedule) -> None:
    client = browse(world.admin)
    end = timezone.now().replace(minute=30, second=0, microsecond=0) - HOUR
    given = {"start": f"{end - 3 * HOUR:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}"}
    address = f"/schedules/{schedule.pk}/backfill/"
    page = client.get(address, given).content.decode()
    before = Execution.objects.count()
    assert "3 times, 3 of them open" in page and "would be launched" in page and before == Execution.objects.count()

    said = client.post(address, given, follow=True).content.decode()

    assert "Launched 3." in said and "3 times, 0 of them open" in said
    assert Execution.objects.count() == before + 3


def test_a_range_without_sense_is_said_and_who_may_not_launch_cannot(
    world: World, browse: Browse, schedule: Schedule
) -> None:
    address = f"/schedules/{schedule.pk}/backfill/"
    assert "is no time such as" in browse(world.admin).get(address, {"start": "soon"}).content.decode()
    for start, said in (("", "a beginning and an end"), ("0001-01-01T00:00", "in 1970 at the earliest")):
        assert said in browse(world.admin).get(address, {"start": start}).content.decode()
    assert (
        "begin before it ends"
        in browse(world.admin).post(address, {"start": "2026-01-02T00:00", "end": "2026-01-01T00:00"}).content.decode()
    )
    assert "data-confirm-action" not in browse(world.viewer).get(address).content.decode()
    assert browse(world.viewer).post(address).status_code == 403
    assert browse(world.outsider).get(address).status_code == 404
    assert browse(world.outsider).post(address).status_code == 404
    assert not Execution.objects.filter(launch_plan=schedule.launch_plan).exists()
