"""Durations as the API writes them: ISO 8601 in days, hours, minutes and seconds."""

from __future__ import annotations

import re
from datetime import timedelta

from causeway.http import CausewayError

_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")


def isoformat(duration: timedelta) -> str:
    """ISO 8601, to the microsecond: `PT1H`, `P1DT30M`, `-PT15S`, `PT0.00005S`.

    >>> isoformat(timedelta(days=1, minutes=30))
    'P1DT30M'
    """
    sign, duration = ("-", -duration) if duration < timedelta(0) else ("", duration)
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    rest = f"{seconds}.{duration.microseconds:06d}".rstrip("0") if duration.microseconds else str(seconds)
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{rest}S" if rest != "0" else "")
    if not duration.days and not time:
        return "PT0S"
    return f"{sign}P" + (f"{duration.days}D" if duration.days else "") + (f"T{time}" if time else "")


def parse_duration(text: str) -> timedelta:
    """ISO 8601 in days, hours, minutes and seconds: `P1DT2H30M5.5S`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise CausewayError(f"{text!r} is not a duration")
    sign, days, hours, minutes, seconds = match.groups(default="0")
    length = timedelta(days=int(days), hours=int(hours), minutes=int(minutes)) + timedelta(seconds=float(seconds))
    return -length if sign == "-" else length
