"""Backfilling a schedule: what nothing came of is launched, each time once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from django.db import connection

from artifacts.exceptions import InvalidArgument
from audit.models import AuditEvent
from scheduler.models import Execution, ExecutionMode, Schedule, ScheduleFire
from scheduler.schedules import backfill as backfills
from scheduler.schedules.backfill import backfill, slots
from scheduler.schedules.fire import fire_due, launch_nominal
from tests.scheduler.test_schedules import NOON, activated, hourly, kickoffs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
HOUR = timedelta(hours=1)


@pytest.fixture
def schedule() -> Schedule:
    """Of each hour; 13:00 was launched, 14:00 refused."""
    made = activated(hourly())
    fire_due(now=NOON + HOUR)
    ScheduleFire.objects.create(schedule=made, fire_at=NOON + 2 * HOUR, error="an input was missing")
    return made


def test_the_preview_says_what_is_open_and_launches_nothing(schedule: Schedule) -> None:
    found = slots(schedule, NOON, NOON + 4 * HOUR)
    assert [(slot.at - NOON, slot.is_open) for slot in found] == [
        (0 * HOUR, True),
        (1 * HOUR, False),
        (2 * HOUR, True),
        (3 * HOUR, True),
    ]
    assert Execution.objects.count() == 1


def test_it_launches_what_is_open_with_its_own_time_and_by_the_name_of_who_asked(schedule: Schedule) -> None:
    done = backfill(schedule, NOON, NOON + 4 * HOUR, actor="bea")
    assert len(done.launched) == 3 and not done.refused and not done.left
    assert kickoffs() == [f"2026-03-01T{hour}:00:00Z" for hour in (13, 12, 14, 15)]
    assert {run.principal for run in done.launched} == {"bea"}
    assert {run.mode for run in done.launched} == {ExecutionMode.SCHEDULED}
    assert not ScheduleFire.objects.filter(execution=None).exists()
    assert AuditEvent.objects.get(verb="schedule.backfill").actor == "bea"


def test_asking_again_launches_nothing_more(schedule: Schedule) -> None:
    backfill(schedule, NOON, NOON + 4 * HOUR, actor="bea")
    again = backfill(schedule, NOON - HOUR, NOON + 4 * HOUR, actor="cid")
    assert [run.principal for run in again.launched] == ["cid"]  # the hour that was new
    assert Execution.objects.count() == 5


def test_what_was_launched_and_not_written_down_is_found(schedule: Schedule) -> None:
    backfill(schedule, NOON, NOON + HOUR, actor="bea")
    ScheduleFire.objects.filter(fire_at=NOON).update(execution=None)
    backfill(schedule, NOON, NOON + HOUR, actor="bea")
    assert Execution.objects.count() == 2
    assert ScheduleFire.objects.get(fire_at=NOON).execution is not None


def test_it_takes_so_many_at_once_and_says_how_many_are_left(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfills, "AT_ONCE", 2)
    assert backfill(schedule, NOON, NOON + 4 * HOUR, actor="bea").left == 1
    assert backfill(schedule, NOON, NOON + 4 * HOUR, actor="bea").left == 0
    assert Execution.objects.count() == 4


def test_a_refused_time_keeps_none_of_the_others_and_says_why(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = launch_nominal

    def sometimes(schedule: Schedule, at: object, *, actor: str) -> Execution:
        if at == NOON:
            raise InvalidArgument("not at noon")
        return launch(schedule, at, actor=actor)  # type: ignore[arg-type]

    monkeypatch.setattr(backfills, "launch_nominal", sometimes)
    done = backfill(schedule, NOON, NOON + 4 * HOUR, actor="bea")
    assert done.refused == [(NOON, "not at noon")]
    assert len(done.launched) == 2
    assert ScheduleFire.objects.get(fire_at=NOON).error == "not at noon"


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (NOON, NOON, "begin before it ends"),
        (NOON, NOON + timedelta(days=36500), "ends now at the latest"),
        (NOON - timedelta(days=400), NOON, "more than 500 times"),
        (datetime.min.replace(tzinfo=timezone.utc), NOON, "in 1970 at the earliest"),
    ],
)
def test_ranges_without_sense_are_refused(schedule: Schedule, start: object, end: object, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        backfill(schedule, start, end, actor="bea")  # type: ignore[arg-type]
    assert Execution.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_at_once_launch_each_time_once(schedule: Schedule) -> None:
    def ask(actor: str) -> int:
        try:
            return len(backfill(schedule, NOON, NOON + 4 * HOUR, actor=actor).launched)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(ask, ("bea", "cid")))
    assert sum(counts) == 3
    assert Execution.objects.count() == 4
