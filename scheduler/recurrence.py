"""When schedules fire: pure functions of an expression and a moment. All moments are aware, all results UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

from artifacts.exceptions import InvalidArgument
from artifacts.literals.times import parse_duration
from scheduler.cron_fields import in_croniter

CRON_FIELDS = 5
TICK, WEEK = timedelta(microseconds=1), timedelta(days=7)
ALIASES = {
    "hourly": "0 * * * *",
    "hours": "0 * * * *",
    "daily": "0 0 * * *",
    "days": "0 0 * * *",
    "midnight": "0 0 * * *",
    "weekly": "0 0 * * 0",
    "weeks": "0 0 * * 0",
    "monthly": "0 0 1 * *",
    "months": "0 0 1 * *",
    "annually": "0 0 1 1 *",
    "yearly": "0 0 1 1 *",
    "years": "0 0 1 1 *",
}
_ZONE = re.compile(r"(?:CRON_TZ|TZ)=(\S+)\s+(.*)", re.DOTALL)
_EVERY = re.compile(r"@every\s+(\S.*)", re.DOTALL)
_RANDOM = re.compile(r"(?:^|[\s,])[hr](?![a-z])", re.IGNORECASE)  # croniter's; a schedule must know its times


@dataclass(frozen=True)
class Cron:
    """Five fields, in the local time of a zone.

    It fires whenever the clocks of the zone show a matching minute: a time that they skip in spring does not fire, one
    that they show twice in autumn fires twice (Flyte's scheduler does so, by robfig/cron).

    `fields` are written as croniter reads them: `in_croniter` brings what people write into that form.
    """

    fields: str
    zone: str = "UTC"

    def next_after(self, moment: datetime) -> datetime:
        """The first nominal time strictly after the moment."""
        return self._step(moment, TICK)

    def last_before(self, moment: datetime) -> datetime:
        """The last nominal time strictly before the moment."""
        return self._step(moment, -TICK)

    def _step(self, moment: datetime, tick: timedelta) -> datetime:
        """Goes from one change of the clocks to the next, because only between them clocks and time run alike."""
        zone = ZoneInfo(self.zone)
        inside = moment + tick
        while True:
            offset = _offset(inside, zone)
            wall = croniter(self.fields, inside - tick + offset, ret_type=datetime)
            found: datetime = (wall.get_next() if tick > timedelta(0) else wall.get_prev()) - offset
            change = _clocks_change(zone, inside, found)
            if change is None:
                return found
            inside = change


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _clocks_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The first moment on the way from `start` to `end`, either direction, with another offset than `start`'s."""
    offset, inside = _offset(start, zone), start
    while inside != end:
        outside = min(inside + WEEK, end) if start < end else max(inside - WEEK, end)
        if _offset(outside, zone) != offset:
            while abs(outside - inside) > TICK:
                middle = inside + (outside - inside) / 2
                inside, outside = (middle, outside) if _offset(middle, zone) == offset else (inside, middle)
            return outside
        inside = outside
    return None


@dataclass(frozen=True)
class Rate:
    """Every so often, counted from an anchor, which itself does not fire."""

    every: timedelta
    anchor: datetime

    def next_after(self, moment: datetime) -> datetime:
        return self.anchor + max(1, (moment - self.anchor) // self.every + 1) * self.every

    def last_before(self, moment: datetime) -> datetime:
        """May lie at or before the anchor: callers ask only back to a time that fired."""
        steps = -((self.anchor - moment) // self.every) - 1
        return self.anchor + steps * self.every


Recurrence = Cron | Rate


@lru_cache(maxsize=1024)
def parse_cron(text: str) -> Cron:
    """`*/5 * * * *`, `@daily`, `CRON_TZ=Europe/Berlin 0 9 * * 1-5`. Raises InvalidArgument."""
    zone, fields = split_zone(text)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument(f"invalid cron expression {text!r}: there is no time zone {zone!r}") from None
    fields = ALIASES.get(fields.lower().removeprefix("@"), fields)
    count = len(fields.split())
    if count != CRON_FIELDS:
        more = " (there are no seconds and no years)" if count > CRON_FIELDS else ""
        raise InvalidArgument(
            f"invalid cron expression {text!r}: expected five fields (minute hour day month weekday) or one of "
            + ", ".join(f"@{alias}" for alias in ("hourly", "daily", "weekly", "monthly", "yearly"))
            + f"; this has {count}{more}"
        )
    if _RANDOM.search(fields):
        raise InvalidArgument(f"invalid cron expression {text!r}: hashed (H) and random (R) fields are not supported")
    fields = in_croniter(fields)
    try:
        # Every expression must have a time at all: `0 0 30 2 *` has none.
        croniter(fields, datetime(2024, 1, 1, tzinfo=timezone.utc)).get_next()
    except (ValueError, KeyError, AttributeError) as error:
        raise InvalidArgument(f"invalid cron expression {text!r}: {error}") from None
    return Cron(fields, zone)


def split_zone(text: str) -> tuple[str, str]:
    """The time zone that an expression names, UTC where it names none, and the rest."""
    named = _ZONE.fullmatch(text.strip())
    return (named[1], named[2].strip()) if named else ("UTC", text.strip())


def parse_every(text: str) -> timedelta | None:
    """`@every 1h30m`; None when the text is not of that form. Raises InvalidArgument.

    A time zone before it is allowed, as in Flyte, and means nothing: a rate counts time, not what clocks show.
    """
    _, rest = split_zone(text)
    named = _EVERY.fullmatch(rest)
    if named is None:
        return None
    try:
        every = parse_duration(named[1])
    except (ValueError, OverflowError):
        raise InvalidArgument(f"invalid schedule {text!r}: not a duration") from None
    return check_rate(every)


def parse_offset(text: str) -> timedelta:
    """How long after its nominal time a schedule fires: an ISO 8601 duration, not negative."""
    if not text:
        return timedelta(0)
    try:
        offset = parse_duration(text)
    except (ValueError, OverflowError):
        raise InvalidArgument(f"invalid schedule offset {text!r}: not a duration, such as PT1H") from None
    if not timedelta(0) <= offset <= timedelta(days=366):
        raise InvalidArgument(f"invalid schedule offset {text!r}: must lie between zero and a year")
    return offset


def check_rate(every: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= every <= timedelta(days=3660):
        raise InvalidArgument(f"invalid rate {every}: must lie between a second and ten years")
    return timedelta(seconds=int(every.total_seconds()))


def missed(recurrence: Recurrence, first: datetime, until: datetime, *, limit: int) -> list[datetime]:
    """The nominal times from `first` to `until`, both included, in order; of more than `limit` the newest."""
    if first > until:
        return []
    times: list[datetime] = []
    moment = until + timedelta(microseconds=1)
    while len(times) < limit:
        moment = recurrence.last_before(moment)
        if moment < first:
            break
        times.append(moment)
    return times[::-1]
