"""JSON values as literals of a given type: what forms, REST and the CLI send becomes what a task reads."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
from flyteidl.core import literals_pb2, types_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals import spelling
from artifacts.literals.protobuf import message_dict
from artifacts.literals.times import NANOS, nanos_of, parse_nanos, parse_timestamp, seconds_as_nanos
from artifacts.literals.types import MSGPACK, SIMPLE_NAMES, describe_type

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_DEPTH = 64


class _Mismatch(Exception):
    """The value does not fit the type; the message says why, without naming the input."""


def from_json(
    value: Any, literal_type: types_pb2.LiteralType, *, name: str, strict: bool = False
) -> literals_pb2.Literal:
    """A literal of the given type.

    Strings are accepted for numbers, booleans and times, unless `strict`; a file, directory or dataset is its URI or
    an object with `uri`; of a union, `{"type": <a variant>, "value": ...}` says which of its variants is meant, and
    inside a structure `artifacts.literals.spelling` says what JSON has no word for. Raises InvalidArgument naming the
    input, the type expected and what was given.
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
    variants = list(literal_type.union_type.variants)
    if (named := named_variant(value, variants)) is not None:
        try:
            return union_of(_encode(value["value"], variants[named], strict=False, depth=depth + 1), variants[named])
        except _Mismatch:
            pass  # a structure of its own that has these two members
    for strictly in (True,) if strict else (True, False):
        for variant in variants:
            try:
                literal = _encode(value, variant, strict=strictly, depth=depth + 1)
            except _Mismatch:
                continue
            return union_of(literal, variant)
    raise _Mismatch(_given(value))


def named_variant(value: Any, variants: list[types_pb2.LiteralType]) -> int | None:
    """The variant that the value says it is of: its position."""
    if not isinstance(value, Mapping) or set(value) != {"type", "value"}:
        return None
    names = [name_of_variant(variants, at) for at in range(len(variants))]
    return names.index(value["type"]) if value["type"] in names else None


def name_of_variant(variants: Sequence[types_pb2.LiteralType], at: int) -> str:
    """What the variant at a position is called: as its type is, with its number from 1 where others are called so."""
    names = [describe_type(variant) for variant in variants]
    return names[at] if names.count(names[at]) == 1 else f"{names[at]} #{at + 1}"


def chosen_variant(value: Any, literal_type: types_pb2.LiteralType) -> int | None:
    """The position of the variant that `from_json` would take the value for; None where none fits."""
    try:
        literal = _union(value, literal_type, strict=False, depth=0)
    except _Mismatch:
        return None
    return list(literal_type.union_type.variants).index(literal.scalar.union.type)


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
            format=literal_type.blob.format if given_format is None else given_format,
            dimensionality=_dimensionality(value, literal_type.blob.dimensionality, strict),
        )
        blob = literals_pb2.Blob(uri=uri, metadata=literals_pb2.BlobMetadata(type=blob_type))
        return literals_pb2.Scalar(blob=blob)
    if which == "structured_dataset_type":
        uri, given_format = _uri(value, strict, kinds=("dataset",))
        dataset_type = types_pb2.StructuredDatasetType()
        dataset_type.CopyFrom(literal_type.structured_dataset_type)
        dataset_type.format = (dataset_type.format or "parquet") if given_format is None else given_format
        _take_columns(value, dataset_type)
        metadata = literals_pb2.StructuredDatasetMetadata(structured_dataset_type=dataset_type)
        return literals_pb2.Scalar(structured_dataset=literals_pb2.StructuredDataset(uri=uri, metadata=metadata))
    if which == "schema":
        return literals_pb2.Scalar(schema=_schema(value, literal_type, strict))
    raise _Mismatch("this type cannot be given as a value")


def _schema(value: Any, literal_type: types_pb2.LiteralType, strict: bool) -> literals_pb2.Schema:
    return literals_pb2.Schema(uri=_uri(value, strict, kinds=("dataset",))[0], type=literal_type.schema)


_FILES = {"file": types_pb2.BlobType.SINGLE, "directory": types_pb2.BlobType.MULTIPART}


def _uri(value: Any, strict: bool, kinds: Sequence[str] = tuple(_FILES)) -> tuple[str, str | None]:
    """The URI, and the format if one is given: also the empty one."""
    if isinstance(value, str) and value and not strict:
        return value, None
    if isinstance(value, str) and "://" in value:
        return value, None
    if isinstance(value, Mapping) and isinstance(value.get("uri"), str) and (value["uri"] or "kind" in value):
        if strict and value.get("kind", kinds[0]) not in kinds:
            raise _Mismatch(f"{_given(value)}, not a {kinds[0]}")
        given_format = value.get("format")
        return value["uri"], None if given_format is None else str(given_format)
    raise _Mismatch(f'{_given(value)}, not a URI or {{"uri": ...}}')


def _dimensionality(value: Any, declared: types_pb2.BlobType.BlobDimensionality, strict: bool) -> Any:
    """As the value says, for Flyte lets a directory pass for a file; a union asks strictly first for what fits."""
    said = _FILES.get(str(value.get("kind")), declared) if isinstance(value, Mapping) else declared
    if strict and said != declared:
        raise _Mismatch(f"{_given(value)}, not of this kind")
    return said


