"""Measures as people read them."""

from __future__ import annotations

from typing import Any

from artifacts.measures import Delta


def spell(value: Any) -> str:
    """A number as people read it: whole ones and large ones without a fraction, others with five significant digits."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return str(value)
    if 1e5 <= abs(value) < 1e15 or (abs(value) < 1e15 and value == int(value)):
        return f"{value:,.0f}"
    return f"{value:,.5g}"


def spell_delta(delta: Delta) -> str:
    """`+0.02 (+2.1 %)`; empty where there is nothing to hold it against."""
    if delta.difference is None:
        return ""
    if not delta.difference:
        return "the same"
    sign = "+" if delta.difference > 0 else "−"
    share = "" if delta.share is None else f" ({sign}{abs(delta.share) * 100:,.3g} %)"
    return f"{sign}{spell(abs(delta.difference))}{share}"
