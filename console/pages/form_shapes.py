"""What a value of a type is made of, for a form that shows its parts as fields: from Flyte's types and JSON schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flyteidl.core import types_pb2

from artifacts.literals.decode import struct_to_python, whole_numbers
from artifacts.literals.types import SIMPLE_NAMES, is_none

DEEP = 8  # levels; what is nested deeper is typed as JSON
PARTS = 1_000  # of one schema, so are those after them: types that hold one another have as many as one looks for
Shape = dict[str, Any]
ANY: Shape = {"kind": "json"}
_SIMPLE = ("int", "float", "str", "bool", "datetime", "duration")
_JSON_TYPES = {"integer": "int", "number": "float", "string": "str", "boolean": "bool"}


def shape_of(literal_type: types_pb2.LiteralType, *, depth: int = DEEP) -> Shape:
    """`kind` int, float, str, bool, datetime, duration, enum (`values`), list and map (`item`), union (`variants`),
    object (`fields`: name, shape, required, help, default as JSON text), none, or json: whatever is typed as such.
    """
    which = literal_type.WhichOneof("type")
    if depth <= 0:
        return ANY
    if which == "enum_type":
        return {"kind": "enum", "values": list(literal_type.enum_type.values)}
    if which == "collection_type":
        return {"kind": "list", "item": shape_of(literal_type.collection_type, depth=depth - 1)}
    if which == "map_value_type":
        return {"kind": "map", "item": shape_of(literal_type.map_value_type, depth=depth - 1)}
    if which == "union_type":
        variants = [shape_of(one, depth=depth - 1) for one in literal_type.union_type.variants]
        return {"kind": "union", "variants": variants}
    if which != "simple":
        return ANY
    if is_none(literal_type):
        return {"kind": "none"}
    if literal_type.simple == types_pb2.STRUCT:
        schema = struct_to_python(literal_type.metadata)
        return _of_schema(schema, _Whole(schema, iter(range(PARTS))), depth) if schema else ANY
    name = SIMPLE_NAMES.get(literal_type.simple, "")
    return {"kind": name} if name in _SIMPLE else ANY


class _Whole(NamedTuple):
    """The schema that references lead into; `left`: a number for each part that may still be shown."""

    root: Mapping[str, Any]
    left: Iterator[int]


def _of_schema(schema: Mapping[str, Any], whole: _Whole, depth: int) -> Shape:
    """Of JSON schema as mashumaro (dataclasses) and pydantic write it."""
    if depth <= 0 or next(whole.left, None) is None:
        return ANY
    schema = _resolved(schema, whole.root)
    if not isinstance(schema, Mapping):
        return ANY
    if isinstance(schema.get("enum"), list) and all(isinstance(value, str) for value in schema["enum"]):
        return {"kind": "enum", "values": schema["enum"]}
    choices = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(choices, list):
        return {"kind": "union", "variants": [_of_schema(one, whole, depth - 1) for one in choices]}
    kind = schema.get("type")
    if isinstance(kind, list):
        variants = [_of_schema({**schema, "type": one}, whole, depth - 1) for one in kind]
        return {"kind": "union", "variants": variants}
    if kind == "null":
        return {"kind": "none"}
    if kind == "array":
        return {"kind": "list", "item": _of_schema(schema.get("items") or {}, whole, depth - 1)}
    if kind == "object":
        return _of_object(schema, whole, depth)
    if kind == "string" and schema.get("format") == "date-time":
        return {"kind": "datetime"}
    return {"kind": _JSON_TYPES[kind]} if isinstance(kind, str) and kind in _JSON_TYPES else ANY


def _of_object(schema: Mapping[str, Any], whole: _Whole, depth: int) -> Shape:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        inside = schema.get("additionalProperties")
        return {"kind": "map", "item": _of_schema(inside, whole, depth - 1)} if isinstance(inside, Mapping) else ANY
    required = schema.get("required")
    required = required if isinstance(required, list) else []
    fields = []
    for name, one in properties.items():
        field: Shape = {"name": name, "shape": _of_schema(one, whole, depth - 1), "required": name in required}
        if isinstance(one, Mapping):
            field["help"] = str(one.get("description") or "")[:500]
            if "default" in one:
                field["default"] = json.dumps(whole_numbers(one["default"]))
        fields.append(field)
    return {"kind": "object", "title": str(schema.get("title") or "")[:200], "fields": fields}


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    """What `#/definitions/Point` and `#/$defs/Point` lead to; a reference that leads round is given up."""
    for _ in range(DEEP):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return schema
        found: Any = root
        for part in reference[2:].split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        schema = found
    return None


def skeleton(shape: Shape, *, depth: int = 4) -> Any:
    """A value of that shape to be filled in: what a form without scripts shows as an example."""
    kind = shape["kind"]
    if kind == "object":
        return {one["name"]: skeleton(one["shape"], depth=depth - 1) for one in shape["fields"]} if depth > 0 else {}
    if kind in ("list", "map"):
        return [] if kind == "list" else {}
    if kind == "union":
        return skeleton(next((one for one in shape["variants"] if one["kind"] != "none"), ANY), depth=depth)
    if kind == "enum":
        return next(iter(shape["values"]), "")
    return {"int": 0, "float": 0.0, "bool": False, "str": "", "none": None}.get(kind)


def is_structured(shape: Shape) -> bool:
    """Whether it has parts that a form can show."""
    return shape["kind"] in ("object", "list", "map")
