from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from flyteidl.core import artifact_id_pb2, literals_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from artifacts.models import Granularity
from artifacts.partition_values import digest_of
from artifacts.partitions import literal_as_text, literal_as_time, parse_time, shift, truncate
from tests.artifacts.publishing import integer, moment, text

moments = st.datetimes(timezones=st.timezones(), min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1))  # noqa: DTZ001
LENGTHS = {
    Granularity.MINUTE: timedelta(minutes=1),
    Granularity.HOUR: timedelta(hours=1),
    Granularity.DAY: timedelta(days=1),
    Granularity.MONTH: timedelta(days=31),
}


@given(moments, st.sampled_from(list(LENGTHS)))
def test_truncation_goes_back_less_than_one_partition(at: datetime, granularity: Granularity) -> None:
    begin = truncate(at, granularity)
    assert timedelta(0) <= at - begin < LENGTHS[granularity]
    assert truncate(begin, granularity) == begin
    assert begin.utcoffset() == timedelta(0)


@given(moments, moments, st.sampled_from(list(LENGTHS)))
def test_truncation_keeps_the_order(one: datetime, other: datetime, granularity: Granularity) -> None:
    one, other = sorted([one.astimezone(timezone.utc), other.astimezone(timezone.utc)])
    assert truncate(one, granularity) <= truncate(other, granularity)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_the_digest_does_not_depend_on_the_order(partitions: dict[str, str]) -> None:
    assert digest_of(partitions) == digest_of(dict(reversed(partitions.items())))


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)
def test_the_digest_tells_partitions_apart(one: dict[str, str], other: dict[str, str]) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)


@pytest.mark.parametrize(
    ("transform", "operator", "expected"),
    [
        ("PT1H", artifact_id_pb2.MINUS, "2026-03-01T11:00:00Z"),
        ("P1DT30M", artifact_id_pb2.PLUS, "2026-03-02T12:30:00Z"),
        ("1 day, 1:00:00", artifact_id_pb2.MINUS, "2026-02-28T11:00:00Z"),
        ("-PT1H", artifact_id_pb2.MINUS, "2026-03-01T13:00:00Z"),
        ("", artifact_id_pb2.MINUS, "2026-03-01T12:00:00Z"),
    ],
)
def test_it_shifts_times(transform: str, operator: artifact_id_pb2.Operator, expected: str) -> None:
    at = parse_time("2026-03-01T12:00:00Z")
    assert shift(at, artifact_id_pb2.TimeTransform(transform=transform, op=operator)) == parse_time(expected)


@pytest.mark.parametrize("transform", ["yesterday", "P", "PT", "P99999999999D", "P3000Y", "1:2"])
def test_it_refuses_shifts_that_are_no_duration(transform: str) -> None:
    with pytest.raises(InvalidArgument):
        shift(parse_time("2026-03-01"), artifact_id_pb2.TimeTransform(transform=transform, op=artifact_id_pb2.PLUS))


def primitive(**value: object) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(**value)))  # type: ignore[arg-type]


def test_simple_values_read_as_text() -> None:
    assert literal_as_text(integer(-3), name="n") == "-3"
    assert literal_as_text(text("SEA"), name="n") == "SEA"
    assert literal_as_text(primitive(boolean=True), name="n") == "true"
    assert literal_as_text(primitive(float_value=0.5), name="n") == "0.5"
    assert literal_as_text(moment(datetime(2026, 1, 2, tzinfo=timezone.utc)), name="n") == "2026-01-02T00:00:00Z"
    union = literals_pb2.Literal(scalar=literals_pb2.Scalar(union=literals_pb2.Union(value=text("SEA"))))
    assert literal_as_text(union, name="n") == "SEA"


@pytest.mark.parametrize("seconds", [10**12, -(10**12)])
def test_it_refuses_times_outside_the_calendar(seconds: int) -> None:
    with pytest.raises(InvalidArgument, match="outside the calendar"):
        literal_as_time(primitive(datetime=Timestamp(seconds=seconds)), name="at")
