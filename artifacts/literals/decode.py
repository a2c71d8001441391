"""Literals as JSON values, for pages, REST and the CLI."""

from __future__ import annotations

import base64
import datetime as dt
import math
from typing import Any

import msgpack
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import struct_pb2

from artifacts.literals.times import format_datetime, format_duration
from artifacts.literals.types import MSGPACK, describe_type


def to_json(literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType | None = None) -> Any:
    """The literal as a JSON value.

    Times are ISO 8601, files, directories and datasets are objects with their `uri`; what JSON cannot say
    (not-a-number, bytes) becomes text. `literal_type`, when given, names the type of what was offloaded as a whole.
    """
    which = literal.WhichOneof("value")
    if which == "scalar":
        return _scalar(literal.scalar)
    if which == "collection":
        return [to_json(item) for item in literal.collection.literals]
    if which == "map":
        return {key: to_json(literal.map.literals[key]) for key in sorted(literal.map.literals)}
    if which == "offloaded_metadata":
        offloaded = literal.offloaded_metadata
        return {
            "uri": offloaded.uri,
            "size_bytes": offloaded.size_bytes,
            "type": describe_type(literal_type or offloaded.inferred_type),
        }
    return None


def _scalar(scalar: literals_pb2.Scalar) -> Any:
    which = scalar.WhichOneof("value")
    if which == "primitive":
        return _primitive(scalar.primitive)
    if which == "union":
        return to_json(scalar.union.value)
    if which == "binary":
        return _binary(scalar.binary)
    if which == "generic":
        return _struct_value(struct_pb2.Value(struct_value=scalar.generic))
    if which == "blob":
        blob = scalar.blob
        multipart = blob.metadata.type.dimensionality == types_pb2.BlobType.MULTIPART
        return {
            "uri": blob.uri,
            "kind": "directory" if multipart else "file",
            **({"format": blob.metadata.type.format} if blob.metadata.type.format else {}),
        }
    if which == "structured_dataset":
        return _dataset(scalar.structured_dataset)
    if which == "schema":
        return {"uri": scalar.schema.uri, "kind": "dataset", "format": "parquet"}
    if which == "error":
        return {"error": scalar.error.message, "failed_node_id": scalar.error.failed_node_id}
    return None


def _primitive(primitive: literals_pb2.Primitive) -> Any:
    which = primitive.WhichOneof("value")
    if which == "float_value":
        return _number(primitive.float_value)
    if which == "datetime":
        return timestamp_text(primitive)
    if which == "duration":
        seconds, nanos = primitive.duration.seconds, primitive.duration.nanos
        try:
            return format_duration(dt.timedelta(seconds=seconds, microseconds=nanos // 1000))
        except OverflowError:
            return f"{seconds}s"
    return getattr(primitive, which) if which else None


def timestamp_text(primitive: literals_pb2.Primitive) -> str:
    """A datetime as ISO 8601; one that the calendar does not have stays a number of seconds."""
    try:
        return format_datetime(primitive.datetime.ToDatetime(tzinfo=dt.timezone.utc))
    except (ValueError, OverflowError):
        return f"{primitive.datetime.seconds}s"


def _dataset(dataset: literals_pb2.StructuredDataset) -> dict[str, Any]:
    found = dataset.metadata.structured_dataset_type
    return {
        "uri": dataset.uri,
        "kind": "dataset",
        **({"format": found.format} if found.format else {}),
        **({"columns": {c.name: describe_type(c.literal_type) for c in found.columns}} if found.columns else {}),
    }


def _binary(binary: literals_pb2.Binary) -> Any:
    if binary.tag == MSGPACK:
        try:
            # Timestamp extension type as datetime; integer keys are what dict[int, str] sends.
            return _plain(msgpack.unpackb(binary.value, strict_map_key=False, timestamp=3))
        except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException):
            pass  # not what its tag says: show the bytes
    return {"base64": base64.b64encode(binary.value).decode(), **({"tag": binary.tag} if binary.tag else {})}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dt.datetime):
        return format_datetime(value)
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def _struct_value(value: struct_pb2.Value) -> Any:
    which = value.WhichOneof("kind")
    if which == "struct_value":
        fields = value.struct_value.fields
        return {key: _struct_value(fields[key]) for key in sorted(fields)}
    if which == "list_value":
        return [_struct_value(item) for item in value.list_value.values]
    if which == "number_value":
        number = value.number_value
        # A Struct knows only doubles; whole ones were nearly always integers.
        return int(number) if number.is_integer() and abs(number) < 2**53 else _number(number)
    if which in ("string_value", "bool_value"):
        return getattr(value, which)
    return None


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
