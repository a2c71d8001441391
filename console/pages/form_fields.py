"""What is typed into plain fields of forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from artifacts.exceptions import InvalidArgument


def texts(form: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(form.get(name, "")).strip() for name in names}


def number(form: Mapping[str, Any], name: str) -> float:
    """InvalidArgument for what is no number, or one that is out of all range."""
    text = str(form.get(name, "")).strip()
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not abs(found) < 1e9:
        raise InvalidArgument(f"{name}: {text!r} is no number")
    return found
