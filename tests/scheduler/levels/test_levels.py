"""Service levels looked at: each deadline, execution, day and span once, and the figures out of the rows."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection

from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.models import ArtifactVersion, Happening
from artifacts.models import Kind as ArtifactKind
from scheduler.actions.levels import remove_level, set_level
from scheduler.levels.attainment import attainment, availability, note_alive, over_time
from scheduler.levels.look import look_at
from scheduler.models import (
    Channel,
    Execution,
    LaunchPlan,
    LevelOutcome,
    Notification,
    ServiceLevel,
    Subscription,
    UpTime,
)
from scheduler.phases import ExecutionPhase
from tests.console.pages.cast import make_version
from tests.console.rest.rows import make_execution, make_workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
Kind = ServiceLevel.Kind
NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLACE: dict[str, Any] = {"project": "demo", "domain": "development", "actor": "ann"}


def level(kind: ServiceLevel.Kind, name: str = "data", **over: Any) -> ServiceLevel:
    row = set_level(kind=kind, name=name, **PLACE, **over)
    ServiceLevel.objects.filter(pk=row.pk).update(set_at=NOON, looked_until=NOON)
    row.refresh_from_db()
    return row


def published(at: datetime, number: int, **over: Any) -> ArtifactVersion:
    return make_version("data", ArtifactKind.DATASET, number=number, created_at=at, **over)


def told(row: ServiceLevel) -> list[tuple[str, bool]]:
    return list(LevelOutcome.objects.filter(level=row).order_by("at").values_list("key", "met"))


@pytest.fixture
def plan(db: None) -> LaunchPlan:
    return LaunchPlan.objects.create(
        project="demo", domain="development", name="nightly", version="v1", workflow=make_workflow(), spec=b"",
        closure=b"", digest=b"",
    )  # fmt: skip


def ran(plan: LaunchPlan, name: str, began: datetime, took: timedelta | None) -> Execution:
    ended = began + took if took is not None else None
    return make_execution(
        name,
        launch_plan=plan,
        created_at=began,
        ended_at=ended,
        phase=ExecutionPhase.SUCCEEDED if ended else ExecutionPhase.RUNNING,
    )


def test_a_new_version_by_seven_in_berlin() -> None:
    published(NOON - DAY, 0)
    row = level(Kind.NEW_BY, time="07:00", zone="Europe/Berlin")
    Subscription.objects.create(
        project="demo", kinds=["level.*"], channel=Channel.EMAIL, address="a@x.org", created_at=NOON
    )
    published(NOON + 17 * HOUR, 1)  # 06:00 in Berlin
    published(NOON + DAY + 19 * HOUR, 2)  # 08:00: too late for that day, in time for the next
    for _ in range(2):
        look_at(row.pk, now=NOON + 4 * DAY)
    days = [datetime(2026, 3, day, 6, tzinfo=timezone.utc).isoformat() for day in (3, 4, 5, 6)]
    assert told(row) == list(zip(days, [True, False, True, False], strict=True))
    assert Happening.objects.filter(kind="level.breached").count() == 2
    assert Notification.objects.filter(happening__kind="level.breached").count() == 2
    found = attainment([row], now=NOON + 4 * DAY)[row.pk]
    assert (found.met, found.breached, found.share) == (2, 2, 0.5)
    assert [(met, bad) for _, met, bad in over_time(row, now=NOON + 4 * DAY)] == [(1, 0), (0, 1), (1, 0), (0, 1)]


def test_only_versions_of_the_partition_count() -> None:
    published(NOON, 0)
    row = level(Kind.NEW_BY, time="06:00", partitions={"region": "LAX"})
    published(NOON + HOUR, 1)
    look_at(row.pk, now=NOON + DAY)
    assert [met for _, met in told(row)] == [False]


def test_a_version_that_gets_too_old_and_its_successor() -> None:
    first = published(NOON, 0)
    row = level(Kind.FRESH, seconds=3600)
    look_at(row.pk, now=NOON + HOUR / 2)
    assert told(row) == []
    for minutes in (90, 100):
        look_at(row.pk, now=NOON + timedelta(minutes=minutes))
    outcome = LevelOutcome.objects.get()
    assert (outcome.key, outcome.at, outcome.until) == (str(first.pk), NOON + HOUR, None)
    assert attainment([row], now=NOON + 2 * HOUR)[row.pk].open_since == NOON + HOUR
    published(NOON + 2 * HOUR, 1)
    look_at(row.pk, now=NOON + 2 * HOUR + timedelta(minutes=1))
    outcome.refresh_from_db()
    assert outcome.until == NOON + 2 * HOUR
    assert attainment([row], now=NOON + 3 * HOUR)[row.pk].share == pytest.approx(2 / 3)
    with connection.cursor() as cursor:  # anybody may recompute it
        cursor.execute("SELECT 1 - sum(extract(epoch FROM until - at)) / (3 * 3600) FROM scheduler_leveloutcome")
        assert float(cursor.fetchone()[0]) == pytest.approx(2 / 3)


def test_every_execution_ends_within(plan: LaunchPlan) -> None:
    row = level(Kind.ENDS_WITHIN, "nightly", seconds=7200)
    ran(plan, "before", NOON - HOUR, 9 * HOUR)
    ran(plan, "quick", NOON + HOUR, HOUR)
    ran(plan, "slow", NOON + HOUR, 3 * HOUR)
    hangs = ran(plan, "hangs", NOON + 2 * HOUR, None)
    look_at(row.pk, now=NOON + 3.5 * HOUR)
    assert {one.subject.rpartition("/")[2]: one.met for one in LevelOutcome.objects.all()} == {
        "quick": True,
        "slow": False,
    }
    look_at(row.pk, now=NOON + 5 * HOUR)
    late = LevelOutcome.objects.get(key=str(hangs.pk))
    assert (late.met, late.at) == (False, NOON + 4 * HOUR)
    look_at(row.pk, now=NOON + 5 * HOUR)
    assert Happening.objects.filter(kind="level.breached").count() == 2


def test_p95_of_a_day_is_the_databases(plan: LaunchPlan) -> None:
    row = level(Kind.P95_WITHIN, "nightly", seconds=3600)
    for number in range(20):
        ran(plan, f"e{number}", NOON, timedelta(minutes=50 if number < 19 else 200))
    look_at(row.pk, now=NOON + 2 * DAY)
    outcome = LevelOutcome.objects.get()
    assert (outcome.key, outcome.met, outcome.subject) == ("2026-03-02", True, "20 executions")
    assert outcome.value == pytest.approx(3000 + 0.05 * 9000)


@pytest.mark.parametrize(
    ("kind", "over", "error"),
    [
        (Kind.NEW_BY, {"time": "25:00"}, InvalidArgument),
        (Kind.NEW_BY, {"time": "07:00", "zone": "Nowhere"}, InvalidArgument),
        (Kind.NEW_BY, {"time": "07:00", "seconds": 5}, InvalidArgument),
        (Kind.FRESH, {"seconds": 0}, InvalidArgument),
        (Kind.FRESH, {"seconds": 5, "time": "07:00"}, InvalidArgument),
        (Kind.FRESH, {"seconds": 5, "name": "nothing"}, NotFound),
        (Kind.FRESH, {"seconds": 5, "partitions": {"planet": "x"}}, InvalidArgument),
        (Kind.ENDS_WITHIN, {"seconds": 5, "name": "nothing"}, NotFound),
        (Kind.ENDS_WITHIN, {"seconds": 5, "partitions": {"region": "x"}}, InvalidArgument),
    ],
)
def test_promises_about_nothing_are_refused(kind: ServiceLevel.Kind, over: dict[str, Any], error: type) -> None:
    published(NOON, 0)
    with pytest.raises(error):
        set_level(kind=kind, **{"name": "data", **PLACE, **over})
    assert not ServiceLevel.objects.exists()


def test_one_that_was_taken_back_is_looked_at_no_more() -> None:
    published(NOON, 0)
    row = level(Kind.FRESH, seconds=60)
    look_at(row.pk, now=NOON + HOUR)
    remove_level(row, actor="ann")
    assert LevelOutcome.objects.get().until is not None
    look_at(row.pk, now=NOON + 2 * HOUR)
    with pytest.raises(NotFound):
        remove_level(row, actor="ann")


def test_where_no_sign_of_life_was_causeway_was_down() -> None:
    for minutes in [*range(0, 11), *range(30, 61)]:
        note_alive(NOON + timedelta(minutes=minutes) * 0.9)
    assert UpTime.objects.count() == 2
    found = availability(now=NOON + timedelta(minutes=54))
    assert [(one.since, one.until) for one in found.down] == [
        (NOON + timedelta(minutes=9), NOON + timedelta(minutes=27))
    ]
    assert found.share == pytest.approx(1 - 18 / 54)