def _take_columns(value: Any, dataset_type: types_pb2.StructuredDatasetType) -> None:
    """The columns that the value says, as far as they are simple ones; the declared ones where it says the same."""
    columns = value.get("columns") if isinstance(value, Mapping) else None
    if isinstance(value, Mapping) and columns is None and value.get("kind") == "dataset":
        columns = {}  # as it is shown of a dataset without columns
    declared = {column.name: describe_type(column.literal_type) for column in dataset_type.columns}
    if not isinstance(columns, Mapping) or columns == declared:
        return
    known = {name: types_pb2.LiteralType(simple=kind) for kind, name in SIMPLE_NAMES.items()}
    if all(text in known for text in columns.values()):
        column = types_pb2.StructuredDatasetType.DatasetColumn
        del dataset_type.columns[:]
        dataset_type.columns.extend(column(name=str(name), literal_type=known[text]) for name, text in columns.items())


def _simple(value: Any, literal_type: types_pb2.LiteralType, strict: bool) -> literals_pb2.Scalar:
    kind = literal_type.simple
    if kind == types_pb2.NONE:
        if value is not None:
            raise _Mismatch(_given(value))
        return literals_pb2.Scalar(none_type=literals_pb2.Void())
    if kind == types_pb2.STRUCT:
        return literals_pb2.Scalar(binary=_struct(value, literal_type))
    if kind == types_pb2.BINARY:
        return literals_pb2.Scalar(binary=_bytes(value, strict))
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
        seconds, nanos = parse_timestamp(text)
    except ValueError:
        raise _Mismatch(f"{_given(value)}, not a date and time in ISO 8601") from None
    primitive = literals_pb2.Primitive()
    primitive.datetime.seconds, primitive.datetime.nanos = seconds, nanos
    return primitive


def datetime_primitive(moment: dt.datetime) -> literals_pb2.Primitive:
    primitive = literals_pb2.Primitive()
    primitive.datetime.FromDatetime(moment)
    return primitive


def _duration(value: Any) -> literals_pb2.Primitive:
    try:
        if isinstance(value, dt.timedelta):
            nanos = nanos_of(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            nanos = seconds_as_nanos(value)
        elif isinstance(value, str):
            nanos = parse_nanos(value)
        else:
            raise ValueError
    except (ValueError, OverflowError):
        raise _Mismatch(f'{_given(value)}, not a duration ("PT1H30M", "1h 30m" or seconds)') from None
    sign = -1 if nanos < 0 else 1
    primitive = literals_pb2.Primitive()
    primitive.duration.seconds, primitive.duration.nanos = sign * (abs(nanos) // NANOS), sign * (abs(nanos) % NANOS)
    return primitive


def _bytes(value: Any, strict: bool) -> literals_pb2.Binary:
    """Strictly only as an object: a text of a union is a text, whatever letters it has."""
    given = value.get("base64") if isinstance(value, Mapping) else None if strict else value
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
    whole = value[spelling.WHOLE] if isinstance(value, Mapping) and set(value) == {spelling.WHOLE} else None
    if (raw := spelling.whole_bytes(whole)) is not None:
        return literals_pb2.Binary(value=raw, tag=MSGPACK)
    schema = message_dict(literal_type.metadata) if literal_type.HasField("metadata") else {}
    try:
        plain = spelling.unspell(value)
        _check_fields(plain, schema, schema, 0, "")
        return literals_pb2.Binary(value=msgpack.packb(plain, use_bin_type=True), tag=MSGPACK)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _Mismatch(str(error)) from None


def _check_fields(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int, where: str) -> None:
    """Checks what a dataclass decoder would trip over: required and unknown fields, values of another kind.

    Whole numbers are taken for floats, as its decoders take them, and stay as they were given.
    """
    if depth > MAX_DEPTH:
        raise _Mismatch(f"nested deeper than {MAX_DEPTH}")
    schema = _deref(schema, root)
    if isinstance(value, Mapping):
        fields = schema.get("properties") or {}
        _check_names(value, schema, fields, where)
        other = schema.get("additionalProperties")
        for key, item in value.items():
            inner = fields.get(key) or (other if isinstance(other, Mapping) else {})
            _check_fields(item, inner, root, depth + 1, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list):
        items = schema.get("items")
        for i, item in enumerate(value):
            _check_fields(item, items if isinstance(items, Mapping) else {}, root, depth + 1, f"{where}[{i}]")
    elif not isinstance(value, (bytes, msgpack.Timestamp)):  # which a schema has no type for
        _check_plain(value, schema.get("type"), where)


def _check_names(value: Mapping[Any, Any], schema: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> None:
    missing = [field for field in schema.get("required", []) if field not in value]
    if missing:
        raise _Mismatch(f"{where or 'the object'} lacks {', '.join(missing)}")
    if fields and schema.get("additionalProperties") is False:
        unknown = sorted(str(key) for key in value if key not in fields)
        if unknown:
            raise _Mismatch(f"{where or 'the object'} has no field {', '.join(unknown)}; it has {', '.join(fields)}")


def _check_plain(value: Any, expected: Any, where: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if expected == "integer" and not (number and (isinstance(value, int) or value.is_integer())):
        raise _Mismatch(f"{where} expects an integer, {_given(value)}")
    if expected == "string" and not isinstance(value, str):
        raise _Mismatch(f"{where} expects a string, {_given(value)}")
    if expected == "boolean" and not isinstance(value, bool):
        raise _Mismatch(f"{where} expects true or false, {_given(value)}")
    if expected == "number" and not number:
        raise _Mismatch(f"{where} expects a number, {_given(value)}")


def _deref(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    path = schema.get("$ref")
    if not isinstance(path, str) or not path.startswith("#/"):
        return schema
    found: Any = root
    for part in path[2:].split("/"):
        found = found.get(part, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}
