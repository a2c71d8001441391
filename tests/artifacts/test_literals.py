from __future__ import annotations

import contextlib
import datetime as dt
import enum
import json
from dataclasses import dataclass, field
from typing import Any, cast

import msgpack
import pytest
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from artifacts.literals import carried, carry, check_literal, describe_type, digest, from_json, primary_uri, to_json
from artifacts.literals.times import format_duration, parse_duration


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Inner:
    weight: float


@dataclass
class Point:
    x: int
    inner: Inner
    names: list[str] = field(default_factory=list)


def type_of(python_type: Any) -> types_pb2.LiteralType:
    from flytekit.core.type_engine import TypeEngine

    return cast(types_pb2.LiteralType, TypeEngine.to_literal_type(python_type).to_flyte_idl())


def as_flytekit_sends(value: object, python_type: Any) -> literals_pb2.Literal:
    from flytekit.core.context_manager import FlyteContextManager
    from flytekit.core.type_engine import TypeEngine

    context = FlyteContextManager.current_context()
    expected = TypeEngine.to_literal_type(python_type)
    return cast(literals_pb2.Literal, TypeEngine.to_literal(context, value, python_type, expected).to_flyte_idl())


def as_flytekit_reads(literal: literals_pb2.Literal, python_type: Any) -> object:
    from flytekit.core.context_manager import FlyteContextManager
    from flytekit.core.type_engine import TypeEngine
    from flytekit.models.literals import Literal

    context = FlyteContextManager.current_context()
    return TypeEngine.to_python_value(context, Literal.from_flyte_idl(literal), python_type)


NOON = dt.datetime(2026, 1, 31, 12, 0, 0, 250000, tzinfo=dt.timezone.utc)

VALUES = [
    (int, 42, 42),
    (float, 0.5, 0.5),
    (str, "grüße", "grüße"),
    (bool, True, True),
    (dt.datetime, NOON, "2026-01-31T12:00:00.250000Z"),
    (dt.timedelta, dt.timedelta(hours=1, minutes=30), "PT1H30M"),
    (type(None), None, None),
    (Colour, Colour.BLUE, "blue"),
    (list[int], [1, 2, 3], [1, 2, 3]),
    (dict[str, list[float]], {"a": [1.5]}, {"a": [1.5]}),
    (int | None, 3, 3),
    (int | None, None, None),
    (int | str, "three", "three"),
    (dict, {"a": 1, "b": [True, None]}, {"a": 1, "b": [True, None]}),
    (Point, Point(x=1, inner=Inner(2.0), names=["n"]), {"x": 1, "inner": {"weight": 2.0}, "names": ["n"]}),
    (list[Point], [Point(1, Inner(2.0))], [{"x": 1, "inner": {"weight": 2.0}, "names": []}]),
]


@pytest.mark.parametrize(("python_type", "value", "shown"), VALUES, ids=lambda value: str(value)[:30])
def test_it_shows_what_flytekit_sends_and_reads_it_back(python_type: Any, value: object, shown: object) -> None:
    literal_type = type_of(python_type)
    sent = as_flytekit_sends(value, python_type)
    assert to_json(sent) == shown
    check_literal(sent, literal_type, name="x")
    made = from_json(shown, literal_type, name="x")
    check_literal(made, literal_type, name="x")
    assert as_flytekit_reads(made, python_type) == value


def test_it_takes_whole_numbers_for_the_floats_of_a_dataclass() -> None:
    literal = from_json({"x": 1, "inner": {"weight": 2}}, type_of(Point), name="p")
    assert as_flytekit_reads(literal, Point) == Point(1, Inner(2.0))


@pytest.mark.parametrize(
    ("given_value", "complaint"),
    [
        ({"inner": {"weight": 1.0}}, "lacks x"),
        ({"x": 1, "inner": {"weight": "heavy"}}, "inner.weight expects a number"),
        ({"x": 1, "inner": {"weight": 1.0}, "z": 2}, "no field z"),
        (7, "not an object"),
    ],
)
def test_it_says_what_is_wrong_inside_a_dataclass(given_value: object, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint) as caught:
        from_json(given_value, type_of(Point), name="point")
    assert 'input "point"' in caught.value.message


