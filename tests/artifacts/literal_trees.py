"""Every literal type there is, nested, and literals of it as clients send them: what round trips are tried with."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import msgpack
from flyteidl.core import literals_pb2, types_pb2
from hypothesis import strategies as st

from artifacts.literals import union_of

Type = types_pb2.LiteralType
Literal = literals_pb2.Literal

TEXTS = st.one_of(
    st.sampled_from(
        [
            "", " ", " padded ", "\n", "\nfirst line empty", "one\ntwo\n", "one\r\ntwo", "one\rtwo", "\r\n", "007", "7",
            "1.50", "true", "null", "None", "NaN", "1h", "PT1H", "2026-01-01", '["a"]', '{"a": 1}', '"quoted"', "s3://b/k",
            "a\x00b", "\u2028", "\ufffd", "<b>&amp;'\"", "é", "👩‍👩‍👧", "\tx", "\x0b\x0c\x85", '{"$float": "NaN"}',
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)  # fmt: skip
# JSON has one word for all that is not a number, whatever its bits are.
FLOATS = st.floats(allow_nan=False) | st.sampled_from([math.nan, 0.1 + 0.2, 1e16, 123456789.123456789, 5e-324, -0.0])
KEYS = TEXTS | st.sampled_from(["$float", "$base64", "$object", "$entries", "$datetime", "$msgpack", "type", "value"])
WHOLE = st.integers(-(2**63), 2**64 - 1)
STAMPS = st.builds(msgpack.Timestamp, st.integers(-(2**32), 2**34), st.integers(0, 999_999_999))
SECONDS = st.integers(-62_135_596_800, 253_402_300_799)  # of the calendar, since 1970


def _packable(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )


PACKED = _packable(
    st.none() | st.booleans() | WHOLE | FLOATS | TEXTS | st.binary(max_size=6) | STAMPS, KEYS | st.integers(-5, 5)
)
STRUCTS = st.dictionaries(KEYS | st.integers(0, 3), PACKED, max_size=3) | st.lists(PACKED, max_size=3)


def primitive(**value: Any) -> Literal:
    return Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(**value)))


def packed(value: Any) -> Literal:
    binary = literals_pb2.Binary(value=msgpack.packb(value, use_bin_type=True), tag="msgpack")
    return Literal(scalar=literals_pb2.Scalar(binary=binary))


def plain_binary(value: bytes) -> Literal:
    return Literal(scalar=literals_pb2.Scalar(binary=literals_pb2.Binary(value=value)))


def _duration(nanos: int) -> Literal:
    sign = -1 if nanos < 0 else 1
    return primitive(duration={"seconds": sign * (abs(nanos) // 10**9), "nanos": sign * (abs(nanos) % 10**9)})


NONE = Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
DURATIONS = st.integers(-(10**12), 10**12) | st.timedeltas().map(
    lambda span: max(-(10**19), min(10**19, span // dt.timedelta(microseconds=1) * 1000))
)
MOMENTS = st.tuples(SECONDS, st.just(0) | st.integers(0, 999_999).map(lambda us: us * 1000) | st.integers(0, 10**9 - 1))
SIMPLE: dict[types_pb2.SimpleType, st.SearchStrategy[Literal]] = {
    types_pb2.INTEGER: st.integers(-(2**63), 2**63 - 1).map(lambda x: primitive(integer=x)),
    types_pb2.FLOAT: FLOATS.map(lambda x: primitive(float_value=x)),
    types_pb2.STRING: TEXTS.map(lambda x: primitive(string_value=x)),
    types_pb2.BOOLEAN: st.booleans().map(lambda x: primitive(boolean=x)),
    types_pb2.DATETIME: MOMENTS.map(lambda x: primitive(datetime={"seconds": x[0], "nanos": x[1]})),
    types_pb2.DURATION: DURATIONS.map(_duration),
    types_pb2.BINARY: st.binary(max_size=9).map(plain_binary),
    types_pb2.STRUCT: STRUCTS.map(packed),
    types_pb2.NONE: st.just(NONE),
}
URIS = TEXTS.map(lambda tail: f"s3://bucket/{tail}") | st.just("/data/a.csv")
FORMATS = st.sampled_from(["", "csv", "parquet", "PythonPickle"])
_COLUMN = types_pb2.StructuredDatasetType.DatasetColumn


def _blob_type(data_format: str, multipart: bool) -> Type:
    kind = types_pb2.BlobType.MULTIPART if multipart else types_pb2.BlobType.SINGLE
    return Type(blob=types_pb2.BlobType(format=data_format, dimensionality=kind))


def _dataset_type(data_format: str, columns: list[str]) -> Type:
    found = [_COLUMN(name=name, literal_type=Type(simple=types_pb2.INTEGER)) for name in columns]
    return Type(structured_dataset_type=types_pb2.StructuredDatasetType(format=data_format, columns=found))


def _union(variants: list[Type]) -> Type:
    """Tagged as flytekit tags them."""
    for at, variant in enumerate(variants):
        variant.structure.tag = f"tag{at}"
    return Type(union_type=types_pb2.UnionType(variants=variants))


def _inner(types: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    return (
        types.map(lambda each: Type(collection_type=each))
        | types.map(lambda each: Type(map_value_type=each))
        | st.lists(types, min_size=1, max_size=3, unique_by=lambda each: each.SerializeToString()).map(_union)
    )


LEAVES = st.one_of(
    st.sampled_from(sorted(SIMPLE)).map(lambda kind: Type(simple=kind)),
    st.just(Type(enum_type=types_pb2.EnumType(values=["red", " two words ", "", "line\nbreak", "true"]))),
    st.builds(_blob_type, FORMATS, st.booleans()),
    st.builds(_dataset_type, st.sampled_from(["", "parquet", "csv"]), st.lists(st.sampled_from("ab"), unique=True)),
    st.just(Type(schema=types_pb2.SchemaType())),
)
TYPES = st.recursive(LEAVES, _inner, max_leaves=5).map(lambda each: Type.FromString(each.SerializeToString()))


@st.composite
def literals_of(draw: st.DrawFn, literal_type: Type) -> Literal:
    """A literal of the type, as clients send it: a file's format may be another than the declared one's."""
    which = literal_type.WhichOneof("type")
    if which == "simple":
        return draw(SIMPLE[literal_type.simple])
    if which == "enum_type":
        return primitive(string_value=draw(st.sampled_from(sorted(literal_type.enum_type.values))))
    if which == "collection_type":
        items = draw(st.lists(literals_of(literal_type.collection_type), max_size=3))
        return Literal(collection=literals_pb2.LiteralCollection(literals=items))
    if which == "map_value_type":
        entries = draw(st.dictionaries(KEYS, literals_of(literal_type.map_value_type), max_size=3))
        return Literal(map=literals_pb2.LiteralMap(literals=entries))
    if which == "union_type":
        variant = draw(st.sampled_from(list(literal_type.union_type.variants)))
        return union_of(draw(literals_of(variant)), variant)
    return Literal(scalar=draw(_data(literal_type)))


@st.composite
def _data(draw: st.DrawFn, literal_type: Type) -> literals_pb2.Scalar:
    uri = draw(URIS)
    if literal_type.HasField("blob"):
        kind = types_pb2.BlobType(
            format=literal_type.blob.format or draw(FORMATS), dimensionality=literal_type.blob.dimensionality
        )
        return literals_pb2.Scalar(blob=literals_pb2.Blob(uri=uri, metadata=literals_pb2.BlobMetadata(type=kind)))
    if literal_type.HasField("schema"):
        return literals_pb2.Scalar(schema=literals_pb2.Schema(uri=uri, type=literal_type.schema))
    found = literal_type.structured_dataset_type
    dataset = types_pb2.StructuredDatasetType(
        format=found.format or draw(FORMATS), columns=found.columns if draw(st.booleans()) else []
    )
    metadata = literals_pb2.StructuredDatasetMetadata(structured_dataset_type=dataset)
    return literals_pb2.Scalar(structured_dataset=literals_pb2.StructuredDataset(uri=uri, metadata=metadata))


@st.composite
def typed_literals(draw: st.DrawFn) -> tuple[Type, Literal]:
    literal_type = draw(TYPES)
    return literal_type, draw(literals_of(literal_type))


def same(literal: Literal) -> bytes:
    """What two literals have in common that are the same to the last bit: NaN is not equal to itself."""
    return literal.SerializeToString(deterministic=True)
