"""What a structure may hold and JSON has no word for, spelled so that it reads back: docs/reference/values.md.

An object of one member whose name begins with `$` stands for such a value. A real object that looks like one of them
is wrapped into `{"$object": ...}`; every other object means itself.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import msgpack

from artifacts.literals.times import format_timestamp, parse_timestamp

FLOAT, BYTES, DATETIME, ENTRIES, OBJECT, WHOLE = "$float", "$base64", "$datetime", "$entries", "$object", "$msgpack"
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def number_word(value: float) -> str:
    """What a number that JSON does not have is called; empty for all others."""
    if math.isnan(value):
        return "NaN"
    return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else ""


def is_number(value: Any) -> bool:
    """Whether this is how a number is spelled that JSON does not have."""
    return _is_special(value) and FLOAT in value


def spell(value: Any) -> Any:
    """What MessagePack holds, as JSON. Raises ValueError for its extension types, which have no spelling."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return {ENTRIES: [[spell(key), spell(item)] for key, item in value.items()]}
        spelled = {key: spell(item) for key, item in value.items()}
        return {OBJECT: spelled} if _is_special(spelled) else spelled
    if isinstance(value, (list, tuple)) and not isinstance(value, msgpack.ExtType):
        return [spell(item) for item in value]
    if isinstance(value, float):
        return {FLOAT: word} if (word := number_word(value)) else value
    if isinstance(value, bytes):
        return {BYTES: base64.b64encode(value).decode()}
    if isinstance(value, msgpack.Timestamp):
        return {DATETIME: format_timestamp(value.seconds, value.nanoseconds)}
    if value is None or isinstance(value, (str, int)):
        return value
    raise ValueError(f"MessagePack's {type(value).__name__} has no spelling")


def unspell(value: Any) -> Any:
    """The other way round, for what anybody may have sent: whatever is not a spelling means itself."""
    if isinstance(value, Mapping):
        if not _is_special(value):
            return {key: unspell(item) for key, item in value.items()}
        name, spelled = next(iter(value.items()))
        if name == FLOAT:
            return _FLOATS[spelled]
        if name == BYTES:
            return base64.b64decode(spelled)
        if name == DATETIME:
            return msgpack.Timestamp(*parse_timestamp(spelled))
        if name == ENTRIES:
            return {_hashable(unspell(key)): unspell(item) for key, item in spelled}
        return {key: unspell(item) for key, item in spelled.items()}
    return [unspell(item) for item in value] if isinstance(value, list) else value


def _hashable(key: Any) -> Any:
    return tuple(_hashable(item) for item in key) if isinstance(key, list) else key


def _is_special(value: Any) -> bool:
    """Whether the object stands for something else than itself."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    name, spelled = next(iter(value.items()))
    if name == FLOAT:
        return isinstance(spelled, str) and spelled in _FLOATS
    if name == BYTES:
        return whole_bytes(spelled) is not None
    if name == DATETIME:
        return _is_datetime(spelled)
    if name == ENTRIES:
        return isinstance(spelled, list) and all(_is_entry(entry) for entry in spelled)
    return name == OBJECT and _is_special(spelled)


def whole_bytes(text: Any) -> bytes | None:
    """What base64 text says; None for what is no such text."""
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_datetime(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(parse_timestamp(text))
    except ValueError:
        return False


def _is_entry(entry: Any) -> bool:
    """A key and a value; the key must be one that Python can look up."""
    if not isinstance(entry, list) or len(entry) != 2:
        return False
    try:
        hash(_hashable(unspell(entry[0])))
    except TypeError:
        return False
    return True
