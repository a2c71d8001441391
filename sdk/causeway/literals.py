"""flytekit's literals, as this package looks into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def inside(literal: Any) -> Iterator[Any]:
    """The literal, and all in its lists, maps and unions."""
    yield literal
    items = [
        *(literal.collection.literals if literal.collection else ()),
        *(literal.map.literals.values() if literal.map else ()),
        *([literal.scalar.union.value] if literal.scalar and literal.scalar.union else ()),
    ]
    for item in items:
        yield from inside(item)
