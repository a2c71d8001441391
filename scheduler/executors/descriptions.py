"""Frozen dataclasses of defaults, filled from what an operator wrote in YAML or JSON. Says what is not understood."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

MAY_BE_NONE = frozenset({"host_network"})  # booleans whose default is "nothing said"


class BadDescription(ValueError):
    """The message says what is wrong with the description, and what is allowed."""


def made(kind: type[Any], given: Mapping[str, Any], what: str, parts: Mapping[str, type[Any]] | None = None) -> Any:
    """An instance of the dataclass `kind`; `what` it is in messages; `parts`: fields that are dataclasses themselves.
    Raises BadDescription for an unknown name, and for a value that has not the form of the default.
    """
    known = {one.name: one for one in fields(kind)}
    if unknown := sorted(set(given) - set(known)):
        raise BadDescription(f"{what} has no setting {unknown[0]!r}; there are {', '.join(sorted(known))}")
    parts = parts or {}
    return kind(
        **{
            name: made(parts[name], mapping(value, name), name)
            if name in parts
            else as_default(name, value, getattr(kind(), name))
            for name, value in given.items()
        }
    )


def as_default(name: str, value: Any, default: Any) -> Any:
    """The value in the form of the default beside it. Raises BadDescription."""
    if isinstance(default, tuple):
        if not isinstance(value, list):
            raise BadDescription(f"{name} has to be a list")
        return tuple(value)
    if isinstance(default, Mapping):
        found = mapping(value, name)
        return {key: tuple(one) if isinstance(one, list) else one for key, one in found.items()}
    if isinstance(default, bool) or name in MAY_BE_NONE:
        if not isinstance(value, bool):
            raise BadDescription(f"{name} has to be true or false")
    elif isinstance(default, (int, float)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise BadDescription(f"{name} has to be a number, zero or more")
    elif isinstance(default, str) and not isinstance(value, str):
        raise BadDescription(f"{name} has to be a text")
    return value


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Raises BadDescription."""
    if not isinstance(value, Mapping):
        raise BadDescription(f"{name} has to be a mapping, got {json.dumps(value)[:80]}")
    return value
