from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from scheduler.recurrence import Cron, Rate, Recurrence, missed, parse_cron, parse_every, parse_offset

UTC = timezone.utc
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
minutes = st.sampled_from(["*", "0", "*/5", "1-10/3", "7,37"])
hours = st.sampled_from(["*", "0", "*/6", "9-17", "3,15"])
days = st.sampled_from(["*", "1", "*/10", "28"])
weekdays = st.sampled_from(["*", "1-5", "0", "6"])
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
crons = st.builds(lambda m, h, d, w, z: Cron(f"{m} {h} {d} * {w}", z), minutes, hours, days, weekdays, zones)
rates = st.builds(Rate, st.timedeltas(timedelta(seconds=1), timedelta(days=9)), moments)


@settings(max_examples=60, deadline=None)
@given(crons | rates, moments)
def test_it_goes_forward_strictly_and_back_to_where_it_was(recurrence: Recurrence, moment: datetime) -> None:
    following = recurrence.next_after(moment)
    assert following > moment
    assert following.tzinfo == UTC
    assert recurrence.next_after(following) > following
    assert recurrence.last_before(following + timedelta(microseconds=1)) == following


@settings(max_examples=60, deadline=None)
@given(crons | rates, moments, st.integers(0, 30), st.integers(1, 40))
def test_it_misses_each_time_once_in_order(recurrence: Recurrence, moment: datetime, count: int, limit: int) -> None:
    first = recurrence.next_after(moment)
    times = [first]
    for _ in range(count):
        times.append(recurrence.next_after(times[-1]))
    assert missed(recurrence, first, times[-1], limit=limit) == times[-limit:]
    assert missed(recurrence, first, first - timedelta(seconds=1), limit=limit) == []


@given(rates, st.integers(1, 1000))
def test_it_keeps_a_rate_on_its_grid(rate: Rate, steps: int) -> None:
    assert rate.next_after(rate.anchor) == rate.anchor + rate.every
    at = rate.anchor + steps * rate.every
    assert rate.next_after(at) == at + rate.every
    assert rate.next_after(at - timedelta(microseconds=1)) == at


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 9 * * *", "2026-01-01T10:00+00:00", "2026-01-02T09:00+00:00"),
        ("CRON_TZ=Europe/Berlin 0 9 * * *", "2026-01-01T10:00+00:00", "2026-01-02T08:00+00:00"),
        ("CRON_TZ=Europe/Berlin 0 9 * * *", "2026-07-01T10:00+00:00", "2026-07-02T07:00+00:00"),
        ("@hourly", "2026-01-01T10:00+00:00", "2026-01-01T11:00+00:00"),
        ("weekly", "2026-01-01T10:00+00:00", "2026-01-04T00:00+00:00"),
        ("0 0 29 2 *", "2026-01-01T10:00+00:00", "2028-02-29T00:00+00:00"),
    ],
)
def test_it_knows_zones_and_aliases(expression: str, after: str, expected: str) -> None:
    assert parse_cron(expression).next_after(datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "expression", ["", "@often", "* * * *", "* * * * * *", "a b c d e", "0 0 31 2 *", "TZ= 0 0 * * *"]
)
def test_it_refuses_what_is_no_cron_expression(expression: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid cron expression"):
        parse_cron(expression)


def test_it_reads_every_and_offsets() -> None:
    assert parse_every("@every 1h30m") == timedelta(minutes=90)
    assert parse_every("@daily") is None
    assert parse_offset("PT1H") == timedelta(hours=1)
    assert parse_offset("") == timedelta(0)
    for bad in ("@every", "@every 0s", "@every soon"):
        with pytest.raises(InvalidArgument):
            assert parse_every(bad) is not None or parse_cron(bad)
    with pytest.raises(InvalidArgument, match="offset"):
        parse_offset("-PT1H")
