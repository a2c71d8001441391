"""What was used is the sum over attempts, summed up by hours or not."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scheduler.models import Execution, TaskExecution, UsageHour
from scheduler.phases import AttemptPhase
from scheduler.quotas import lanes, lately, used
from scheduler.quotas.rules import PROJECT, Limit, Scope
from tests.scheduler.attempts import make_attempt, make_node

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 20, 14, 30, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def ran(start: datetime, end: datetime | None, project: str = "a", **resources: float) -> TaskExecution:
    node = make_node()
    Execution.objects.filter(pk=node.execution_id).update(project=project)
    phase = AttemptPhase.RUNNING if end is None else AttemptPhase.SUCCEEDED
    row = make_attempt(node, phase=phase, started_at=start, ended_at=end, resources=resources)
    lanes.give([row.pk])
    row.refresh_from_db()
    return row


def test_it_is_the_sum_over_attempts_to_the_second() -> None:
    chance = random.Random(7)  # noqa: S311
    rows = []
    for _ in range(60):
        start = NOW - timedelta(seconds=chance.uniform(0, 40_000))
        end = start + timedelta(seconds=chance.uniform(0, 15_000))
        rows.append(ran(start, end if end < NOW else None, chance.choice("ab"), cpu=chance.choice([1, 2])))
    make_attempt(phase=AttemptPhase.FAILED, ended_at=NOW - HOUR)  # it never ran
    for summed in (None, used.sum_up, used.sum_up, used.sum_up_past, used.sum_up):
        if summed is not None:
            summed(now=NOW)
        for start, end in ((NOW - 9 * HOUR, NOW), (NOW - timedelta(hours=5.3), NOW - timedelta(hours=1.2))):
            expected: dict[int, float] = defaultdict(float)
            for row in rows:
                assert row.started_at is not None and row.lane is not None
                part = (min(row.ended_at or NOW, end) - max(row.started_at, start)).total_seconds()
                expected[row.lane] += max(0.0, part)
            found = used.seconds(start, end, now=NOW)
            assert found == pytest.approx({lane: s for lane, s in expected.items() if s}, abs=1e-3), summed
    oldest = min(row.started_at for row in rows if row.started_at is not None)
    said = list(UsageHour.objects.filter(lane=used.SUMMED).order_by("hour").values_list("hour", flat=True))
    assert said == [used.hour_of(oldest) + number * HOUR for number in range(len(said))] and said[-1] == NOW.replace(
        hour=13, minute=0
    )


def test_an_end_that_is_reported_late_is_counted_right_with_the_next_hour() -> None:
    row = ran(NOW - 3 * HOUR, None, cpu=1)
    used.sum_up(now=NOW)
    TaskExecution.objects.filter(pk=row.pk).update(phase=AttemptPhase.SUCCEEDED, ended_at=NOW - timedelta(hours=2.75))
    used.sum_up(now=NOW + HOUR)
    assert used.seconds(NOW - 6 * HOUR, NOW + HOUR, now=NOW + HOUR) == pytest.approx({row.lane: 900.0})
    assert used.sum_up(now=NOW + HOUR) == 0, "once an hour"


def test_hours_of_a_window_and_a_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    ran(NOW - 2 * HOUR, NOW - HOUR, "a", gpu=4)
    ran(NOW - timedelta(hours=0.5), None, "a", gpu=1)
    ran(NOW - 2 * HOUR, NOW - HOUR, "b", gpu=1)
    ran(NOW - timedelta(days=30), NOW - timedelta(days=29), "a", gpu=1)
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    used._kept.cache_clear()
    limits = [
        Limit(1, Scope(PROJECT, "a"), "gpu-hours", 9, window="month"),
        Limit(2, Scope(), "gpu-hours", 9, window="day"),
        Limit(3, Scope(), "cpu-hours", 9, window="week"),
    ]
    found = used.spent(limits, now=NOW)
    assert found == {1: pytest.approx(4.5), 2: pytest.approx(5.5), 3: pytest.approx(2.5 / 8)}
    used._kept.cache_clear()


def test_what_came_before_the_first_summed_hour_is_asked_of_attempts_once_an_hour() -> None:
    """A window that began before the release that sums up hours."""
    long = ran(NOW - 60 * HOUR, NOW - 50 * HOUR, cpu=1)
    late = ran(NOW - 30 * HOUR, None, cpu=1)
    start = NOW - 100 * HOUR
    used._kept_before.cache_clear()
    for now, asked in ((NOW, 2), (NOW + HOUR / 60, 1), (NOW + HOUR, 2), (NOW + 1.5 * HOUR - HOUR / 60, 1)):
        used.sum_up(now=now)
        with CaptureQueriesContext(connection) as captured:
            found = used.seconds(start, now, now=now, keep=True)
        assert sum("WITH part" in one["sql"] for one in captured) == asked, now
        ran_since = (now - (NOW - 30 * HOUR)).total_seconds() if now < NOW + HOUR else 3600.0
        assert found == used.seconds(start, now, now=now) == pytest.approx({long.lane: 36_000.0 + ran_since})
        if now == NOW + HOUR / 60:  # reported a day late
            ended = NOW - 29 * HOUR
            TaskExecution.objects.filter(pk=late.pk).update(phase=AttemptPhase.SUCCEEDED, ended_at=ended)
    used._kept_before.cache_clear()


@pytest.mark.parametrize(("window", "day"), [("day", 20), ("week", 18), ("month", 1)])
def test_windows_of_the_calendar(window: str, day: int) -> None:
    assert used.window_start(window, NOW) == datetime(2026, 5, day, tzinfo=timezone.utc)


def test_who_used_much_lately_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    ran(NOW - timedelta(hours=1.5), NOW - HOUR / 2, "a", cpu=8)
    used.sum_up(now=NOW)
    ran(NOW - HOUR, NOW - HOUR / 4, "c", cpu=6)
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    monkeypatch.setattr(lately, "_kept", lately._Kept())
    lately._lately.cache_clear()
    found = lately.costs_lately(now=NOW)
    lately._lately.cache_clear()
    assert found["a"] == pytest.approx(8 * 0.5), "a whole hour, the last one"
    assert found["c"] == pytest.approx(6 / 4), "of the hour that goes on"


@pytest.mark.parametrize("meanwhile", [used.sum_up, used.sum_up_past])
def test_parts_of_a_time_are_the_sum_over_attempts_whatever_others_sum_up_meanwhile(
    monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[..., object]
) -> None:
    """Parts begin anywhere, and hours that are summed up after it was read which are count once, too."""
    chance = random.Random(11)  # noqa: S311
    rows = []
    for _ in range(40):
        start = NOW - timedelta(seconds=chance.uniform(0, 30_000))
        end = start + timedelta(seconds=chance.uniform(0, 12_000))
        rows.append(ran(start, end if end < NOW else None, cpu=chance.choice([1, 2])))
    read = used._Summed.__init__

    def read_before(summed: used._Summed) -> None:
        read(summed)
        meanwhile(now=NOW)

    monkeypatch.setattr(used._Summed, "__init__", read_before)
    for step in range(12):
        UsageHour.objects.all().delete()
        for back in range(3, 3 - step % 4, -1):  # nothing is summed up yet, or not all
            used.sum_up(now=NOW - back * HOUR)
        cuts = [NOW - HOUR * chance.choice([chance.uniform(0, 9), chance.randint(0, 9) + 0.5]) for _ in range(8)]
        *begins, end = sorted({*cuts, used.hour_of(NOW) - HOUR})
        for since, until, found in zip(begins, [*begins[1:], end], used.parts(begins, end, now=NOW), strict=True):
            expected: dict[int, float] = defaultdict(float)
            for row in rows:
                assert row.started_at is not None and row.lane is not None
                part = (min(row.ended_at or NOW, until) - max(row.started_at, since)).total_seconds()
                expected[row.lane] += max(0.0, part)
            assert found == pytest.approx({lane: s for lane, s in expected.items() if s}, abs=1e-3)
