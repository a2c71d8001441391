"""Deadlines by clocks that are put forward and back, and shares of time, on plain values."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from scheduler.levels.rules import Span, check_seconds, check_time, days, deadlines, gaps, share_kept, total

UTC = timezone.utc
BERLIN = "Europe/Berlin"
START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SPANS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=8)


def spans(pairs: list[tuple[int, int]]) -> list[Span]:
    return [Span(START + since * SECOND, START + (since + length) * SECOND) for since, length in pairs]


WINDOW = Span(START + 10 * SECOND, START + 90 * SECOND)


@given(
    st.integers(0, 600), st.integers(0, 23), st.integers(0, 59), st.sampled_from([BERLIN, "UTC", "America/New_York"])
)
def test_there_is_one_deadline_a_day_and_clocks_show_it(day: int, hour: int, minute: int, zone: str) -> None:
    after = START + timedelta(days=day, hours=7)
    found = list(deadlines(after, after + timedelta(days=10), f"{hour:02}:{minute:02}", zone))
    assert 9 <= len(found) <= 11 and all(after < one <= after + timedelta(days=10) for one in found)
    local = [one.astimezone(ZoneInfo(zone)) for one in found]
    assert len({one.date() for one in local}) == len(found)
    shown = [one for one in local if (one.hour, one.minute) == (hour, minute)]
    assert len(shown) >= len(found) - 1  # one may be a time that the clocks skip


def test_seven_in_berlin_is_another_moment_in_summer() -> None:
    winter, summer = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 7, 10, tzinfo=UTC)
    assert next(deadlines(winter, winter + timedelta(days=2), "07:00", BERLIN)).hour == 6
    assert next(deadlines(summer, summer + timedelta(days=2), "07:00", BERLIN)).hour == 5


@given(SPANS)
def test_time_is_counted_once_second_by_second(pairs: list[tuple[int, int]]) -> None:
    covered = {second for since, length in pairs for second in range(since, since + length)}
    inside = [second for second in range(10, 90) if second in covered]
    assert total(spans(pairs), WINDOW) == len(inside) * SECOND
    assert share_kept(spans(pairs), WINDOW) == pytest.approx(1 - len(inside) / 80)
    free = total(gaps(spans(pairs), WINDOW), WINDOW)
    assert free + total(spans(pairs), WINDOW) == WINDOW.until - WINDOW.since


def test_an_empty_window_has_no_share() -> None:
    assert share_kept([], Span(START, START)) is None


def test_days_end_at_midnight() -> None:
    noon = START + timedelta(hours=12)
    assert list(days(noon, noon + timedelta(days=2))) == [START + timedelta(days=1), START + timedelta(days=2)]
    assert list(days(START + timedelta(days=1), START + timedelta(days=1, hours=5))) == []


@pytest.mark.parametrize(
    ("time", "zone", "said"),
    [
        ("7:00", "UTC", "HH:MM"),
        ("24:00", "UTC", "HH:MM"),
        ("07:00", "Berlin", "Europe/Berlin"),
        ("07:00", "../x", "zone"),
    ],
)
def test_what_is_no_time_or_zone_is_refused(time: str, zone: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        check_time(time, zone)


@pytest.mark.parametrize("seconds", [None, 0, -1, float("nan"), float("inf"), 1e12])
def test_what_is_no_span_is_refused(seconds: float | None) -> None:
    with pytest.raises(InvalidArgument, match="more than 0"):
        check_seconds(seconds)
