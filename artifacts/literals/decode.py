"""Literals as JSON values, for pages, REST and the CLI."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import msgpack
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import struct_pb2

from artifacts.literals import spelling
from artifacts.literals.encode import chosen_variant, name_of_variant
from artifacts.literals.times import NANOS, format_datetime, format_nanos, format_timestamp
from artifacts.literals.types import MSGPACK, describe_type


def to_json(
    literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType | None = None, *, exact: bool = False
) -> Any:
    """The literal as a JSON value.

    Times are ISO 8601, files, directories and datasets are objects with their `uri`; what JSON cannot say
    (not-a-number, bytes) becomes text. `literal_type`, when given, names the type of what was offloaded as a whole.

    `exact`: spelled so that `from_json` with that type reads the same literal again (docs/reference/values.md): what
    JSON has no word for as an object that stands for it, and the variant of a union where the value does not tell it.
    """
    which = literal.WhichOneof("value")
    if which == "scalar":
        return _scalar(literal, literal_type, exact)
    if which == "collection":
        item_type = literal_type.collection_type if literal_type is not None else None
        return [to_json(item, item_type, exact=exact) for item in literal.collection.literals]
    if which == "map":
        item_type = literal_type.map_value_type if literal_type is not None else None
        entries = literal.map.literals
        return {key: to_json(entries[key], item_type, exact=exact) for key in sorted(entries)}
    if which == "offloaded_metadata":
        offloaded = literal.offloaded_metadata
        return {
            "uri": offloaded.uri,
            "size_bytes": offloaded.size_bytes,
            "type": describe_type(literal_type or offloaded.inferred_type),
        }
    return None


def _scalar(literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType | None, exact: bool) -> Any:
    scalar = literal.scalar
    which = scalar.WhichOneof("value")
    if which == "primitive":
        return _primitive(scalar.primitive)
    if which == "union":
        value = to_json(scalar.union.value, scalar.union.type, exact=exact)
        return _with_variant(literal, value, literal_type) if exact and literal_type is not None else value
    if which == "binary":
        return _binary(scalar.binary, exact)
    if which == "generic":
        return _generic(scalar.generic, exact)
    if which == "blob":
        return _blob(scalar.blob, literal_type, exact)
    if which == "structured_dataset":
        return _dataset(scalar.structured_dataset, literal_type, exact)
    if which == "schema":
        return {"uri": scalar.schema.uri, "kind": "dataset", "format": "parquet"}
    if which == "error":
        return {"error": scalar.error.message, "failed_node_id": scalar.error.failed_node_id}
    return None


def _with_variant(literal: literals_pb2.Literal, value: Any, literal_type: types_pb2.LiteralType) -> Any:
    """The value, beside the name of its variant where reading it alone would choose another."""
    variants = list(literal_type.union_type.variants)
    own = literal.scalar.union.type
    if own not in variants or chosen_variant(value, literal_type) == variants.index(own):
        return value
    return {"type": name_of_variant(variants, variants.index(own)), "value": value}


def _primitive(primitive: literals_pb2.Primitive) -> Any:
    which = primitive.WhichOneof("value")
    if which == "float_value":
        return _number(primitive.float_value)
    if which == "datetime":
        return timestamp_text(primitive)
    if which == "duration":
        return format_nanos(primitive.duration.seconds * NANOS + primitive.duration.nanos)
    return getattr(primitive, which) if which else None


def timestamp_text(primitive: literals_pb2.Primitive) -> str:
    """A datetime as ISO 8601; one that the calendar does not have stays a number of seconds."""
    try:
        return format_timestamp(primitive.datetime.seconds, primitive.datetime.nanos)
    except ValueError:
        return f"{primitive.datetime.seconds}s"


def _blob(blob: literals_pb2.Blob, literal_type: types_pb2.LiteralType | None, exact: bool) -> dict[str, Any]:
    found = blob.metadata.type
    declared = literal_type.blob.format if exact and literal_type is not None else ""
    return {
        "uri": blob.uri,
        "kind": "directory" if found.dimensionality == types_pb2.BlobType.MULTIPART else "file",
        **({"format": found.format} if found.format or declared else {}),
    }


def _dataset(
    dataset: literals_pb2.StructuredDataset, literal_type: types_pb2.LiteralType | None, exact: bool
) -> dict[str, Any]:
    found = dataset.metadata.structured_dataset_type
    return {
        "uri": dataset.uri,
        "kind": "dataset",
        **({"format": found.format} if found.format or exact else {}),
        **({"columns": {c.name: describe_type(c.literal_type) for c in found.columns}} if found.columns else {}),
    }


def _binary(binary: literals_pb2.Binary, exact: bool) -> Any:
    if binary.tag == MSGPACK:
        try:
            if exact:
                return spelling.spell(msgpack.unpackb(binary.value, strict_map_key=False, timestamp=0))
            # Timestamp extension type as datetime; integer keys are what dict[int, str] sends.
            return _plain(msgpack.unpackb(binary.value, strict_map_key=False, timestamp=3))
        except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException):
            pass  # not what its tag says: show the bytes
        if exact:
            return {spelling.WHOLE: base64.b64encode(binary.value).decode()}
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


def _generic(struct: struct_pb2.Struct, exact: bool) -> Any:
    value = whole_numbers(struct_to_python(struct))
    return spelling.spell(value) if exact else _plain(value)


def struct_to_python(struct: struct_pb2.Struct) -> dict[str, Any]:
    """As protobuf's MessageToDict, but with every number that there is."""
    return {key: _struct_value(struct.fields[key]) for key in sorted(struct.fields)}


def _struct_value(value: struct_pb2.Value) -> Any:
    which = value.WhichOneof("kind")
    if which == "struct_value":
        return struct_to_python(value.struct_value)
    if which == "list_value":
        return [_struct_value(item) for item in value.list_value.values]
    return getattr(value, which) if which not in (None, "null_value") else None


def whole_numbers(value: Any) -> Any:
    """A Struct knows only doubles; whole ones were nearly always integers."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _number(value: float) -> float | str:
    return spelling.number_word(value) or value
