"""What every incoming message is looked through for: texts that no column can keep, before any method reads it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from artifacts.exceptions import InvalidArgument

# Characters, as the columns have it, of what names something; versions of artifacts are the longest.
_LONGEST = {
    **dict.fromkeys(("project", "domain", "name", "workflow", "signal_id", "id", "org"), 255),
    "version": 400,
    "node_id": 500,
}
_NAMING = ("Identifier", "Request", "Attributes", "Project", "ArtifactKey", "ArtifactID")
# Values: a task may be given any text. They are kept as bytes, never as a column; there may be millions of them.
_VALUES = frozenset({"flyteidl.core.Literal", "flyteidl.core.Primitive", "google.protobuf.Struct"})


def check_texts(request: Message) -> None:
    """Raises InvalidArgument, naming the field, for a NUL outside of values and for a name that is too long."""
    for path, name, text in _texts(request, ""):
        if "\x00" in text:
            raise InvalidArgument(f"{path} holds a NUL character")
        if len(text) > _LONGEST.get(name, len(text)):
            raise InvalidArgument(f"{path} cannot exceed {_LONGEST[name]} characters, it has {len(text)}")


@cache
def _is_looked_into(kind: Descriptor) -> bool:
    return kind.full_name not in _VALUES


@cache
def _is_naming(kind: Descriptor) -> bool:
    return kind.name.endswith(_NAMING)


def _texts(message: Message, path: str) -> Iterator[tuple[str, str, str]]:
    """Where each text is, the name of its field if it names something, and the text."""
    naming = _is_naming(message.DESCRIPTOR)
    for field, value in message.ListFields():
        here = f"{path}.{field.name}" if path else field.name
        if field.type == FieldDescriptor.TYPE_STRING:
            for text in (value,) if isinstance(value, str) else value:
                yield here, field.name if naming else "", text
        elif (kind := field.message_type) is not None and _is_looked_into(kind):
            yield from _entries(kind, value, here) if kind.GetOptions().map_entry else _messages(value, here)


def _messages(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, Message):
        yield from _texts(value, path)
        return
    for at, item in enumerate(value):
        yield from _texts(item, f"{path}[{at}]")


def _entries(kind: Descriptor, value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """The keys and values of a map."""
    inner = kind.fields_by_name["value"].message_type
    for key, item in value.items():
        if isinstance(key, str):
            yield path, "", key
        if isinstance(item, str):
            yield f"{path}[{key!r:.80}]", "", item
        elif inner is not None and _is_looked_into(inner):
            yield from _texts(item, f"{path}[{key!r:.80}]")
