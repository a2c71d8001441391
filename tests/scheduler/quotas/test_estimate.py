"""About when something that waits starts: what follows from what runs, and nothing where nothing is known."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import doing
from scheduler.attempts import claims
from scheduler.attempts.resources import Resources
from scheduler.models import Execution, Task, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.quotas import estimate, lanes
from scheduler.quotas.estimate import Group, wait
from scheduler.quotas.used import window_end
from tests.scheduler.attempts import make_attempt
from tests.scheduler.quotas.test_claiming import node_of, quota

UTC = timezone.utc


@pytest.mark.parametrize(
    ("free", "ends", "line", "asks", "seconds"),
    [
        (0, [(30, 1), (10, 1)], [], 1, 10),
        (0, [(30, 1), (10, 1)], [Group(1, 100)], 1, 30),
        (0, [(30, 1), (10, 1)], [Group(1, 5)], 1, 15),
        (0, [(10, 1)], [Group(1, 5, count=4)], 1, 30),
        (1, [(10, 1)], [], 1, 0),
        (1, [(10, 1), (40, 2)], [], 4, 40),
        (0, [(inf, 1)], [], 1, None),
        (0, [(10, 1)], [Group(1, inf)], 1, None),
        (0, [], [], 1, None),
    ],
)
def test_a_wait_is_until_enough_has_been_given_back(
    free: float, ends: list[tuple[float, float]], line: list[Group], asks: float, seconds: float | None
) -> None:
    assert wait(free, ends, line, asks) == seconds


@given(
    st.lists(st.tuples(st.floats(0, 100), st.just(1.0)), min_size=1, max_size=6), st.integers(0, 20), st.floats(1, 50)
)
def test_whoever_stands_behind_more_waits_no_less(ends: list[tuple[float, float]], ahead: int, each: float) -> None:
    fewer = wait(0, ends, [Group(1, each, ahead)], 1)
    more = wait(0, ends, [Group(1, each, ahead + 1)], 1)
    assert fewer is not None and more is not None and fewer <= more + 1e-9


def test_of_a_long_line_the_rest_goes_on_as_it_began() -> None:
    long = wait(0, [(1, 1)], [Group(1, 2.0, 50_000)], 1)
    assert long == pytest.approx(100_000, rel=0.01)


def test_windows_end_when_the_next_begins() -> None:
    at = datetime(2026, 12, 30, 15, 20, tzinfo=UTC)
    ends = [window_end(window, at) for window in ("day", "week", "month")]
    assert [f"{end:%Y-%m-%d %H:%M}" for end in ends] == ["2026-12-31 00:00", "2027-01-04 00:00", "2027-01-01 00:00"]


def attempt(phase: AttemptPhase, task: Task, **fields: object) -> TaskExecution:
    row = make_attempt(node_of("p"), phase=phase, task=task, **fields)
    lanes.give([row.pk])
    row.refresh_from_db()
    return row


@pytest.fixture
def task(db: None) -> Task:
    """It took a hundred seconds, three times."""
    estimate._typical.cache_clear()
    found = Task.objects.create(project="p", domain="d", name="t", version="1", spec=b"", closure=b"", digest=b"")
    then = datetime.now(UTC) - timedelta(hours=1)
    for seconds in (90, 100, 400):
        end = then + timedelta(seconds=seconds)
        attempt(AttemptPhase.SUCCEEDED, found, started_at=then, ended_at=end, handled=True)
    now = datetime.now(UTC)
    claims.heartbeat("one", "local", Resources(cpu=4), now=now, starting=True)
    return found


def starts_in(row: TaskExecution) -> float | None:
    reason = doing.of_attempts([row])[row.pk].why
    assert reason is not None
    return (reason.starts_at - datetime.now(UTC)).total_seconds() if reason.starts_at is not None else None


def test_what_waits_for_a_quota_starts_when_those_that_hold_it_usually_end(task: Task) -> None:
    quota("attempts", 1, "p")
    attempt(AttemptPhase.RUNNING, task, started_at=datetime.now(UTC) - timedelta(seconds=30), claimed_by="one")
    first, second = (attempt(AttemptPhase.QUEUED, task) for _ in range(2))
    assert starts_in(first) == pytest.approx(70, abs=5)
    assert starts_in(second) == pytest.approx(170, abs=5)
    reason = doing.of_attempts([first])[first.pk].why
    assert reason is not None and "number 1 of 2 in line; about 20" in reason.words


def test_nothing_is_known_of_a_task_that_never_ended_and_none_of_a_quota_that_never_lets_it_go(task: Task) -> None:
    new = Task.objects.create(project="p", domain="d", name="u", version="1", spec=b"", closure=b"", digest=b"")
    row = quota("attempts", 1, "p")
    held = attempt(AttemptPhase.RUNNING, new, started_at=datetime.now(UTC), claimed_by="one")
    waits = attempt(AttemptPhase.QUEUED, task)
    assert starts_in(waits) is None
    TaskExecution.objects.filter(pk=held.pk).update(task=task)
    assert starts_in(waits) is not None
    type(row).objects.filter(pk=row.pk).update(limit=0)
    assert starts_in(waits) is None


def test_for_room_it_waits_until_as_much_as_it_asks_for_is_given_back(task: Task) -> None:
    now = datetime.now(UTC)
    for age in (90, 10):
        began = now - timedelta(seconds=age)
        attempt(AttemptPhase.RUNNING, task, started_at=began, claimed_by="one", resources={"cpu": 2})
    small, large = (
        attempt(AttemptPhase.QUEUED, task, resources={"cpu": cpu}, reason=f"waiting for cpu {cpu}", priority=rank)
        for cpu, rank in ((2, 1), (4, 0))
    )
    assert starts_in(small) == pytest.approx(10, abs=5)
    assert starts_in(large) == pytest.approx(110, abs=5), "after the small one, which comes first"


def test_hours_begin_anew_with_their_window(task: Task) -> None:
    quota("cpu-hours", 0, "p", window="day")
    row = attempt(AttemptPhase.QUEUED, task)
    reason = doing.of_attempts([row])[row.pk].why
    assert reason is not None and reason.starts_at == window_end("day", datetime.now(UTC))


def test_an_execution_waits_for_a_launch_a_minute_ago(task: Task) -> None:
    quota("launches", 1, "p")
    now = datetime.now(UTC)
    began, waits = (node_of("p").execution for _ in range(2))
    Execution.objects.filter(pk=began.pk).update(phase=2, admitted_at=now - timedelta(seconds=20))
    Execution.objects.filter(pk=waits.pk).update(phase=1, waits_since=now)
    found = doing.of_execution(Execution.objects.get(pk=waits.pk))
    assert found is not None and found.why is not None and found.why.code == "launch limit"
    assert found.why.starts_at is not None
    assert (found.why.starts_at - now).total_seconds() == pytest.approx(40, abs=2)
