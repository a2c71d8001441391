"""Cron lines as Flyte's scheduler reads them. The times were printed by its parser, robfig/cron v3.0.1 (Minute | Hour |
Dom | Month | Dow | Descriptor), beginning after 2026-01-01T00:00Z.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from scheduler.recurrence import Recurrence, parse_cron, parse_every
from tests.scheduler.test_schedules_recurrence import steps

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def times(recurrence: Recurrence, count: int = 3) -> str:
    return " ".join(f"{each:%Y-%m-%dT%H:%MZ}" for each in islice(steps(recurrence.next_after, START), count))


@pytest.mark.parametrize(
    ("line", "first"),
    [
        # Mondays: a step of one over a day field is a star, so the other field decides
        ("0 0 */1 * MON", "2026-01-05T00:00Z 2026-01-12T00:00Z 2026-01-19T00:00Z"),
        ("0 0 1 * */1", "2026-02-01T00:00Z 2026-03-01T00:00Z 2026-04-01T00:00Z"),
        ("0 0 ?/1 * MON", "2026-01-05T00:00Z 2026-01-12T00:00Z 2026-01-19T00:00Z"),
        ("0 0 */01 * 5", "2026-01-02T00:00Z 2026-01-09T00:00Z 2026-01-16T00:00Z"),
        # the first, and Sundays, Tuesdays, Thursdays, Saturdays: a longer step is no star
        ("0 0 1 * ?/2", "2026-01-03T00:00Z 2026-01-04T00:00Z 2026-01-06T00:00Z"),
        ("0 0 */2 * MON", "2026-01-03T00:00Z 2026-01-05T00:00Z 2026-01-07T00:00Z"),
        ("0 0 */40 * MON", "2026-01-05T00:00Z 2026-01-12T00:00Z 2026-01-19T00:00Z"),
        # every day: a full range is no star, so either field is enough
        ("0 0 1-31 * MON", "2026-01-02T00:00Z 2026-01-03T00:00Z 2026-01-04T00:00Z"),
        ("0 0 1/1 * 5", "2026-01-02T00:00Z 2026-01-03T00:00Z 2026-01-04T00:00Z"),
        ("0 0 7 * SUN-sat", "2026-01-02T00:00Z 2026-01-03T00:00Z 2026-01-04T00:00Z"),
        ("0 0 *,5 * MON", "2026-01-05T00:00Z 2026-01-12T00:00Z 2026-01-19T00:00Z"),
        ("0 0 *-5 * MON", "2026-01-05T00:00Z 2026-01-12T00:00Z 2026-01-19T00:00Z"),
        ("0 0 ? * ?", "2026-01-02T00:00Z 2026-01-03T00:00Z 2026-01-04T00:00Z"),
        ("?/30 ? * * *", "2026-01-01T00:30Z 2026-01-01T01:00Z 2026-01-01T01:30Z"),
        ("+5 0 * * *", "2026-01-01T00:05Z 2026-01-02T00:05Z 2026-01-03T00:05Z"),
        ("0 0 ,5, * *", "2026-01-05T00:00Z 2026-02-05T00:00Z 2026-03-05T00:00Z"),
        # a range of one value, in any spelling, is that value
        ("0 1-01 * * *", "2026-01-01T01:00Z 2026-01-02T01:00Z 2026-01-03T01:00Z"),
        ("0 0 * * WED-3", "2026-01-07T00:00Z 2026-01-14T00:00Z 2026-01-21T00:00Z"),
        ("0 0 1 JAN-mar/2 *", "2026-03-01T00:00Z 2027-01-01T00:00Z 2027-03-01T00:00Z"),
        ("0 0 * 11/70 3", "2026-11-04T00:00Z 2026-11-11T00:00Z 2026-11-18T00:00Z"),
        ("CRON_TZ=Europe/Berlin @daily", "2026-01-01T23:00Z 2026-01-02T23:00Z 2026-01-03T23:00Z"),
        ("@hourly", "2026-01-01T01:00Z 2026-01-01T02:00Z 2026-01-01T03:00Z"),
        ("@midnight", "2026-01-02T00:00Z 2026-01-03T00:00Z 2026-01-04T00:00Z"),
        ("@weekly", "2026-01-04T00:00Z 2026-01-11T00:00Z 2026-01-18T00:00Z"),
        ("@monthly", "2026-02-01T00:00Z 2026-03-01T00:00Z 2026-04-01T00:00Z"),
        ("@yearly", "2027-01-01T00:00Z 2028-01-01T00:00Z 2029-01-01T00:00Z"),
        ("@annually", "2027-01-01T00:00Z 2028-01-01T00:00Z 2029-01-01T00:00Z"),
    ],
)
def test_it_reads_a_line_as_flyte_does(line: str, first: str) -> None:
    assert times(parse_cron(line)) == first


@pytest.mark.parametrize(
    ("line", "first"),
    [
        (
            "CRON_TZ=Asia/Kathmandu 28-49,?,11 * 13 sep/7 04/15,Fri/2",
            "2026-09-02T18:15Z 2026-09-02T18:16Z 2026-09-02T18:17Z",
        ),
        ("40 6-8 6-9,17-25,3-29 4 Mon-02,*,2-2/2", "2026-04-03T06:40Z 2026-04-03T07:40Z 2026-04-03T08:40Z"),
        ("TZ=America/New_York 37,18-33/70,* 19 25/7 1-may *", "2026-01-26T00:00Z 2026-01-26T00:01Z 2026-01-26T00:02Z"),
        (
            "TZ=America/New_York 28,58,35-54 2-7/3 25-26,* 04 ?/15",
            "2026-04-05T06:28Z 2026-04-05T06:35Z 2026-04-05T06:36Z",
        ),
        ("11/3 19 ?,10-26 7-Aug 0", "2026-07-05T19:11Z 2026-07-05T19:14Z 2026-07-05T19:17Z"),
        ("58,20-39 6/70 * 05,09/3,04 0", "2026-04-05T06:20Z 2026-04-05T06:21Z 2026-04-05T06:22Z"),
        (
            "TZ=America/New_York 38-48,15-54/01 16-17,02-21 ? * *",
            "2026-01-01T00:15Z 2026-01-01T00:16Z 2026-01-01T00:17Z",
        ),
        ("13-24/15 16 9-23,*/7,1-30 9,*/3 *", "2026-01-01T16:13Z 2026-01-02T16:13Z 2026-01-03T16:13Z"),
        ("TZ=America/New_York 08,46 * * * ?,*", "2026-01-01T00:08Z 2026-01-01T00:46Z 2026-01-01T01:08Z"),
        ("17/01 * 03-08/01 12,*/2 *", "2026-01-03T00:17Z 2026-01-03T00:18Z 2026-01-03T00:19Z"),
        (
            "CRON_TZ=Asia/Kathmandu 2-4/40 05-15 ? 7/70 wed-5,sun/15",
            "2026-06-30T23:17Z 2026-07-01T00:17Z 2026-07-01T01:17Z",
        ),
        ("50,16-45/40 04-13 5-13 * *", "2026-01-05T04:16Z 2026-01-05T04:50Z 2026-01-05T05:16Z"),
        ("CRON_TZ=Asia/Kathmandu 17/01 ? 24 * 00-6/01", "2026-01-01T00:01Z 2026-01-01T00:02Z 2026-01-01T00:03Z"),
        ("47/3 */40 *,11 2-Jun 6", "2026-02-07T00:47Z 2026-02-07T00:50Z 2026-02-07T00:53Z"),
        (
            "CRON_TZ=Europe/Berlin 33-49/01 ?/70 19/70,15 oct,05/40 *",
            "2026-05-14T22:33Z 2026-05-14T22:34Z 2026-05-14T22:35Z",
        ),
        ("CRON_TZ=Europe/Berlin 20-47 7-15 17-26 * 6", "2026-01-03T06:20Z 2026-01-03T06:21Z 2026-01-03T06:22Z"),
        ("0-27,17-38,*/70 * * * mon,Mon-2/40,wed-thu/01", "2026-01-01T00:01Z 2026-01-01T00:02Z 2026-01-01T00:03Z"),
        ("CRON_TZ=Asia/Kathmandu 55 * 13-24 JUN *", "2026-06-12T19:10Z 2026-06-12T20:10Z 2026-06-12T21:10Z"),
        ("37 23/15,3-23,* * 02-Oct/2 Sat", "2026-02-07T00:37Z 2026-02-07T01:37Z 2026-02-07T02:37Z"),
        ("35,06-9,26 0/2 ?,16 MAY Wed,4", "2026-05-06T00:06Z 2026-05-06T00:07Z 2026-05-06T00:08Z"),
        ("10/01 4-11,02,11 * Dec/3 wed,*,?", "2026-12-01T02:10Z 2026-12-01T02:11Z 2026-12-01T02:12Z"),
        ("TZ=America/New_York 28 * 24-28/3 *,12,JAN-MAY *", "2026-01-24T05:28Z 2026-01-24T06:28Z 2026-01-24T07:28Z"),
        ("9 ?/2 ? 2-APR/2 *", "2026-02-01T00:09Z 2026-02-01T02:09Z 2026-02-01T04:09Z"),
        ("21/1 18 8/3 * Tue-05", "2026-01-01T18:21Z 2026-01-01T18:22Z 2026-01-01T18:23Z"),
        ("16-28/7,*,11-43 19 7,1-25 * *", "2026-01-01T19:00Z 2026-01-01T19:01Z 2026-01-01T19:02Z"),
        ("TZ=America/New_York 1-27 * * 01 tue", "2026-01-06T05:01Z 2026-01-06T05:02Z 2026-01-06T05:03Z"),
        ("29/70,? 17 ? 2/2 Wed-FRI,SUN,*", "2026-02-01T17:00Z 2026-02-01T17:01Z 2026-02-01T17:02Z"),
        ("59 * 15/15,*/2,16-18 * *", "2026-01-01T00:59Z 2026-01-01T01:59Z 2026-01-01T02:59Z"),
        (
            "CRON_TZ=Europe/Berlin 55-59/15,? 1-6,11 * 08 0-06/70,Fri,05",
            "2026-08-01T23:00Z 2026-08-01T23:01Z 2026-08-01T23:02Z",
        ),
        ("39/01,12 * 13-19 May ?/1", "2026-05-13T00:12Z 2026-05-13T00:39Z 2026-05-13T00:40Z"),
        (
            "CRON_TZ=Asia/Kathmandu 31/70 4-13 15/15,25/15,06 * 04",
            "2026-01-01T00:46Z 2026-01-01T01:46Z 2026-01-01T02:46Z",
        ),
        ("53/3 * 9-16 * ?", "2026-01-09T00:53Z 2026-01-09T00:56Z 2026-01-09T00:59Z"),
        ("CRON_TZ=Asia/Kathmandu 1-44 11 * 08-10/40 Sun", "2026-08-02T05:16Z 2026-08-02T05:17Z 2026-08-02T05:18Z"),
        ("36-51,? * * ? 6", "2026-01-03T00:00Z 2026-01-03T00:01Z 2026-01-03T00:02Z"),
        (
            "CRON_TZ=Asia/Kathmandu 40-47 10-23/1 10-29/3 */7 FRI",
            "2026-01-02T04:55Z 2026-01-02T04:56Z 2026-01-02T04:57Z",
        ),
        ("0-20,07/2 * 13 ?/7,8,MAR-04 *", "2026-01-13T00:00Z 2026-01-13T00:01Z 2026-01-13T00:02Z"),
    ],
)
def test_it_reads_random_lines_as_flyte_does(line: str, first: str) -> None:
    assert times(parse_cron(line)) == first


def test_in_spring_the_day_without_the_time_is_left_out_and_in_autumn_both_fire() -> None:
    berlin = parse_cron("CRON_TZ=Europe/Berlin 30 2 * * *")
    spring = steps(berlin.next_after, datetime(2026, 3, 28, tzinfo=timezone.utc))
    assert [f"{each:%d %H:%M}" for each in islice(spring, 2)] == ["28 01:30", "30 00:30"]
    autumn = steps(berlin.next_after, datetime(2026, 10, 24, 12, tzinfo=timezone.utc))
    assert [f"{each:%d %H:%M}" for each in islice(autumn, 3)] == ["25 00:30", "25 01:30", "26 01:30"]


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("0 0 * * 7", "2026-01-04T00:00Z 2026-01-11T00:00Z 2026-01-18T00:00Z"),
        ("0 0 * * FRI-MON", "2026-01-02T00:00Z 2026-01-03T00:00Z 2026-01-04T00:00Z"),
        ("0 22-2 * * *", "2026-01-01T01:00Z 2026-01-01T02:00Z 2026-01-01T22:00Z"),
        ("0 0 L * *", "2026-01-31T00:00Z 2026-02-28T00:00Z 2026-03-31T00:00Z"),
        ("0 0 * * 5#2", "2026-01-09T00:00Z 2026-02-13T00:00Z 2026-03-13T00:00Z"),
        ("0 0 15W * *", "2026-01-15T00:00Z 2026-02-16T00:00Z 2026-03-16T00:00Z"),
    ],
)
def test_it_also_reads_lines_that_flyte_refuses(line: str, first: str) -> None:
    assert times(parse_cron(line)) == first


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 */0 * 5", "0 0 ** * *", "0 0 5/ * *", ", * * * *", "@reboot"])
def test_it_refuses_what_could_never_fire_or_says_nothing(line: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid cron expression"):
        parse_cron(line)


def test_every_counts_whole_seconds_and_days_too() -> None:
    assert parse_every("@every 1500ms") == timedelta(seconds=1)
    assert parse_every("@every 1d") == timedelta(days=1)
    assert parse_every("CRON_TZ=Europe/Berlin @every 1h30m") == timedelta(minutes=90)
    with pytest.raises(InvalidArgument, match="between a second and ten years"):
        parse_every("@every 500ms")


BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
Part = tuple[str, int, int, int]  # kind, first, last, step


def parts(first: int, last: int) -> st.SearchStrategy[Part]:
    numbers = st.integers(first, last)
    return st.tuples(st.sampled_from(["star", "one", "range"]), numbers, numbers, st.sampled_from([0, 0, 1, 2, 7, 40]))


lines = st.tuples(*(st.lists(parts(*bounds), min_size=1, max_size=3) for bounds in BOUNDS))


def text_of(part: Part) -> str:
    kind, first, last, step = part
    said = {"star": "*?"[first % 2], "one": f"{first}", "range": f"{min(first, last)}-{max(first, last)}"}[kind]
    return f"{said}/{step}" if step else said


def meant(part: Part, bounds: tuple[int, int]) -> tuple[set[int], bool]:
    """The values, and whether it is a star: as robfig/cron's getRange decides."""
    kind, first, last, step = part
    low, high = {
        "star": bounds,
        "one": (first, bounds[1] if step else first),
        "range": (min(first, last), max(first, last)),
    }[kind]
    return set(range(low, high + 1, step or 1)), kind == "star" and step <= 1


