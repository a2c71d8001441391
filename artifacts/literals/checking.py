"""Does a literal fit a variable? Asked before an execution starts, so that the answer names the input."""

from __future__ import annotations

from flyteidl.core import literals_pb2, types_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals.casting import is_castable
from artifacts.literals.types import describe_type, infer_type


def check_literal(literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType, *, name: str) -> None:
    """Raises InvalidArgument, naming the input and both types, unless a variable of the type takes the literal."""
    inferred = infer_type(literal)
    if inferred is None:
        raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}, got an empty literal')
    if not is_castable(inferred, literal_type) and not _items_fit(literal, literal_type):
        raise InvalidArgument(
            f'input "{name}" has the wrong type: expects {describe_type(literal_type)}, got {describe_type(inferred)}'
        )
    _check_value(literal, literal_type, name)


def _items_fit(literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType) -> bool:
    """Whether each item by itself fits, deep down. An empty map or a list of empty lists looks like another type beside
    items that have something in them, so that no one type can be told of all; Flyte refuses those.
    """
    which, kind = literal.WhichOneof("value"), literal_type.WhichOneof("type")
    if which == "collection" and kind == "collection_type":
        return all(_items_fit(item, literal_type.collection_type) for item in literal.collection.literals)
    if which == "map" and kind == "map_value_type":
        return all(_items_fit(item, literal_type.map_value_type) for item in literal.map.literals.values())
    inferred = infer_type(literal)
    return inferred is not None and is_castable(inferred, literal_type)


def _check_value(literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType, name: str) -> None:
    """What a type alone does not tell: values of an enum, times outside the calendar."""
    which = literal_type.WhichOneof("type")
    value = literal.scalar.union.value if literal.scalar.HasField("union") else literal
    if which == "enum_type" and value.scalar.primitive.string_value not in literal_type.enum_type.values:
        allowed = ", ".join(literal_type.enum_type.values)
        raise InvalidArgument(
            f'input "{name}" expects {describe_type(literal_type)}: '
            f"{value.scalar.primitive.string_value!r} is not one of: {allowed}"
        )
    if which == "simple" and literal_type.simple == types_pb2.DATETIME:
        try:
            value.scalar.primitive.datetime.ToDatetime()
        except (ValueError, OverflowError):
            raise InvalidArgument(f'input "{name}" is not a valid date and time') from None
    if which == "collection_type":
        for item in literal.collection.literals:
            _check_value(item, literal_type.collection_type, name)
    if which == "map_value_type":
        for item in literal.map.literals.values():
            _check_value(item, literal_type.map_value_type, name)
