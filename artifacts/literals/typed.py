"""What a person typed as a literal of a given type: into a form, or after `-i name=` on a command line."""

from __future__ import annotations

import json
from typing import Any

from flyteidl.core import literals_pb2, types_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals.encode import from_json, union_of
from artifacts.literals.types import describe_type

_PLAIN = frozenset(
    {types_pb2.INTEGER, types_pb2.FLOAT, types_pb2.BOOLEAN, types_pb2.DATETIME, types_pb2.DURATION, types_pb2.BINARY}
)


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
        return from_json(json.loads(text), literal_type, name=name)
    except ValueError as error:
        raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}: not JSON: {error}') from None


def _reference(text: str, literal_type: types_pb2.LiteralType, name: str) -> Any:
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}: not JSON: {error}') from None
    if "://" not in text and not text.startswith("/"):
        raise InvalidArgument(
            f'input "{name}" expects {describe_type(literal_type)}: {text!r} is neither a URI nor an absolute path'
        )
    return text


def _union(text: str, literal_type: types_pb2.LiteralType, name: str) -> literals_pb2.Literal:
    variants = list(literal_type.union_type.variants)
    # `5` of `float | int` is the integer: what is exactly JSON of one variant is meant to be that.
    for strict in (True, False):
        for variant in sorted(variants, key=lambda each: each.simple == types_pb2.STRING):
            try:
                literal = _exactly(text, variant, name) if strict else from_text(text, variant, name=name)
            except InvalidArgument:
                continue
            return union_of(literal, variant)
    raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}: got {text!r}')


def _exactly(text: str, variant: types_pb2.LiteralType, name: str) -> literals_pb2.Literal:
    try:
        value = json.loads(text)
    except ValueError:
        raise InvalidArgument("not JSON") from None
    if isinstance(value, str):
        raise InvalidArgument("quotes belong to the text")
    return from_json(value, variant, name=name, strict=True)