@settings(max_examples=150, deadline=None)
@given(lines, st.integers(0, 10**6))
def test_it_fires_at_just_the_minutes_that_the_rules_name(fields: tuple[list[Part], ...], away: int) -> None:
    sets, stars = [], []
    for found, bounds in zip(fields, BOUNDS, strict=True):
        meanings = [meant(part, bounds) for part in found]
        sets.append(set().union(*(values for values, _ in meanings)))
        stars.append(any(star for _, star in meanings))

    def fires(at: datetime) -> bool:
        by_day, by_weekday = at.day in sets[2], at.isoweekday() % 7 in sets[4]
        days = (by_day and by_weekday) if stars[2] or stars[4] else (by_day or by_weekday)
        return days and at.minute in sets[0] and at.hour in sets[1] and at.month in sets[3]

    try:
        cron = parse_cron(" ".join(",".join(map(text_of, found)) for found in fields))
    except InvalidArgument:  # never: `0 0 31 2 *`
        year = (datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(days=day) for day in range(366))
        assert not any(fires(day.replace(hour=min(sets[1]), minute=min(sets[0]))) for day in year)
        return
    start = START + timedelta(minutes=away)
    following = cron.next_after(start)
    assert fires(following)
    minutes = min(int((following - start) / timedelta(minutes=1)), 4000)
    assert not any(fires(start + timedelta(minutes=minute)) for minute in range(1, minutes))
