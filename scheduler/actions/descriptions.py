"""Descriptions of places that tasks run at, as they come from people: read, and changed in part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from artifacts.exceptions import InvalidArgument

LARGEST = 64 * 1024  # letters of a description


def read(given: object, *, of: str, such_as: str) -> dict[str, Any]:
    """What came as a mapping, or as YAML or JSON. `of` and `such_as` are for messages. InvalidArgument."""
    if isinstance(given, str):
        if len(given) > LARGEST:
            raise InvalidArgument(f"the description of a {of} has at most {LARGEST} letters")
        try:
            given = yaml.safe_load(given) if given.strip() else {}
        except (yaml.YAMLError, RecursionError) as error:
            line = getattr(getattr(error, "problem_mark", None), "line", None)
            where = f", line {line + 1}" if line is not None else ""
            raise InvalidArgument(f"the description of the {of} is no YAML{where}") from None
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"the description of a {of} has to be a mapping, such as `{such_as}`")
    return dict(given)


def merged(before: object, patch: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396): None takes a setting away."""
    found = dict(before) if isinstance(before, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, Mapping):
            found[name] = merged(found.get(name), value)
        else:
            found[name] = value
    return found


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of the settings that differ."""
    return [key for key in sorted({*after, *before}) if after.get(key) != before.get(key)]