@pytest.mark.parametrize(
    ("python_type", "given_value", "expected"),
    [
        (int, "42", 42),
        (int, 42.0, 42),
        (float, "1e3", 1000.0),
        (bool, "false", False),
        (dt.timedelta, 90, "PT1M30S"),
        (dt.timedelta, "1h 30m", "PT1H30M"),
        (dt.timedelta, "2 days, 0:00:01", "P2DT1S"),
        (dt.datetime, "2026-01-31", "2026-01-31T00:00:00Z"),
        (dt.datetime, "2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
        (int | str, "42", "42"),
        (int | float, 1, 1),
        (float | None, 1, 1.0),
    ],
)
def test_it_accepts_what_forms_send(python_type: Any, given_value: object, expected: object) -> None:
    shown = to_json(from_json(given_value, type_of(python_type), name="x"))
    assert shown == expected
    assert type(shown) is type(expected)


@pytest.mark.parametrize(
    ("python_type", "given_value"),
    [
        (int, "many"),
        (int, True),
        (int, 1.5),
        (int, 2**63),
        (float, "x"),
        (str, 1),
        (bool, 1),
        (bool, "perhaps"),
        (dt.datetime, "yesterday"),
        (dt.datetime, 5),
        (dt.timedelta, "soon"),
        (dt.timedelta, float("inf")),
        (Colour, "green"),
        (Colour, ["red"]),
        (list[int], "1,2"),
        (list[int], [1, "x"]),
        (dict[str, int], [1]),
        (int | bool, "x"),
        (type(None), 0),
    ],
)
def test_it_refuses_what_does_not_fit_and_names_the_input(python_type: Any, given_value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        from_json(given_value, type_of(python_type), name="amount")
    assert 'input "amount" expects' in caught.value.message


def test_it_shows_the_struct_that_older_clients_send() -> None:
    struct = struct_pb2.Struct()
    struct.update({"x": 1, "y": 1.5, "z": [None, True]})
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(generic=struct))
    assert to_json(literal) == {"x": 1, "y": 1.5, "z": [None, True]}
    check_literal(literal, type_of(Point), name="x")


def test_it_shows_what_json_cannot_say() -> None:
    packed = msgpack.packb({1: float("nan"), "b": b"\x00"}, use_bin_type=True)
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(binary=literals_pb2.Binary(value=packed, tag="msgpack")))
    assert to_json(literal) == {"1": "NaN", "b": {"base64": "AA=="}}
    broken = literals_pb2.Literal(scalar=literals_pb2.Scalar(binary=literals_pb2.Binary(value=b"\xc1", tag="msgpack")))
    assert to_json(broken) == {"base64": "wQ==", "tag": "msgpack"}
    assert to_json(literals_pb2.Literal()) is None


def test_it_makes_files_directories_and_datasets_from_a_uri() -> None:
    import pandas as pd
    from flytekit.types.directory import FlyteDirectory
    from flytekit.types.file import FlyteFile

    file = from_json("s3://bucket/a.csv", type_of(FlyteFile["csv"]), name="f")
    assert to_json(file) == {"uri": "s3://bucket/a.csv", "kind": "file", "format": "csv"}
    directory = from_json({"uri": "s3://bucket/d"}, type_of(FlyteDirectory), name="d")
    assert to_json(directory) == {"uri": "s3://bucket/d", "kind": "directory"}
    frame = from_json("s3://bucket/t.parquet", type_of(pd.DataFrame), name="t")
    assert to_json(frame) == {"uri": "s3://bucket/t.parquet", "kind": "dataset", "format": "parquet"}
    assert [primary_uri(literal) for literal in (file, directory, frame)] == [
        "s3://bucket/a.csv",
        "s3://bucket/d",
        "s3://bucket/t.parquet",
    ]
    assert primary_uri(from_json(1, type_of(int), name="i")) == ""
    with pytest.raises(InvalidArgument, match="not a URI"):
        from_json(3, type_of(FlyteFile), name="f")


def test_it_names_the_input_and_both_types_of_a_mismatch() -> None:
    literal = from_json("x", type_of(str), name="x")
    with pytest.raises(InvalidArgument, match='input "count" has the wrong type: expects int, got str'):
        check_literal(literal, type_of(int), name="count")
    with pytest.raises(InvalidArgument, match="not one of: red, blue"):
        check_literal(literal, type_of(Colour), name="colour")
    with pytest.raises(InvalidArgument, match="empty literal"):
        check_literal(literals_pb2.Literal(), type_of(int), name="count")


NESTED: list[tuple[Any, Any]] = [
    (dict[str, dict[str, float]], {"a": {}, "b": {"x": 1.0}}),
    (list[dict[str, int]], [{"x": 1}, {}]),
    (list[list[list[int]]], [[[]], [[1]], []]),
    (dict[str, list[dict[str, str]]], {"a": [{}], "b": [{"x": ""}, {}], "c": []}),
    (list[dict[str, int | None]], [{}, {"x": 1}, {"x": None}]),
]


