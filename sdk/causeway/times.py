"""Arithmetic on the time partition of a triggering version."""

from __future__ import annotations

from datetime import timedelta

from flyteidl.core import artifact_id_pb2
from flytekit.core.artifact import TimePartition

UNITS = ("minute", "hour", "day", "month")


class StartOf(TimePartition):  # type: ignore[misc]
    """A time partition after several steps: durations added or subtracted, and beginnings of a unit."""

    def __init__(self, of: TimePartition, steps: tuple[str, ...]):
        super().__init__(of.value, granularity=of.granularity)
        self.reference_artifact = of.reference_artifact
        self.steps = steps

    def __add__(self, other: timedelta) -> StartOf:
        return StartOf(self, (*self.steps, isoformat(other)))

    def __sub__(self, other: timedelta) -> StartOf:
        return StartOf(self, (*self.steps, isoformat(-other)))


def start_of(unit: str, time_partition: TimePartition) -> StartOf:
    """The beginning, in UTC, of the minute, hour, day or month that a time partition lies in.

    `start_of("day", Data.time_partition) - timedelta(days=1)` is midnight of the day before.
    """
    if unit not in UNITS:
        raise ValueError(f"start_of takes {', '.join(UNITS)}, not {unit!r}")
    if not isinstance(time_partition, TimePartition):
        raise ValueError(f"start_of takes the time partition of an artifact, not {type(time_partition).__name__}")
    return StartOf(time_partition, (*_steps(time_partition), f"start_of={unit}"))


def _steps(value: TimePartition) -> tuple[str, ...]:
    if isinstance(value, StartOf):
        return value.steps
    if value.op is None or not isinstance(value.other, timedelta):
        return ()
    return (isoformat(-value.other if value.op == artifact_id_pb2.MINUS else value.other),)


def transform_of(value: TimePartition) -> artifact_id_pb2.TimeTransform | None:
    """On the wire: FlyteIDL's own form for one duration, steps separated by `;` for more."""
    if isinstance(value, StartOf):
        return artifact_id_pb2.TimeTransform(transform=";".join(value.steps), op=artifact_id_pb2.PLUS)
    if value.op is None or not isinstance(value.other, timedelta):
        return None
    return artifact_id_pb2.TimeTransform(transform=isoformat(value.other), op=value.op)


def isoformat(duration: timedelta) -> str:
    """ISO 8601: `PT1H`, `P1DT30M`, `-PT15S`.

    >>> isoformat(timedelta(days=1, minutes=30))
    'P1DT30M'
    """
    seconds = duration.total_seconds()
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    date = f"{int(days)}D" if days else ""
    time = "".join(f"{value:g}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value)
    return f"{sign}P{date}" + (f"T{time}" if time or not date else "") + ("" if time or date else "0S")
