from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from flytekit import CronSchedule
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


CHANGES = [  # moments at which the clocks of a zone change
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),  # by half an hour
    ("Asia/Kolkata", "2026-03-29T01:00"),  # never
    ("Pacific/Apia", "2011-12-30T10:00"),  # skipped a day
]


def values(field: str, first: int, last: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        numbers = (first, last) if low == "*" else (int(low), int(high or low))
        found.update(range(numbers[0], numbers[1] + 1, int(step or 1)))
    return found


def matches(cron: Cron, moment: datetime) -> bool:
    """Cron by its definition: do the clocks of the zone show a matching minute?"""
    minute, hour, day, month, weekday = cron.fields.split()
    local = moment.astimezone(ZoneInfo(cron.zone))
    by_day, by_weekday = local.day in values(day, 1, 31), (local.isoweekday() % 7) in values(weekday, 0, 6)
    return (
        local.minute in values(minute, 0, 59)
        and local.hour in values(hour, 0, 23)
        and local.month in values(month, 1, 12)
        and (by_day and by_weekday if "*" in (day, weekday) else by_day or by_weekday)
    )


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(CHANGES), crons, st.integers(-30 * 60, 30 * 60))
def test_it_fires_when_the_clocks_show_it_also_on_the_days_they_change(
    change: tuple[str, str], drawn: Cron, minutes_away: int
) -> None:
    cron = Cron(drawn.fields, change[0])
    at = datetime.fromisoformat(change[1]).replace(tzinfo=UTC)
    start, end = at + timedelta(minutes=min(minutes_away, 0) - 60), at + timedelta(minutes=max(minutes_away, 0) + 60)
    count = (end - start) // timedelta(minutes=1)
    expected = [each for i in range(1, count) if matches(cron, each := start + timedelta(minutes=i))]
    assert list(takewhile(lambda each: each < end, steps(cron.next_after, start))) == expected
    assert list(takewhile(lambda each: each > start, steps(cron.last_before, end))) == expected[::-1]


def steps(step: Callable[[datetime], datetime], moment: datetime) -> Iterator[datetime]:
    while True:
        moment = step(moment)
        yield moment


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
        ("TZ=America/New_York 30 2 * * *", "2026-03-08T05:00+00:00", "2026-03-09T06:30+00:00"),  # 02:30 is skipped
        ("TZ=America/New_York 30 1 * * *", "2026-11-01T05:30+00:00", "2026-11-01T06:30+00:00"),  # 01:30 comes twice
        ("@hourly", "2026-01-01T10:00+00:00", "2026-01-01T11:00+00:00"),
        ("weekly", "2026-01-01T10:00+00:00", "2026-01-04T00:00+00:00"),
        ("0 0 29 2 *", "2026-01-01T10:00+00:00", "2028-02-29T00:00+00:00"),
    ],
)
def test_it_knows_zones_and_aliases(expression: str, after: str, expected: str) -> None:
    assert parse_cron(expression).next_after(datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "expected five fields"),
        ("@often", "one of @hourly, @daily"),
        ("* * * *", "this has 4$"),
        ("0 0 10 * * *", r"expected five fields .* this has 6 \(there are no seconds and no years\)"),
        ("0 10 * * ? *", "this has 6"),
        ("a b c d e", "not acceptable"),
        ("60 * * * *", "out of range"),
        ("0 0 31 2 *", "failed to find next date"),
        ("R * * * *", "random"),
        ("0 0,h(1-3) * * *", "hashed"),
        ("TZ= 0 0 * * *", "five fields"),
        ("CRON_TZ=Mars/Base 0 0 * * *", "no time zone 'Mars/Base'"),
    ],
)
def test_it_refuses_what_is_no_cron_expression(expression: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid cron expression .*{why}"):
        parse_cron(expression)


@pytest.mark.parametrize("alias", CronSchedule._VALID_CRON_ALIASES)
def test_it_knows_every_alias_of_flytekit(alias: str) -> None:
    """flytekit lets them through in any case, without looking at them."""
    message = CronSchedule(schedule=alias.upper()).to_flyte_idl()
    assert parse_cron(message.cron_schedule.schedule).next_after(datetime(2026, 1, 1, 9, 30, tzinfo=UTC)).minute == 0


def test_months_and_weekdays_have_names() -> None:
    assert parse_cron("0 0 * mar thu").next_after(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 3, 5, tzinfo=UTC)


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
