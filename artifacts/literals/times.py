"""Datetimes and durations as text: ISO 8601, in UTC, to the microsecond."""

from __future__ import annotations

import datetime as dt
import re

_ISO_DURATION = re.compile(
    r"(?P<sign>[-+])?P(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_CLOCK = re.compile(r"(?:(?P<days>-?\d+) days?, )?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d+)?)")
_UNITS = {
    "ms": "milliseconds",
    "s": "seconds",
    "sec": "seconds",
    "second": "seconds",
    "m": "minutes",
    "min": "minutes",
    "minute": "minutes",
    "h": "hours",
    "hr": "hours",
    "hour": "hours",
    "d": "days",
    "day": "days",
    "w": "weeks",
    "week": "weeks",
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def format_datetime(value: dt.datetime) -> str:
    """`2026-01-31T12:00:00Z`"""
    if value.tzinfo is None:
        value = value.replace(tzinfo=dt.timezone.utc)
    return value.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z")


def parse_datetime(text: str) -> dt.datetime:
    """ISO 8601, a date alone included; without an offset it is UTC. Raises ValueError."""
    text = text.strip()
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    # Python 3.10 takes only three or six digits of a second's fraction.
    text = re.sub(r"\.(\d{1,9})", lambda found: "." + found.group(1)[:6].ljust(6, "0"), text)
    value = dt.datetime.fromisoformat(text)
    if value.tzinfo is None:
        return value.replace(tzinfo=dt.timezone.utc)
    try:
        return value.astimezone(dt.timezone.utc)
    except OverflowError as error:
        raise ValueError("out of range") from error


def format_duration(value: dt.timedelta) -> str:
    """ISO 8601: `PT1H30M`, `P1DT0.5S`, `-PT5S`."""
    sign, value = ("-", -value) if value < dt.timedelta(0) else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    rest = f"{seconds}.{value.microseconds:06d}".rstrip("0") if value.microseconds else str(seconds)
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{rest}S" if rest != "0" else "")
    if not value.days and not clock:
        return "PT0S"
    return f"{sign}P" + (f"{value.days}D" if value.days else "") + (f"T{clock}" if clock else "")


def parse_duration(text: str) -> dt.timedelta:
    """ISO 8601 (`PT1H30M`), `1h 30m`, `1:30:00`, `2 days, 0:00:10`, or seconds. Raises ValueError."""
    text = text.strip()
    try:
        return dt.timedelta(seconds=float(text))
    except ValueError:
        pass
    except OverflowError as error:
        raise ValueError("out of range") from error
    iso = _ISO_DURATION.fullmatch(text)
    if iso and any(value for name, value in iso.groupdict().items() if name != "sign"):
        amounts = {name: float(value) for name, value in iso.groupdict().items() if value and name != "sign"}
        return dt.timedelta(**amounts) * (-1 if iso["sign"] == "-" else 1)
    clock = _CLOCK.fullmatch(text)
    if clock:
        return dt.timedelta(**{name: float(value) for name, value in clock.groupdict().items() if value})
    return _parse_units(text.lower())


def _parse_units(text: str) -> dt.timedelta:
    total, position = dt.timedelta(0), 0
    while position < len(text):
        part = _PART.match(text, position)
        unit = part and (_UNITS.get(part[2]) or _UNITS.get(part[2].rstrip("s")))
        if not part or not unit:
            raise ValueError("not a duration")
        total += dt.timedelta(**{unit: float(part[1])})
        position = part.end()
    if position == 0:
        raise ValueError("not a duration")
    return total
