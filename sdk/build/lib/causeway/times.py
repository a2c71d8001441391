"""Arithmetic on time partitions: of the version that triggers, or of an input that a default query is bound to."""

from __future__ import annotations

from datetime import timedelta

from flyteidl.core import artifact_id_pb2
from flytekit.core.artifact import TimePartition

from causeway.durations import isoformat

UNITS = ("minute", "hour", "day", "month")


class StartOf(TimePartition):  # type: ignore[misc]
    """A time partition after several steps: durations added or subtracted, and beginnings of a unit.

    The steps are its `other`: flytekit makes a plain TimePartition of what a query is given, and keeps only that.
    """

    def __init__(self, of: TimePartition, steps: tuple[str, ...]):
        super().__init__(of.value, op=artifact_id_pb2.PLUS, other=steps, granularity=of.granularity)
        self.reference_artifact = of.reference_artifact

    def __add__(self, other: timedelta) -> StartOf:
        return StartOf(self, (*_steps(self), isoformat(other)))

    def __sub__(self, other: timedelta) -> StartOf:
        return StartOf(self, (*_steps(self), isoformat(-other)))


def start_of(unit: str, time_partition: TimePartition | artifact_id_pb2.InputBindingData) -> StartOf:
    """The beginning, in UTC, of the minute, hour, day or month that a time partition, or an input, lies in.

    `start_of("day", Data.time_partition) - timedelta(days=1)` is midnight of the day before;
    `Data.query(time_partition=start_of("day", Inputs.at))` asks in a workflow's default for the day of its input `at`.
    """
    if unit not in UNITS:
        raise ValueError(f"start_of takes {', '.join(UNITS)}, not {unit!r}")
    if isinstance(time_partition, artifact_id_pb2.InputBindingData):
        time_partition = TimePartition(time_partition)
    if not isinstance(time_partition, TimePartition):
        raise ValueError(
            f"start_of takes the time partition of an artifact or an input, not {type(time_partition).__name__}"
        )
    return StartOf(time_partition, (*_steps(time_partition), f"start_of={unit}"))


def _steps(value: TimePartition) -> tuple[str, ...]:
    if isinstance(value.other, tuple):
        return value.other
    if value.op is None or not isinstance(value.other, timedelta):
        return ()
    return (isoformat(-value.other if value.op == artifact_id_pb2.MINUS else value.other),)


def transform_of(value: TimePartition) -> artifact_id_pb2.TimeTransform | None:
    """On the wire: FlyteIDL's own form for one duration, steps separated by `;` for more."""
    if isinstance(value.other, timedelta) and value.op is not None:
        return artifact_id_pb2.TimeTransform(transform=isoformat(value.other), op=value.op)
    steps = _steps(value)
    return artifact_id_pb2.TimeTransform(transform=";".join(steps), op=artifact_id_pb2.PLUS) if steps else None
