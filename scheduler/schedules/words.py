"""Schedules in words: `0 3 * * 1-5` is "at 03:00, Monday to Friday". Written from what the fields mean to Flyte's
scheduler (scheduler.cron_fields), where libraries that do this read other dialects.
"""

from __future__ import annotations

from datetime import timedelta

from scheduler.cron_fields import STAR
from scheduler.recurrence import Rate, Recurrence

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
NAMED = 6  # times of a day that are named one by one


def in_words(recurrence: Recurrence) -> str:
    """Without a time zone where it is UTC."""
    if isinstance(recurrence, Rate):
        return _every(recurrence.every)
    minute, hour, day, month, weekday = recurrence.fields.split()
    when = _when(_numbers(minute), _numbers(hour), minute, hour)
    days = _days(day, weekday)
    months = "" if month == STAR else f"in {_joined([_month(part) for part in month.split(',')])}"
    zone = "" if recurrence.zone == "UTC" else f"by the clocks of {recurrence.zone}"
    if not days and hour != STAR and not _is_step(_numbers(hour), 24):
        days = "every day"
    return ", ".join(part for part in (when, days, months, zone) if part)


def _every(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    size, unit = next(step for step in _UNITS if seconds % step[0] == 0)
    count = seconds // size
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def _numbers(field: str) -> list[int]:
    """The values of a field, empty for a star and for what only croniter reads."""
    parts = field.split(",")
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else []


def _is_step(values: list[int], size: int) -> int:
    """The step of values that divide the whole evenly from 0 on; 0: they do not."""
    step = values[1] - values[0] if len(values) > 1 else 0
    return step if step and values == list(range(0, size, step)) and size % step == 0 else 0


def _when(minutes: list[int], hours: list[int], minute: str, hour: str) -> str:
    if minute == STAR:
        frequent = "every minute"
    elif step := _is_step(minutes, 60):
        frequent = f"every {step} minutes"
    elif len(minutes) == 1 and hours:
        return _times(minutes[0], hours)
    elif len(minutes) == 1 and hour == STAR:
        return "every hour" if minutes == [0] else f"every hour at :{minutes[0]:02}"
    elif minutes:
        frequent = f"at minute{'s' if len(minutes) > 1 else ''} {_joined(list(map(str, minutes)))} of the hour"
    else:
        frequent = f"at minutes {minute}"
    if hour == STAR:
        return frequent
    return f"{frequent} {_span(hours)}" if hours else f"{frequent} of hours {hour}"


def _times(minute: int, hours: list[int]) -> str:
    if step := _is_step(hours, 24):
        return (f"every {step} hours" if step > 1 else "every hour") + (f" at :{minute:02}" if minute else "")
    if len(hours) > NAMED and hours == list(range(hours[0], hours[-1] + 1)):
        return f"every hour from {hours[0]:02}:{minute:02} to {hours[-1]:02}:{minute:02}"
    return f"at {_joined([f'{hour:02}:{minute:02}' for hour in hours])}"


def _span(hours: list[int]) -> str:
    if hours == list(range(hours[0], hours[-1] + 1)):
        return f"from {hours[0]:02}:00 to {hours[-1]:02}:59"
    return f"in the hours {_joined([f'{hour:02}' for hour in hours])}"


def _days(day: str, weekday: str) -> str:
    """Either is enough where both are given."""
    found = []
    if day != STAR:
        parts = day.split(",")
        found.append(f"on day{'s' if len(parts) > 1 else ''} {_joined(parts)} of the month")
    if weekday != STAR:
        found.append(_weekdays(weekday))
    return " and ".join(found)


def _weekdays(field: str) -> str:
    numbers = _numbers(field)
    if not numbers:
        return f"on weekdays {field}"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{_DAYS[numbers[0]]} to {_DAYS[numbers[-1]]}"
    return f"on {_joined([f'{_DAYS[number]}s' for number in numbers])}"


def _month(part: str) -> str:
    return _MONTHS[int(part) - 1] if part.isdecimal() and 1 <= int(part) <= 12 else part


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