@pytest.mark.parametrize(("python_type", "value"), NESTED, ids=str)
def test_empty_ones_fit_beside_full_ones(python_type: Any, value: Any) -> None:
    """Which Flyte refuses, as no one type can be told of such items."""
    check_literal(from_json(value, type_of(python_type), name="x"), type_of(python_type), name="x")


def test_an_item_deep_down_that_does_not_fit_is_refused() -> None:
    wrong = from_json({"a": [{}], "b": [{"x": "1"}]}, type_of(dict[str, list[dict[str, str]]]), name="x")
    with pytest.raises(InvalidArgument, match="has the wrong type"):
        check_literal(wrong, type_of(dict[str, list[dict[str, int]]]), name="x")


def test_it_describes_types_as_programmers_write_them() -> None:
    assert describe_type(type_of(dict[str, list[int]])) == "dict[str, list[int]]"
    assert describe_type(type_of(int | None)) == "int | none"
    assert describe_type(type_of(Colour)) == "enum(red, blue)"
    assert describe_type(type_of(Inner)) == "Inner(weight: float)"


def test_it_carries_the_id_of_an_artifact_version() -> None:
    literal = from_json(1, type_of(int), name="x")
    marked = carry(literal, 17)
    assert carried(marked) == 17
    assert carried(literal) is None
    assert digest(marked) == digest(literal)
    marked.metadata["_ua"] = "not a number"
    assert carried(marked) is None


def test_it_digests_by_the_hash_a_literal_brings() -> None:
    one, other = from_json(1, type_of(int), name="x"), from_json(2, type_of(int), name="x")
    assert digest(one) != digest(other)
    one.hash = other.hash = "same"
    assert digest(one) == digest(other)
    in_lists = [
        literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[item])) for item in (one, other)
    ]
    assert digest(in_lists[0]) == digest(in_lists[1])


@given(st.timedeltas(min_value=dt.timedelta(days=-10000), max_value=dt.timedelta(days=10000)))
def test_it_reads_every_duration_it_writes(value: dt.timedelta) -> None:
    assert abs(parse_duration(format_duration(value)) - value) <= dt.timedelta(microseconds=1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=5))
def test_it_gives_back_every_json_object_as_it_was(value: dict[str, object]) -> None:
    struct_type = types_pb2.LiteralType(simple=types_pb2.STRUCT)
    assert to_json(from_json(value, struct_type, name="x")) == value


scalars = st.one_of(
    st.binary(max_size=40).map(lambda raw: literals_pb2.Scalar(binary=literals_pb2.Binary(value=raw, tag="msgpack"))),
    st.binary(max_size=8).map(lambda raw: literals_pb2.Scalar(binary=literals_pb2.Binary(value=raw))),
    st.floats().map(lambda number: literals_pb2.Scalar(primitive=literals_pb2.Primitive(float_value=number))),
    st.integers(-(2**63), 2**63 - 1).map(
        lambda seconds: literals_pb2.Scalar(primitive=literals_pb2.Primitive(datetime={"seconds": seconds}))
    ),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1)).map(
        lambda parts: literals_pb2.Scalar(
            primitive=literals_pb2.Primitive(duration={"seconds": parts[0], "nanos": parts[1]})
        )
    ),
    st.floats().map(lambda number: literals_pb2.Scalar(generic={"fields": {"a": {"number_value": number}}})),
    st.just(literals_pb2.Scalar()),
)


@given(st.lists(scalars, max_size=3), st.binary(max_size=60))
def test_it_shows_anything_a_client_may_send_as_valid_json(found: list[literals_pb2.Scalar], raw: bytes) -> None:
    literals = [literals_pb2.Literal(scalar=scalar) for scalar in found]
    with contextlib.suppress(DecodeError):
        literals.append(literals_pb2.Literal.FromString(raw))
    whole = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=literals))
    json.dumps(to_json(whole), allow_nan=False)
    digest(whole)
    primary_uri(whole)


def test_it_shows_a_map_whose_keys_json_does_not_have() -> None:
    packed = msgpack.packb({"ok": 1}, use_bin_type=True)[:1] + b"\x91\x01\x02"  # {[1]: 2}
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(binary=literals_pb2.Binary(value=packed, tag="msgpack")))
    assert to_json(literal)["tag"] == "msgpack"
