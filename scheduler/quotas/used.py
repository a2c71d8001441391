"""What attempts used: cores, bytes and devices times the seconds that they ran, by lane.

Hours that are over are summed up once, and for a day anew with every hour, for ends that were reported late. Whatever
is asked for is summed up hours and, for the rest, the attempts themselves: to the second the sum over attempts.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from django.db import connection, transaction
from django.utils import timezone

from scheduler.models import UsageHour
from scheduler.phases import AttemptPhase
from scheduler.quotas import lanes
from scheduler.quotas.resources import HOURS
from scheduler.quotas.rules import Lane, Limit

HOUR = timedelta(hours=1)
AGAIN = 24  # hours that are summed up once more with every new one
SUMMING = (428, 3)  # advisory lock
FRESH_SECONDS = 5.0  # for so long what was used is not asked for again by those who decide
Before = Callable[[datetime, datetime, datetime], dict[int, tuple[float, int]]]
SUMMED = 0  # the lane that says that an hour is
_SECONDS = f"""
WITH part AS (
    SELECT lane, least(coalesce(ended_at, %(now)s), %(to)s) - greatest(started_at, %(from)s) AS ran
    FROM scheduler_taskexecution
    WHERE ended_at > %(from)s AND started_at < %(to)s
    UNION ALL
    SELECT lane, least(%(now)s, %(to)s) - greatest(started_at, %(from)s)
    FROM scheduler_taskexecution
    WHERE phase = {int(AttemptPhase.RUNNING)} AND ended_at IS NULL AND started_at < %(to)s
)
SELECT lane, sum(extract(epoch FROM ran))::float8, count(*) FROM part
WHERE lane IS NOT NULL AND ran > interval '0' GROUP BY lane
"""  # noqa: S608 - constants

_PAST = f"""
INSERT INTO scheduler_usagehour (hour, lane, seconds, attempts)
SELECT hour, lane,
       sum(extract(epoch FROM least(ended, hour + interval '1 hour') - greatest(began, hour)))::float8, count(*)
FROM (
    SELECT lane, started_at AS began, least(coalesce(ended_at, %(now)s), %(to)s) AS ended FROM scheduler_taskexecution
    WHERE lane IS NOT NULL AND started_at < %(to)s AND (ended_at IS NOT NULL OR phase = {int(AttemptPhase.RUNNING)})
) AS ran
CROSS JOIN LATERAL generate_series(date_trunc('hour', began, 'UTC'), ended, interval '1 hour') AS hour
WHERE least(ended, hour + interval '1 hour') > greatest(began, hour)
GROUP BY hour, lane
"""  # noqa: S608 - constants
_SAID = f"""
INSERT INTO scheduler_usagehour (hour, lane, seconds, attempts)
SELECT hour, {SUMMED}, 0, 0
FROM generate_series((SELECT min(hour) FROM scheduler_usagehour), %(to)s - interval '1 hour', interval '1 hour') AS hour
"""  # noqa: S608 - constants


def window_start(window: str, now: datetime) -> datetime:
    """Of the calendar, in UTC."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "week":
        return day - timedelta(days=day.weekday())
    return day if window == "day" else day.replace(day=1)


def window_end(window: str, now: datetime) -> datetime:
    """When the next one begins."""
    start = window_start(window, now)
    if window == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=7 if window == "week" else 1)


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def of_attempts(start: datetime, end: datetime, *, now: datetime) -> dict[int, tuple[float, int]]:
    """Seconds and number of attempts by lane, from the attempts themselves."""
    with connection.cursor() as cursor:
        cursor.execute(_SECONDS, {"from": start, "to": end, "now": now})
        return {lane: (seconds, count) for lane, seconds, count in cursor.fetchall()}


def sum_up_past(*, now: datetime | None = None) -> None:
    """Sum up all hours that are over since the first attempt, in place of whatever was: two statements, however many.

    For attempts that were there before anybody summed up.
    """
    now = now or timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", list(SUMMING))
        UsageHour.objects.filter(hour__lt=hour_of(now)).delete()
        for statement in (_PAST, _SAID):
            cursor.execute(statement, {"now": now, "to": hour_of(now)})


def sum_up(*, now: datetime | None = None) -> int:
    """Sum up hours that are over; returns how many. Any number may try at a time."""
    now = now or timezone.now()
    current = hour_of(now)
    newest = summed_until()
    if newest is not None and newest >= current:
        return 0
    first = min(newest or current - HOUR, current - HOUR)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", list(SUMMING))
        if not cursor.fetchone()[0]:
            return 0
        hours = int((current - first) / HOUR) + (AGAIN if newest is not None else 0)
        for number in range(1, hours + 1):
            _sum_hour(current - number * HOUR, now)
    return hours


def _sum_hour(hour: datetime, now: datetime) -> None:
    found = of_attempts(hour, hour + HOUR, now=now)
    UsageHour.objects.filter(hour=hour).delete()
    rows = [UsageHour(hour=hour, lane=lane, seconds=seconds, attempts=n) for lane, (seconds, n) in found.items()]
    UsageHour.objects.bulk_create([*rows, UsageHour(hour=hour, lane=SUMMED, seconds=0.0, attempts=0)])


