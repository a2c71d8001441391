"""Datetimes and durations as text: ISO 8601, in UTC, to the last digit that protobuf keeps (nanoseconds)."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction

NANOS = 1_000_000_000  # of a second
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
MAX_DURATION = 315_576_000_000 * NANOS  # of any protobuf Duration: ten thousand years
_LARGEST_POWER_OF_TEN = 30  # of a number of seconds: far beyond every duration, far below what is slow to compute
_NUMBER = r"\d{1,40}(?:\.\d{1,40})?"
_ISO_DURATION = re.compile(
    rf"(?P<sign>[-+])?P(?:(?P<weeks>{_NUMBER})W)?(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?"
)
_CLOCK = re.compile(
    r"(?:(?P<days>-?\d{1,40}) days?, )?(?P<hours>\d{1,40}):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d{1,40})?)"
)
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_UNITS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "sec": Fraction(1),
    "second": Fraction(1),
    "m": Fraction(60),
    "min": Fraction(60),
    "minute": Fraction(60),
    "h": Fraction(3_600),
    "hr": Fraction(3_600),
    "hour": Fraction(3_600),
    "d": Fraction(86_400),
    "day": Fraction(86_400),
    "w": Fraction(604_800),
    "week": Fraction(604_800),
}
_PART = re.compile(rf"({_NUMBER})\s*([a-z]+)\s*")
_FRACTION = re.compile(r"\.(\d{1,9})")


def format_datetime(value: dt.datetime) -> str:
    """`2026-01-31T12:00:00Z`"""
    if value.tzinfo is None:
        value = value.replace(tzinfo=dt.timezone.utc)
    return value.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z")


def format_timestamp(seconds: int, nanos: int) -> str:
    """As format_datetime, of seconds since 1970 and nanoseconds: `2026-01-31T12:00:00.123456789Z`.

    Raises ValueError for what the calendar does not have.
    """
    if not 0 <= nanos < NANOS:
        raise ValueError("no number of nanoseconds")
    try:
        moment = EPOCH + dt.timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError("out of range") from error
    fraction = "" if not nanos else f".{nanos:09d}" if nanos % 1000 else f".{nanos // 1000:06d}"
    return f"{moment.replace(tzinfo=None).isoformat()}{fraction}Z"


def parse_datetime(text: str) -> dt.datetime:
    """ISO 8601, a date alone included; without an offset it is UTC. Raises ValueError."""
    text = text.strip()
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    # Python 3.10 takes only three or six digits of a second's fraction.
    text = _FRACTION.sub(lambda found: "." + found.group(1)[:6].ljust(6, "0"), text)
    value = dt.datetime.fromisoformat(text)
    if value.tzinfo is None:
        return value.replace(tzinfo=dt.timezone.utc)
    try:
        return value.astimezone(dt.timezone.utc)
    except OverflowError as error:
        raise ValueError("out of range") from error


def parse_timestamp(text: str) -> tuple[int, int]:
    """As parse_datetime, but to the nanosecond: seconds since 1970, and nanoseconds. Raises ValueError."""
    since = parse_datetime(text) - EPOCH
    found = _FRACTION.search(text)
    nanos = int(found.group(1).ljust(9, "0")) if found else since.microseconds * 1000
    return since.days * 86_400 + since.seconds, nanos


def format_duration(value: dt.timedelta) -> str:
    """ISO 8601: `PT1H30M`, `P1DT0.5S`, `-PT5S`."""
    return format_nanos(nanos_of(value))


def nanos_of(value: dt.timedelta) -> int:
    return (value // dt.timedelta(microseconds=1)) * 1000


def format_nanos(value: int) -> str:
    """As format_duration, of a number of nanoseconds."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, nanos = divmod(value, NANOS)
    days, whole = divmod(whole, 86_400)
    hours, whole = divmod(whole, 3_600)
    minutes, seconds = divmod(whole, 60)
    rest = f"{seconds}.{nanos:09d}".rstrip("0") if nanos else str(seconds)
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{rest}S" if rest != "0" else "")
    if not days and not clock:
        return "PT0S"
    return f"{sign}P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")


def parse_duration(text: str) -> dt.timedelta:
    """As parse_nanos, to the microsecond. Raises ValueError."""
    try:
        return dt.timedelta(microseconds=round(Fraction(parse_nanos(text), 1000)))
    except OverflowError as error:
        raise ValueError("out of range") from error


def parse_nanos(text: str) -> int:
    """ISO 8601 (`PT1H30M`), `1h 30m`, `1:30:00`, `2 days, 0:00:10`, or seconds, in nanoseconds. Raises ValueError."""
    text = text.strip()
    try:
        return _rounded(_plain_seconds(text))
    except InvalidOperation:
        pass
    iso = _ISO_DURATION.fullmatch(text)
    if iso and any(value for name, value in iso.groupdict().items() if name != "sign"):
        return _rounded(_sum(iso) * (-1 if iso["sign"] == "-" else 1))
    clock = _CLOCK.fullmatch(text)
    return _rounded(_sum(clock) if clock else _parse_units(text.lower()))


def seconds_as_nanos(value: float) -> int:
    """Of a number of seconds as it is written: 0.1 is a tenth. Raises ValueError for what no duration can be."""
    return _rounded(_plain_seconds(repr(value)))


def _plain_seconds(text: str) -> Fraction:
    number = Decimal(text)
    if not number.is_finite() or number.adjusted() > _LARGEST_POWER_OF_TEN:
        raise ValueError("out of range")
    return Fraction(number) if number.adjusted() > -_LARGEST_POWER_OF_TEN else Fraction()


def _rounded(seconds: Fraction) -> int:
    nanos = round(seconds * NANOS)
    if abs(nanos) > MAX_DURATION:
        raise ValueError("out of range")
    return nanos


def _sum(found: re.Match[str]) -> Fraction:
    given = found.groupdict()
    return sum((Fraction(given[name]) * length for name, length in _SECONDS.items() if given.get(name)), Fraction())


def _parse_units(text: str) -> Fraction:
    total, position = Fraction(), 0
    while position < len(text):
        part = _PART.match(text, position)
        unit = part and (_UNITS.get(part[2]) or _UNITS.get(part[2].rstrip("s")))
        if not part or not unit:
            raise ValueError("not a duration")
        total += Fraction(part[1]) * unit
        position = part.end()
    if position == 0:
        raise ValueError("not a duration")
    return total
