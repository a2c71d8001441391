"""Values in forms: what a control shows of a literal, and what a browser sends back of that.

Nothing that a form shows may come back as something else. So a control that comes back as it was shown means the
literal it showed, whatever its text looks like: the server still has that literal, and asks the client for nothing but
whether it was touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flyteidl.core import literals_pb2, types_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals import describe_type, from_text, is_optional, name_of_variant, text_of, union_of
from artifacts.literals.types import is_none

ANY = ""  # of the variants: the one that the text looks like
_LINE_END = re.compile(r"\r\n|\r")


@dataclass(frozen=True)
class Typed:
    """What a control holds: a text, and for a union the number of its variant."""

    text: str
    variant: str = ANY


@dataclass(frozen=True)
class Variant:
    number: str
    name: str


def as_typed(text: str) -> str:
    """A text as it was typed. Browsers send every line end as CRLF (HTML, "constructing the entry list")."""
    return _LINE_END.sub("\n", text)


def form_text(data: Mapping[str, str], name: str) -> str:
    """A text of a form without blanks around it: for remarks, not for values."""
    return as_typed(data.get(name, "")).strip()


def shown(literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType) -> Typed:
    """What a form shows of the literal, as a browser gives it back: HTML has no NUL, and one kind of line end."""
    text = as_typed(text_of(literal, literal_type)).replace("\x00", "\ufffd")
    if not variants_of(literal_type) or not literal.scalar.HasField("union"):
        return Typed(text)
    variants = list(literal_type.union_type.variants)
    own = literal.scalar.union.type
    if is_none(own) or own not in variants:  # None is shown as nothing, for somebody to type something else
        return Typed(text)
    return Typed(text, str(variants.index(own)))


def read_control(data: Mapping[str, str], name: str) -> Typed | None:
    """What came back of the control, or None if the form did not have it. Its variant is called `<name>.as`."""
    text = data.get(name)
    return None if text is None else Typed(as_typed(text), data.get(f"{name}.as", ANY))


def is_untouched(sent: Typed, before: Typed, data: Mapping[str, str], name: str) -> bool:
    """Whether a control came back as it was shown. Clients that know no variants send the text alone."""
    return sent == before or (sent.text == before.text and f"{name}.as" not in data)


def variants_of(literal_type: types_pb2.LiteralType) -> tuple[Variant, ...]:
    """What somebody may choose from, where the text of a union does not always tell its variant."""
    variants = list(literal_type.union_type.variants)
    values = [variant for variant in variants if not is_none(variant)]
    if len(values) < 2 and not any(takes_any_text(variant) for variant in values):
        return ()
    return tuple(Variant(str(at), name_of_variant(variants, at)) for at in range(len(variants)))


def takes_any_text(literal_type: types_pb2.LiteralType) -> bool:
    return literal_type.WhichOneof("type") == "simple" and literal_type.simple == types_pb2.STRING


def read_typed(typed: Typed, literal_type: types_pb2.LiteralType, *, name: str) -> literals_pb2.Literal:
    """The literal that a control means. InvalidArgument naming the input, its type and what was typed."""
    variants = list(literal_type.union_type.variants)
    if typed.variant == ANY:
        if not typed.text.strip() and is_optional(literal_type) and not variants_of(literal_type):
            return _none_of(variants)
        return from_text(typed.text, literal_type, name=name)
    if typed.variant not in {str(at) for at in range(len(variants))}:
        raise InvalidArgument(f'input "{name}" expects {describe_type(literal_type)}: choose one of these types')
    chosen = variants[int(typed.variant)]
    if not is_none(chosen):
        return union_of(from_text(typed.text, chosen, name=name), chosen)
    if typed.text:
        raise InvalidArgument(f'input "{name}": none has no value: clear the text, or choose another type')
    return _none_of([chosen])


def _none_of(variants: list[types_pb2.LiteralType]) -> literals_pb2.Literal:
    none = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    return union_of(none, next(variant for variant in variants if is_none(variant)))
