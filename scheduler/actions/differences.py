"""What differs between two specs of one version, for the message that refuses the second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from artifacts.literals.protobuf import message_dict

SHOWN = 10
MAX_VALUE = 120


def describe_differences(old: Message, new: Message) -> str:
    """One line per place: `template.container.image: "a" -> "b"`."""
    before = message_dict(old, field_names=True)
    after = message_dict(new, field_names=True)
    lines = [f"  {path}: {_show(one)} -> {_show(other)}" for path, one, other in _walk(before, after, "")]
    more = [f"  ... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([*lines[:SHOWN], *more]) or "  (the encoding only)"


_ABSENT = object()


def _show(value: object) -> str:
    text = "nothing" if value is _ABSENT else repr(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."


def _walk(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _walk(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _walk(one, other, f"{path}[{index}]")
    elif old != new:
        yield path, old, new
