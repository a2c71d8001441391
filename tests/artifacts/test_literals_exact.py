"""What is shown of a literal reads back as that literal: as JSON over REST, as text in forms and on command lines."""

from __future__ import annotations

import json
import math
from typing import Any

import msgpack
import pytest
from flyteidl.core import literals_pb2, types_pb2
from hypothesis import assume, given, settings

from artifacts.exceptions import InvalidArgument
from artifacts.literals import from_json, from_text, text_of, to_json, union_of
from tests.artifacts.literal_trees import STRUCTS, Literal, Type, packed, same, typed_literals
from tests.artifacts.test_literals import type_of

STRUCT = Type(simple=types_pb2.STRUCT)


@settings(max_examples=200, deadline=None)
@given(typed_literals())
def test_it_reads_the_json_that_it_shows(pair: tuple[Type, Literal]) -> None:
    literal_type, literal = pair
    shown = to_json(literal, literal_type, exact=True)

    sent = json.loads(json.dumps(shown, allow_nan=False))  # as over REST
    again = from_json(sent, literal_type, name="x")

    assert same(again) == same(literal)


@settings(max_examples=200, deadline=None)
@given(typed_literals())
def test_it_reads_the_text_that_it_shows(pair: tuple[Type, Literal]) -> None:
    literal_type, literal = pair
    assume(literal.scalar.WhichOneof("value") != "none_type")  # nothing at all, which a form reads
    variant = literal.scalar.union.type if literal.scalar.HasField("union") else None
    inner = literal.scalar.union.value if variant is not None else literal
    assume(inner.scalar.WhichOneof("value") != "none_type")
    assume(variant is None or not variant.HasField("union_type"))  # flytekit has no union in a union

    text = text_of(literal, literal_type)
    again = from_text(text, variant or literal_type, name="x")

    assert same(again if variant is None else union_of(again, variant)) == same(literal)


@settings(max_examples=300, deadline=None)
@given(STRUCTS)
def test_a_structure_comes_back_as_it_was(value: Any) -> None:
    shown = json.dumps(to_json(packed(value), exact=True), allow_nan=False)
    assert same(from_json(json.loads(shown), STRUCT, name="x")) == same(packed(value))


SPELLED = [
    ({"loss": math.nan, "best": math.inf, "n": 1}, {"loss": {"$float": "NaN"}, "best": {"$float": "Infinity"}, "n": 1}),
    ({"loss": "NaN"}, {"loss": "NaN"}),
    ({"raw": b"\x00"}, {"raw": {"$base64": "AA=="}}),
    ({1: "one", "two": 2}, {"$entries": [[1, "one"], ["two", 2]]}),
    ({"at": msgpack.Timestamp(0, 500)}, {"at": {"$datetime": "1970-01-01T00:00:00.000000500Z"}}),
    ({"$float": "NaN"}, {"$object": {"$float": "NaN"}}),
    ({"$float": 1.5, "a": 1}, {"$float": 1.5, "a": 1}),
    ({"$object": {"a": 1}}, {"$object": {"a": 1}}),
]


@pytest.mark.parametrize(("value", "shown"), SPELLED, ids=str)
def test_it_spells_what_json_has_no_word_for(value: Any, shown: Any) -> None:
    assert to_json(packed(value), exact=True) == shown
    assert same(from_json(shown, STRUCT, name="x")) == same(packed(value))


def test_bytes_that_are_no_messagepack_are_kept() -> None:
    broken = literals_pb2.Binary(value=b"\xc1", tag="msgpack")
    literal = Literal(scalar=literals_pb2.Scalar(binary=broken))
    assert to_json(literal, exact=True) == {"$msgpack": "wQ=="}
    assert same(from_json({"$msgpack": "wQ=="}, STRUCT, name="x")) == same(literal)


@pytest.mark.parametrize(
    ("python_type", "variant", "value", "shown"),
    [
        (int | str, 1, "007", "007"),
        (str | None, 0, "null", "null"),
        ("datetime or text", 1, "2026-01-01", {"type": "str", "value": "2026-01-01"}),
        ("datetime or text", 1, "tomorrow", "tomorrow"),
        ("duration or text", 1, "1h", {"type": "str", "value": "1h"}),
        (list[int] | list[str], 1, [], {"type": "list[str]", "value": []}),
        (float | str, 0, math.inf, {"type": "float", "value": "Infinity"}),
    ],
    ids=str,
)
def test_it_names_the_variant_of_a_union_where_the_value_does_not_tell_it(
    python_type: Any, variant: int, value: Any, shown: Any
) -> None:
    import datetime as dt

    named: dict[Any, Any] = {"datetime or text": dt.datetime | str, "duration or text": dt.timedelta | str}
    literal_type = type_of(named.get(python_type, python_type) if isinstance(python_type, str) else python_type)
    chosen = literal_type.union_type.variants[variant]
    literal = union_of(from_json(value, chosen, name="x"), chosen)

    assert to_json(literal, literal_type, exact=True) == shown
    assert same(from_json(shown, literal_type, name="x")) == same(literal)


def test_a_structure_with_those_members_means_itself() -> None:
    literal_type = type_of(dict | int)
    for value in ({"type": "int", "value": "many"}, {"type": "banana", "value": 1}):
        literal = from_json(value, literal_type, name="x")
        assert to_json(literal) == value
    assert to_json(from_json({"type": "int", "value": 1}, literal_type, name="x")) == 1


def test_it_refuses_what_is_nested_too_deep_to_be_read() -> None:
    for literal_type in (STRUCT, type_of(list[int]), type_of(list[int] | str)):
        text = "[" * 100_000
        if literal_type.HasField("union_type"):
            assert from_text(text, literal_type, name="x").scalar.union.value.scalar.primitive.string_value == text
        else:
            with pytest.raises(InvalidArgument, match="nested too deep"):
                from_text(text, literal_type, name="x")
