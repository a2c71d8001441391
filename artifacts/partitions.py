"""Partition values, from bindings and literals to strings; time partitions, truncated to their granularity in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from flyteidl.core import artifact_id_pb2, literals_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from artifacts.exceptions import InvalidArgument
from artifacts.literals import times
from artifacts.models import Granularity


def truncate(moment: datetime, granularity: int) -> datetime:
    """The beginning of the minute, hour, day or month that `moment` lies in, in UTC."""
    at = as_utc(moment)
    if granularity == Granularity.MINUTE:
        return at.replace(second=0, microsecond=0)
    if granularity == Granularity.HOUR:
        return at.replace(minute=0, second=0, microsecond=0)
    if granularity == Granularity.DAY:
        return at.replace(hour=0, minute=0, second=0, microsecond=0)
    if granularity == Granularity.MONTH:
        return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return at


def as_utc(moment: datetime) -> datetime:
    """In UTC; a naive datetime is taken for UTC, as flytekit does."""
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def format_time(moment: datetime) -> str:
    return times.format_datetime(moment)


def parse_time(text: str) -> datetime:
    """ISO 8601, a date alone included. InvalidArgument when it is neither."""
    try:
        return times.parse_datetime(text)
    except ValueError as error:
        raise InvalidArgument(f"'{text[:80]}' is not a time: write ISO 8601, like 2026-01-31T18:00:00Z") from error


def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration (`PT1H`, `P1DT30M`), or what Python prints for a timedelta (`1 day, 0:30:00`)."""
    try:
        return times.parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(f"'{text[:80]}' is not a duration: write ISO 8601, like PT1H or P1DT30M") from error


def shift(moment: datetime, transform: artifact_id_pb2.TimeTransform) -> datetime:
    """`moment` plus or minus the transform's duration; an empty transform leaves it.

    Ours beyond FlyteIDL: steps separated by `;`, each a signed duration or `start_of=minute|hour|day|month`, in order.
    """
    for step in filter(None, transform.transform.split(";")):
        name, _, unit = step.partition("=")
        if name.strip() == "start_of":
            moment = truncate(moment, _granularity(unit.strip()))
        else:
            moment = _moved(moment, step, back=transform.op == artifact_id_pb2.MINUS)
    return moment


def _granularity(unit: str) -> int:
    units = {each.label.lower(): each.value for each in Granularity if each.value}
    if unit not in units:
        raise InvalidArgument(f"start_of={unit[:80]}: the units are {', '.join(units)}")
    return int(units[unit])


def _moved(moment: datetime, step: str, *, back: bool) -> datetime:
    duration = parse_duration(step)
    try:
        return moment - duration if back else moment + duration
    except OverflowError as error:
        raise InvalidArgument(f"{format_time(moment)} and the duration '{step}' leave the calendar") from error


def _scalar(literal: literals_pb2.Literal) -> literals_pb2.Scalar:
    scalar = literal.scalar
    while scalar.WhichOneof("value") == "union":
        scalar = scalar.union.value.scalar
    return scalar


def literal_as_text(literal: literals_pb2.Literal, *, name: str) -> str:
    """How the value of input `name` reads as a partition value. InvalidArgument unless it is a simple value."""
    scalar = _scalar(literal)
    if scalar.HasField("none_type"):
        raise InvalidArgument(f"input '{name}' is None, which cannot be a partition value")
    kind = scalar.primitive.WhichOneof("value") if scalar.WhichOneof("value") == "primitive" else None
    if kind is None:
        raise InvalidArgument(
            f"input '{name}' cannot be a partition value: it must be a string, number, boolean, "
            f"datetime, duration or enum"
        )
    if kind == "datetime":
        return format_time(_datetime(scalar.primitive.datetime))
    if kind == "duration":
        return str(scalar.primitive.duration.ToJsonString())
    value = getattr(scalar.primitive, kind)
    return str(value).lower() if kind == "boolean" else str(value)


def literal_as_time(literal: literals_pb2.Literal, *, name: str) -> datetime:
    """The datetime held by input `name` (or a string that reads as one). InvalidArgument otherwise."""
    primitive = _scalar(literal).primitive
    if primitive.WhichOneof("value") == "datetime":
        return _datetime(primitive.datetime)
    if primitive.WhichOneof("value") == "string_value":
        return parse_time(primitive.string_value)
    raise InvalidArgument(f"input '{name}' cannot be a time partition: it must be a datetime")


def _datetime(stamp: Timestamp) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=timezone.utc)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(f"the time {stamp.seconds} s after 1970 is outside the calendar") from error


def label_time(label: artifact_id_pb2.LabelValue) -> datetime:
    return _datetime(label.time_value)
