"""JSON as it is meant: a name that an object says twice would lose one of its values without a word."""

from __future__ import annotations

from collections import Counter
from typing import Any


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads(..., object_pairs_hook=once_each)`. Raises ValueError where a name stands twice in one object."""
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f'"{twice}" is named twice in one object')
    return found
