"""Whether a value of one type may be bound to a variable of another: the rules of Flyte's compiler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flyteidl.core import types_pb2
from google.protobuf import struct_pb2

from artifacts.literals.protobuf import message_dict
from artifacts.literals.types import is_none

_SchemaColumn = types_pb2.SchemaType.SchemaColumn
_COLUMN_TYPES = {
    _SchemaColumn.INTEGER: types_pb2.INTEGER,
    _SchemaColumn.FLOAT: types_pb2.FLOAT,
    _SchemaColumn.STRING: types_pb2.STRING,
    _SchemaColumn.BOOLEAN: types_pb2.BOOLEAN,
    _SchemaColumn.DATETIME: types_pb2.DATETIME,
    _SchemaColumn.DURATION: types_pb2.DURATION,
}


def is_castable(from_type: types_pb2.LiteralType, to_type: types_pb2.LiteralType) -> bool:
    """Whether a variable of `to_type` takes a value of `from_type`."""
    variants = from_type.union_type.variants
    if len(variants) == 1 and _casts(variants[0], to_type):
        return True
    return _casts(from_type, to_type)


def _casts(source: types_pb2.LiteralType, target: types_pb2.LiteralType) -> bool:
    which = target.WhichOneof("type")
    if which == "collection_type":
        return _items_cast(source, target, "collection_type")
    if which == "map_value_type":
        return _items_cast(source, target, "map_value_type")
    if which == "blob":
        formats = source.blob.format, target.blob.format
        return source.WhichOneof("type") == "blob" and ("" in formats or formats[0] == formats[1])
    if which == "union_type":
        return _casts_to_union(source, target)
    if which == "schema":
        return _casts_to_schema(source, target.schema)
    if which == "structured_dataset_type":
        return _casts_to_dataset(source, target.structured_dataset_type)
    if is_none(target):
        return is_none(source)
    return _same(source, target)


def _items_cast(source: types_pb2.LiteralType, target: types_pb2.LiteralType, field: str) -> bool:
    if source.WhichOneof("type") != field:
        return False
    item = getattr(source, field)
    # An empty collection is a collection of none, and fits every collection.
    return is_none(item) or _casts(item, getattr(target, field))


def _casts_to_union(source: types_pb2.LiteralType, target: types_pb2.LiteralType) -> bool:
    variants = target.union_type.variants
    if source.WhichOneof("type") == "union_type":
        return all(any(is_castable(one, variant) for variant in variants) for one in source.union_type.variants)
    # A plain value must select exactly one variant, else nobody knows how to read it.
    return sum(is_castable(source, variant) for variant in variants) == 1


def _casts_to_schema(source: types_pb2.LiteralType, target: types_pb2.SchemaType) -> bool:
    which = source.WhichOneof("type")
    if which == "schema":
        have = {column.name: column.type for column in source.schema.columns}
        return not have or all(have.get(column.name) == column.type for column in target.columns)
    if which == "structured_dataset_type":
        dataset = source.structured_dataset_type
        if dataset.format and dataset.format.lower() != "parquet":  # a schema is always parquet
            return False
        types = {column.name: column.literal_type.simple for column in dataset.columns}
        return not types or all(types.get(column.name) == _COLUMN_TYPES[column.type] for column in target.columns)
    return False


def _casts_to_dataset(source: types_pb2.LiteralType, target: types_pb2.StructuredDatasetType) -> bool:
    which = source.WhichOneof("type")
    if is_none(source):
        return True
    if which == "schema":
        if target.format and target.format.lower() != "parquet":
            return False
        kinds = {column.name: _COLUMN_TYPES[column.type] for column in source.schema.columns}
        return not kinds or all(kinds.get(column.name) == column.literal_type.simple for column in target.columns)
    if which == "structured_dataset_type":
        dataset = source.structured_dataset_type
        if dataset.format and target.format and dataset.format.lower() != target.format.lower():
            return False
        types = {column.name: column.literal_type for column in dataset.columns}
        return not types or all(
            column.name in types and _casts(types[column.name], column.literal_type) for column in target.columns
        )
    return False


def _same(source: types_pb2.LiteralType, target: types_pb2.LiteralType) -> bool:
    source_kind, target_kind = source.WhichOneof("type"), target.WhichOneof("type")
    if source_kind == "enum_type" and target_kind == "simple" and target.simple == types_pb2.STRING:
        return True  # an enum is a string with few values
    if target_kind == "enum_type" and source_kind == "simple" and source.simple == types_pb2.STRING:
        return True
    if source.structure.tag and source.structure.tag != target.structure.tag:
        return False
    if source_kind != target_kind:
        return False
    if source_kind == "simple":
        if source.simple != target.simple:
            return False
        if source.simple == types_pb2.STRUCT and source.HasField("metadata") and target.HasField("metadata"):
            return _schema_covers(source.metadata, target.metadata)
        return True
    return source_kind == "enum_type" and source.enum_type == target.enum_type


def _schema_covers(source: struct_pb2.Struct, target: struct_pb2.Struct) -> bool:
    """The JSON schema of `source` is that of `target`, or describes everything `target` needs (a subclass does)."""
    if source == target:
        return True
    have, want = message_dict(source), message_dict(target)
    return _covers(have, want, have, want, frozenset())


Schema = Mapping[str, Any]


def _deref(schema: Schema, root: Schema) -> Schema:
    path = schema.get("$ref")
    if not isinstance(path, str) or not path.startswith("#/"):
        return schema
    found: Any = root
    for part in path[2:].split("/"):
        found = found.get(part, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _covers(have: Schema, want: Schema, have_root: Schema, want_root: Schema, open_pairs: frozenset[Any]) -> bool:
    refs = have.get("$ref"), want.get("$ref")
    if refs in open_pairs:
        return True  # a recursive type: being compared further up
    if any(refs):
        open_pairs |= {refs}
    have, want = _deref(have, have_root), _deref(want, want_root)
    if "type" in have and "type" in want and have["type"] != want["type"]:
        return False
    if have.get("enum") != want.get("enum"):
        return False

    def covers(one: object, other: object) -> bool:
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            return _covers(one, other, have_root, want_root, open_pairs)
        return True

    have_options, want_options = have.get("anyOf"), want.get("anyOf")
    if isinstance(have_options, list) and isinstance(want_options, list):
        return all(any(covers(one, other) for other in want_options) for one in have_options)
    if not covers(have.get("items"), want.get("items")):
        return False
    if not covers(have.get("additionalProperties"), want.get("additionalProperties")):
        return False
    have_fields, want_fields = have.get("properties", {}), want.get("properties", {})
    return all(name in have_fields and covers(have_fields[name], field) for name, field in want_fields.items())
