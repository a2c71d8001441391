"""What a structure may hold and JSON has no word for, as the API spells it (docs/reference/values.md)."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MARKS = frozenset({"$float", "$base64", "$datetime", "$entries", "$object"})
_NANOS = re.compile(r"(\.\d{6})\d+")


def float_word(value: float) -> str:
    """What a number that JSON does not have is called; empty for all others."""
    if math.isnan(value):
        return "NaN"
    return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else ""


def moment(text: str) -> datetime:
    """A datetime of the API; Python keeps microseconds, protobuf nanoseconds. Raises ValueError."""
    return datetime.fromisoformat(_NANOS.sub(r"\1", text).replace("Z", "+00:00"))


def spell(value: Any) -> Any:
    """For JSON: what it has no word for inside dicts and lists becomes an object that stands for it."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return {"$entries": [[spell(key), spell(item)] for key, item in value.items()]}
        spelled = {key: spell(item) for key, item in value.items()}
        return {"$object": spelled} if _stands_for_something(spelled) else spelled
    if isinstance(value, (list, tuple)):
        return [spell(item) for item in value]
    if isinstance(value, float) and float_word(value):
        return {"$float": float_word(value)}
    if isinstance(value, bytes):
        return {"$base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return {"$datetime": aware.isoformat()}
    return value


def unspell(value: Any) -> Any:
    """The other way round."""
    if isinstance(value, list):
        return [unspell(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if not _stands_for_something(value):
        return {key: unspell(item) for key, item in value.items()}
    mark, spelled = next(iter(value.items()))
    if mark == "$float":
        return _FLOATS[spelled]
    if mark == "$base64":
        return base64.b64decode(spelled)
    if mark == "$datetime":
        return moment(spelled)
    if mark == "$entries":
        return {_key(unspell(key)): unspell(item) for key, item in spelled}
    return {key: unspell(item) for key, item in spelled.items()}


def _key(value: Any) -> Any:
    return tuple(map(_key, value)) if isinstance(value, list) else value


def _stands_for_something(value: Any) -> bool:
    if not isinstance(value, Mapping) or len(value) != 1 or not _MARKS.issuperset(value):
        return False
    mark, spelled = next(iter(value.items()))
    try:
        if mark == "$float":
            return spelled in _FLOATS
        if mark == "$base64":
            return base64.b64decode(spelled, validate=True) is not None
        if mark == "$datetime":
            return bool(moment(spelled))
        if mark == "$entries":
            return isinstance(spelled, list) and all(map(_is_entry, spelled))
    except (TypeError, ValueError, binascii.Error):
        return False
    return _stands_for_something(spelled)


def _is_entry(entry: Any) -> bool:
    """A key and a value. Raises TypeError for a key that no dict can have."""
    return isinstance(entry, list) and len(entry) == 2 and hash(_key(unspell(entry[0]))) is not None