def summed_until() -> datetime | None:
    """Until when hours are summed up; None: none is."""
    newest = UsageHour.objects.filter(lane=SUMMED).order_by("-hour").values_list("hour", flat=True).first()
    return newest + HOUR if newest is not None else None


def seconds(start: datetime, end: datetime, *, now: datetime, keep: bool = False) -> dict[int, float]:
    """By lane; whole hours as far as they are summed up, the rest from the attempts.

    `keep`: what came before the first hour that is summed up is asked of the attempts once an hour, for those who ask
    for the same start again and again. It is as right as sums of hours are: they too are made anew hourly.
    """
    return _Summed().seconds(start, end, now=now, before=_kept_before if keep else _before)


def parts(begins: Sequence[datetime], end: datetime, *, now: datetime) -> list[dict[int, float]]:
    """As `seconds`, of each part of the time from one beginning to the next: what is summed up is read once."""
    summed = _Summed()
    whole = summed.whole([*begins, end])
    return [
        summed.seconds(since, until, now=now, before=_before, whole=some)
        for since, until, some in zip(begins, [*begins[1:], end], whole, strict=True)
    ]


class _Summed:
    """Which hours are summed up."""

    def __init__(self) -> None:
        self.until = summed_until()
        self.oldest = UsageHour.objects.order_by("hour").values_list("hour", flat=True).first()

    def whole(self, bounds: Sequence[datetime]) -> list[dict[int, float]]:
        """Of each part of the time, what its whole hours come to. Others may sum up more meanwhile: those hours are
        asked of attempts.
        """
        if self.until is None or self.oldest is None:
            return [{} for _ in bounds[1:]]
        return _of_parts(bounds, self.oldest, self.until)

    def seconds(
        self, start: datetime, end: datetime, *, now: datetime, before: Before, whole: Mapping[int, float] | None = None
    ) -> dict[int, float]:
        """`whole`: what the whole hours of that time come to, where it is known."""
        found: dict[int, float] = defaultdict(float)
        first = hour_of(start + HOUR - timedelta(microseconds=1))
        first = max(first, self.oldest) if self.oldest is not None else first
        last = min(hour_of(end), self.until) if self.until is not None else first
        unsummed = [of_attempts(start, end, now=now)] if last <= first else []
        if last > first and self.until is not None:
            found.update(self.whole([first, last])[0] if whole is None else whole)
            rest = of_attempts(last, end, now=now) if last < end else {}
            unsummed = [before(start, first, self.until), rest]
        for part in unsummed:
            for lane, (ran, _) in part.items():
                found[lane] += ran
        found.pop(SUMMED, None)
        return dict(found)


# An hour in which a part of the time begins is of none: of what part its attempts are, its sum does not tell.
_PARTS = """
SELECT width_bucket(hour, %(bounds)s::timestamptz[]) - 1, lane, sum(seconds) FROM scheduler_usagehour
WHERE hour >= %(start)s AND hour < %(end)s AND width_bucket(hour, %(bounds)s::timestamptz[])
    = width_bucket(hour + interval '1 hour' - interval '1 microsecond', %(bounds)s::timestamptz[])
GROUP BY 1, 2
"""


def _of_parts(bounds: Sequence[datetime], since: datetime, until: datetime) -> list[dict[int, float]]:
    """By lane, of each part of the time between two bounds: the seconds of the hours from `since` to `until` that lie
    whole in it.
    """
    found: list[dict[int, float]] = [{} for _ in bounds[1:]]
    with connection.cursor() as cursor:
        limits = {"start": max(bounds[0], since), "end": min(bounds[-1], until)}
        cursor.execute(_PARTS, {"bounds": list(bounds), **limits})
        for part, lane, ran in cursor.fetchall():
            found[part][lane] = ran
    return found


def _before(start: datetime, end: datetime, until: datetime) -> dict[int, tuple[float, int]]:
    """Of a time that is over. `until`: as of when it is asked for, so that it is asked for again."""
    return of_attempts(start, end, now=until) if start < end else {}


_kept_before = lru_cache(maxsize=8)(_before)


@lru_cache(maxsize=8)
def _kept(window: str, tick: int) -> Mapping[Lane, float]:
    now = timezone.now()
    return by_lane(window_start(window, now), now, now=now, keep=True)


def by_lane(start: datetime, end: datetime, *, now: datetime, keep: bool = False) -> dict[Lane, float]:
    """Seconds by lanes whose rows are there."""
    ran = seconds(start, end, now=now, keep=keep)
    known = lanes.load(ran.keys())
    return {known[number]: amount for number, amount in ran.items() if number in known}


def spent(limits: Collection[Limit], *, now: datetime) -> dict[int, float]:
    """Hours used in their windows, by limit; as of some seconds ago."""
    tick = int(time.monotonic() / FRESH_SECONDS)
    found: dict[int, float] = {}
    for limit in limits:
        used = _kept(limit.window, tick)
        resource = HOURS[limit.resource]
        found[limit.id] = sum(
            ran * lane.demand.get(resource, 0.0) / 3600 for lane, ran in used.items() if limit.scope.covers(lane)
        )
    return found
