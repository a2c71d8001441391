"""Columns as arrays of PostgreSQL's, for statements over many rows at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

_NUL = "PostgreSQL text fields cannot contain NUL (0x00) characters"


def array_of(texts: Iterable[str | None]) -> str:
    """The literal of `text[]` (or `jsonb[]`, of texts that are JSON), to be handed over as one parameter with a cast.

    The driver writes arrays too, but escapes every quote and backslash by a replacement in Python: JSON is full of
    them, and that took a third of the time of taking in events. Here those of a column are escaped all at once.
    ValueError for a NUL character, which stands between them meanwhile: no text of PostgreSQL's holds one.
    """
    all_of_them = list(texts)
    if len(all_of_them) == 1:
        return _array_of_one(all_of_them[0])
    present = [text for text in all_of_them if text is not None]
    joined = "\0".join(present)
    if joined.count("\0") != max(len(present) - 1, 0):
        raise ValueError(_NUL)
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"')
    if len(present) == len(all_of_them):
        return '{"' + escaped.replace("\0", '","') + '"}' if present else "{}"
    quoted = (f'"{text}"' for text in escaped.split("\0"))
    return "{" + ",".join("NULL" if text is None else next(quoted) for text in all_of_them) + "}"


def _array_of_one(text: str | None) -> str:
    """A row that is written alone has a column for each of its fields: they are put together in a third of the time."""
    if not text:
        return "{NULL}" if text is None else '{""}'
    if "\0" in text:
        raise ValueError(_NUL)
    return '{"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"}'


def column_of(values: Iterable[object]) -> str:
    """As `array_of`, of what PostgreSQL reads from its text too: numbers, truth values, times, UUIDs and bytes.
    TypeError for anything else.
    """
    return array_of(map(_text, values))


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))  # of a member of an enumeration, its number
    if isinstance(value, (bool, float, Decimal, UUID)):
        return str(value)
    raise TypeError(f"PostgreSQL is not told of a {type(value).__name__} here")
