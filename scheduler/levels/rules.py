"""Service levels as plain functions of times: when something is due, and what share was kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from artifacts.exceptions import InvalidArgument

DAY = timedelta(days=1)
LONGEST = 366 * 86_400.0  # seconds
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def check_time(text: str, zone: str) -> None:
    """InvalidArgument for what is no time of day, HH:MM, or no time zone."""
    if not _TIME.fullmatch(text):
        raise InvalidArgument(f"time: {text!r} is no time of day; it is written HH:MM, from 00:00 to 23:59")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument(f"zone: there is no time zone {zone!r}; one is Europe/Berlin, or UTC") from None


def check_seconds(seconds: float | None) -> None:
    """InvalidArgument for what is no span of time; NaN is none."""
    if seconds is None or not 0 < seconds <= LONGEST:
        raise InvalidArgument(f"seconds: more than 0 and at most {LONGEST:.0f} (366 days)")


def deadline_on(day: date, at: str, zone: str) -> datetime:
    """The moment at which clocks of the zone show that time on that day. A time that they skip is when they skipped it,
    told by the clocks of before; one that they show twice is the first.
    """
    hours, minutes = map(int, at.split(":"))
    return datetime.combine(day, time(hours, minutes), ZoneInfo(zone)).astimezone(timezone.utc)


def deadlines(after: datetime, until: datetime, at: str, zone: str) -> Iterator[datetime]:
    """Those later than `after` and not later than `until`, one a day, in order."""
    day = after.astimezone(ZoneInfo(zone)).date() - DAY
    while (due := deadline_on(day, at, zone)) <= until:
        if due > after:
            yield due
        day += DAY


def days(after: datetime, until: datetime) -> Iterator[datetime]:
    """The ends of the days (UTC) that ended later than `after` and not later than `until`, in order."""
    end = after.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    while end <= until:
        yield end
        end += DAY


@dataclass(frozen=True)
class Span:
    since: datetime
    until: datetime


def total(spans: Iterable[Span], window: Span) -> timedelta:
    """How long the spans last within the window together; where they overlap once."""
    found, reached = timedelta(0), window.since
    for span in sorted(spans, key=lambda one: one.since):
        since, until = max(span.since, reached), min(span.until, window.until)
        if until > since:
            found += until - since
            reached = until
    return found


def share_kept(breaches: Iterable[Span], window: Span) -> float | None:
    """The share of the window's time without a breach, from 0 to 1; None for an empty window."""
    whole = window.until - window.since
    return None if whole <= timedelta(0) else 1 - total(breaches, window) / whole


def gaps(spans: Iterable[Span], window: Span) -> list[Span]:
    """What of the window none of the spans covers, in order."""
    found, reached = [], window.since
    for span in sorted(spans, key=lambda one: one.since):
        if span.since > reached:
            found.append(Span(reached, min(span.since, window.until)))
        reached = max(reached, span.until)
        if reached >= window.until:
            return found
    return [*found, Span(reached, window.until)] if reached < window.until else found
