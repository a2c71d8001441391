"""What a person typed as a literal of a given type: into a form, or after `-i name=` on a command line. And back."""

from __future__ import annotations

import json
from typing import Any

from flyteidl.core import literals_pb2, types_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.json_text import once_each
from artifacts.literals import spelling
from artifacts.literals.decode import to_json
from artifacts.literals.encode import from_json, named_variant, union_of
from artifacts.literals.types import describe_type

_PLAIN = frozenset(
    {types_pb2.INTEGER, types_pb2.FLOAT, types_pb2.BOOLEAN, types_pb2.DATETIME, types_pb2.DURATION, types_pb2.BINARY}
)

_JSON_ONLY = frozenset({types_pb2.INTEGER, types_pb2.FLOAT, types_pb2.BOOLEAN})  # where a text would do as well


def from_text(text: str, literal_type: types_pb2.LiteralType, *, name: str) -> literals_pb2.Literal:
    """The text as the type wants it read, never as it looks: `true` is a text where a text is wanted.

    Texts and enum values are taken as they are; numbers, booleans, times and durations in every way `from_json` knows;
    files, directories and datasets as a URI, or JSON with `uri`; everything else as JSON. Of a union, the variant that
    fits; a text only where no other does. Raises InvalidArgument naming the input, the type and what was given.
    """
    which = literal_type.WhichOneof("type")
    if which == "union_type":
        return _union(text, literal_type, name)
    if which == "enum_type" or literal_type.simple == types_pb2.STRING:
        return from_json(text, literal_type, name=name)
    if which in ("blob", "structured_dataset_type", "schema"):
        return from_json(_reference(text.strip(), literal_type, name), literal_type, name=name)
    if literal_type.simple in _PLAIN and not text.lstrip().startswith(('"', "{")):
        return from_json(text.strip(), literal_type, name=name)
    try:
        return from_json(_loads(text), literal_type, name=name)
    except ValueError as error:
        raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}: not JSON: {error}') from None


def text_of(literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType) -> str:
    """The literal as a person would type it: what `from_text` reads again, of a union with the type of its variant.

    None is nothing at all.
    """
    if literal.scalar.HasField("union"):
        return text_of(literal.scalar.union.value, literal.scalar.union.type)
    value = to_json(literal, literal_type, exact=True)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(_with_bare_numbers(value), ensure_ascii=False)


def _with_bare_numbers(value: Any) -> Any:
    """People write NaN and Infinity as Python prints them; `from_text` reads that."""
    if isinstance(value, dict):
        if spelling.is_number(value):
            return spelling.unspell(value)
        inside = value if set(value) != {spelling.OBJECT} else None
        return {key: _with_bare_numbers(item) for key, item in inside.items()} if inside is not None else value
    return [_with_bare_numbers(item) for item in value] if isinstance(value, list) else value


def _reference(text: str, literal_type: types_pb2.LiteralType, name: str) -> Any:
    if text.startswith("{"):
        try:
            return _loads(text)
        except ValueError as error:
            raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}: not JSON: {error}') from None
    if "://" not in text and not text.startswith("/"):
        raise InvalidArgument(
            f'input "{name}" expects {describe_type(literal_type)}: {text!r} is neither a URI nor an absolute path'
        )
    return text


def _union(text: str, literal_type: types_pb2.LiteralType, name: str) -> literals_pb2.Literal:
    variants = list(literal_type.union_type.variants)
    if (said := _json_object(text)) is not None and named_variant(said, variants) is not None:
        return from_json(said, literal_type, name=name)
    takes_text = any(variant.simple == types_pb2.STRING for variant in variants)
    # `5` of `float | int` is the integer: what is exactly JSON of one variant is meant to be that.
    for strict in (True, False):
        for variant in sorted(variants, key=lambda each: each.simple == types_pb2.STRING):
            if not strict and takes_text and variant.simple in _JSON_ONLY:
                continue  # `007` and `1_000` say more than a number keeps, `0` is not `false`
            try:
                literal = _exactly(text, variant, name) if strict else from_text(text, variant, name=name)
            except InvalidArgument:
                continue
            return union_of(literal, variant)
    raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}: got {text!r}')


def _exactly(text: str, variant: types_pb2.LiteralType, name: str) -> literals_pb2.Literal:
    try:
        value = _loads(text)
    except ValueError:
        raise InvalidArgument("not JSON") from None
    if isinstance(value, str):
        raise InvalidArgument("quotes belong to the text")
    return from_json(value, variant, name=name, strict=True)


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = _loads(text) if text.lstrip().startswith("{") else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _loads(text: str) -> Any:
    """Raises ValueError, also for what is nested too deep to be read, or names something twice."""
    try:
        return json.loads(text, object_pairs_hook=once_each)
    except RecursionError:
        raise ValueError("nested too deep") from None
