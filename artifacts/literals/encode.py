"""JSON values as literals of a given type: what forms, REST and the CLI send becomes what a task reads."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import json_format

from artifacts.exceptions import InvalidArgument
from artifacts.literals.times import parse_datetime, parse_duration
from artifacts.literals.types import MSGPACK, describe_type

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_DEPTH = 64


class _Mismatch(Exception):
    """The value does not fit the type; the message says why, without naming the input."""


def from_json(
    value: Any, literal_type: types_pb2.LiteralType, *, name: str, strict: bool = False
) -> literals_pb2.Literal:
    """A literal of the given type.

    Strings are accepted for numbers, booleans and times, unless `strict`; a file, directory or dataset is its URI or
    an object with `uri`. Raises InvalidArgument naming the input, the type expected and what was given.
    """
    try:
        return _encode(value, literal_type, strict=strict, depth=0)
    except _Mismatch as error:
        raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}: {error}') from None


def _given(value: object) -> str:
    text = repr(value)
    return f"got {type(value).__name__} {text if len(text) <= 80 else text[:77] + '...'}"


def _encode(value: Any, literal_type: types_pb2.LiteralType, *, strict: bool, depth: int) -> literals_pb2.Literal:
    """`strict` takes only the JSON type that belongs to the literal type; a union tries that first."""
    if depth > MAX_DEPTH:
        raise _Mismatch(f"nested deeper than {MAX_DEPTH}")
    which = literal_type.WhichOneof("type")
    if which == "collection_type":
        if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
            raise _Mismatch(f"{_given(value)}, not a list")
        items = [_at(f"[{i}]", item, literal_type.collection_type, strict, depth) for i, item in enumerate(value)]
        return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
    if which == "map_value_type":
        if not isinstance(value, Mapping):
            raise _Mismatch(f"{_given(value)}, not an object")
        entries = {
            str(key): _at(f"[{key!r}]", item, literal_type.map_value_type, strict, depth) for key, item in value.items()
        }
        return literals_pb2.Literal(map=literals_pb2.LiteralMap(literals=entries))
    if which == "union_type":
        return _union(value, literal_type, strict, depth)
    return literals_pb2.Literal(scalar=_scalar(value, literal_type, strict))


def _at(where: str, value: Any, literal_type: types_pb2.LiteralType, strict: bool, depth: int) -> literals_pb2.Literal:
    try:
        return _encode(value, literal_type, strict=strict, depth=depth + 1)
    except _Mismatch as error:
        raise _Mismatch(f"at {where} {error}") from None


def _union(value: Any, literal_type: types_pb2.LiteralType, strict: bool, depth: int) -> literals_pb2.Literal:
    for strictly in (True,) if strict else (True, False):
        for variant in literal_type.union_type.variants:
            try:
                literal = _encode(value, variant, strict=strictly, depth=depth + 1)
            except _Mismatch:
                continue
            return union_of(literal, variant)
    raise _Mismatch(_given(value))


def union_of(literal: literals_pb2.Literal, variant: types_pb2.LiteralType) -> literals_pb2.Literal:
    union = literals_pb2.Union(value=literal, type=variant)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(union=union))


def _scalar(value: Any, literal_type: types_pb2.LiteralType, strict: bool) -> literals_pb2.Scalar:
    which = literal_type.WhichOneof("type")
    if which == "simple":
        return _simple(value, literal_type, strict)
    if which == "enum_type":
        if value not in literal_type.enum_type.values:
            raise _Mismatch(f"{_given(value)}")
        return literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=value))
    if which == "blob":
        uri, given_format = _uri(value, strict)
        blob_type = types_pb2.BlobType(
            format=given_format or literal_type.blob.format, dimensionality=literal_type.blob.dimensionality
        )
        blob = literals_pb2.Blob(uri=uri, metadata=literals_pb2.BlobMetadata(type=blob_type))
        return literals_pb2.Scalar(blob=blob)
    if which == "structured_dataset_type":
        uri, given_format = _uri(value, strict)
        dataset_type = types_pb2.StructuredDatasetType()
        dataset_type.CopyFrom(literal_type.structured_dataset_type)
        dataset_type.format = given_format or dataset_type.format or "parquet"
        metadata = literals_pb2.StructuredDatasetMetadata(structured_dataset_type=dataset_type)
        return literals_pb2.Scalar(structured_dataset=literals_pb2.StructuredDataset(uri=uri, metadata=metadata))
    if which == "schema":
        return literals_pb2.Scalar(schema=literals_pb2.Schema(uri=_uri(value, strict)[0], type=literal_type.schema))
    raise _Mismatch("this type cannot be given as a value")


def _uri(value: Any, strict: bool) -> tuple[str, str]:
    if isinstance(value, str) and value and not strict:
        return value, ""
    if isinstance(value, str) and "://" in value:
        return value, ""
    if isinstance(value, Mapping) and isinstance(value.get("uri"), str) and value["uri"]:
        return value["uri"], str(value.get("format") or "")
    raise _Mismatch(f'{_given(value)}, not a URI or {{"uri": ...}}')


def _simple(value: Any, literal_type: types_pb2.LiteralType, strict: bool) -> literals_pb2.Scalar:
    kind = literal_type.simple
    if kind == types_pb2.NONE:
        if value is not None:
            raise _Mismatch(_given(value))
        return literals_pb2.Scalar(none_type=literals_pb2.Void())
    if kind == types_pb2.STRUCT:
        return literals_pb2.Scalar(binary=_struct(value, literal_type))
    if kind == types_pb2.BINARY:
        return literals_pb2.Scalar(binary=_bytes(value))
    if kind == types_pb2.ERROR:
        if not isinstance(value, Mapping) or not isinstance(value.get("error"), str):
            raise _Mismatch(f'{_given(value)}, not {{"error": ...}}')
        failed = str(value.get("failed_node_id") or "")
        return literals_pb2.Scalar(error=types_pb2.Error(message=value["error"], failed_node_id=failed))
    return literals_pb2.Scalar(primitive=_primitive(value, kind, strict))


def _primitive(value: Any, kind: types_pb2.SimpleType, strict: bool) -> literals_pb2.Primitive:
    if kind == types_pb2.STRING:
        if not isinstance(value, str):
            raise _Mismatch(_given(value))
        return literals_pb2.Primitive(string_value=value)
    if kind == types_pb2.BOOLEAN:
        return literals_pb2.Primitive(boolean=_boolean(value, strict))
    if kind == types_pb2.INTEGER:
        return literals_pb2.Primitive(integer=_integer(value, strict))
    if kind == types_pb2.FLOAT:
        return literals_pb2.Primitive(float_value=_float(value, strict))
    if kind == types_pb2.DATETIME:
        return _datetime(value)
    if kind == types_pb2.DURATION:
        return _duration(value)
    raise _Mismatch("this type cannot be given as a value")


def _boolean(value: Any, strict: bool) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) and not strict else ""
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise _Mismatch(_given(value))


def _integer(value: Any, strict: bool) -> int:
    if isinstance(value, str) and not strict:
        try:
            value = int(value.strip())
        except ValueError:
            raise _Mismatch(_given(value)) from None
    if isinstance(value, float) and value.is_integer() and not strict:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Mismatch(_given(value))
    if not INT64_MIN <= value <= INT64_MAX:
        raise _Mismatch(f"{value} does not fit 64 bits")
    return value


def _float(value: Any, strict: bool) -> float:
    if isinstance(value, bool) or (strict and not isinstance(value, float)):
        raise _Mismatch(_given(value))
    if not isinstance(value, (int, float, str)):
        raise _Mismatch(_given(value))
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _Mismatch(_given(value)) from None


def _datetime(value: Any) -> literals_pb2.Primitive:
    if not isinstance(value, (str, dt.datetime)):
        raise _Mismatch(f"{_given(value)}, not a date and time in ISO 8601")
    text = value.isoformat() if isinstance(value, dt.datetime) else value
    try:
        moment = parse_datetime(text)
    except ValueError:
        raise _Mismatch(f"{_given(value)}, not a date and time in ISO 8601") from None
    return datetime_primitive(moment)


def datetime_primitive(moment: dt.datetime) -> literals_pb2.Primitive:
    primitive = literals_pb2.Primitive()
    primitive.datetime.FromDatetime(moment)
    return primitive


def _duration(value: Any) -> literals_pb2.Primitive:
    try:
        if isinstance(value, dt.timedelta):
            length = value
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            length = dt.timedelta(seconds=value)
        elif isinstance(value, str):
            length = parse_duration(value)
        else:
            raise ValueError
    except (ValueError, OverflowError):
        raise _Mismatch(f'{_given(value)}, not a duration ("PT1H30M", "1h 30m" or seconds)') from None
    primitive = literals_pb2.Primitive()
    primitive.duration.FromTimedelta(length)
    return primitive


def _bytes(value: Any) -> literals_pb2.Binary:
    given = value.get("base64") if isinstance(value, Mapping) else value
    tag = str(value.get("tag") or "") if isinstance(value, Mapping) else ""
    if not isinstance(given, str):
        raise _Mismatch(f"{_given(value)}, not base64 text")
    try:
        return literals_pb2.Binary(value=base64.b64decode(given, validate=True), tag=tag)
    except (binascii.Error, ValueError):
        raise _Mismatch("not base64 text") from None


def _struct(value: Any, literal_type: types_pb2.LiteralType) -> literals_pb2.Binary:
    """MessagePack, as flytekit sends dataclasses, pydantic models and dicts since 1.14."""
    if not isinstance(value, (Mapping, list)):
        raise _Mismatch(f"{_given(value)}, not an object")
    schema = json_format.MessageToDict(literal_type.metadata) if literal_type.HasField("metadata") else {}
    try:
        fitted = _fit(value, schema, schema, 0, "")
        return literals_pb2.Binary(value=msgpack.packb(fitted, use_bin_type=True), tag=MSGPACK)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Mismatch(str(error)) from None


def _fit(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int, where: str) -> Any:
    """Checks what a dataclass decoder would trip over: required and unknown fields; whole numbers for floats."""
    if depth > MAX_DEPTH:
        raise _Mismatch(f"nested deeper than {MAX_DEPTH}")
    schema = _deref(schema, root)
    if isinstance(value, Mapping):
        fields = schema.get("properties")
        missing = [field for field in schema.get("required", []) if field not in value]
        if missing:
            raise _Mismatch(f"{where or 'the object'} lacks {', '.join(missing)}")
        if fields and schema.get("additionalProperties") is False:
            unknown = sorted(str(key) for key in value if key not in fields)
            if unknown:
                raise _Mismatch(
                    f"{where or 'the object'} has no field {', '.join(unknown)}; it has {', '.join(fields)}"
                )
        other = schema.get("additionalProperties")
        return {
            key: _fit(
                item,
                (fields or {}).get(key) or (other if isinstance(other, Mapping) else {}),
                root,
                depth + 1,
                f"{where}.{key}".lstrip("."),
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items")
        inner = items if isinstance(items, Mapping) else {}
        return [_fit(item, inner, root, depth + 1, f"{where}[{i}]") for i, item in enumerate(value)]
    expected = schema.get("type")
    if expected == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if expected == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
        if isinstance(value, float) and value.is_integer():
            return int(value)
        raise _Mismatch(f"{where} expects an integer, {_given(value)}")
    if expected == "string" and not isinstance(value, str):
        raise _Mismatch(f"{where} expects a string, {_given(value)}")
    if expected == "boolean" and not isinstance(value, bool):
        raise _Mismatch(f"{where} expects true or false, {_given(value)}")
    if expected == "number" and not isinstance(value, float):
        raise _Mismatch(f"{where} expects a number, {_given(value)}")
    return value


def _deref(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    path = schema.get("$ref")
    if not isinstance(path, str) or not path.startswith("#/"):
        return schema
    found: Any = root
    for part in path[2:].split("/"):
        found = found.get(part, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}
