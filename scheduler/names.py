"""What anything that is registered may be called, so that every door can reach it."""

from __future__ import annotations

import re

MAX_NAME = 255  # characters of names, versions, nodes and signals

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def problem_with(text: str, limit: int = MAX_NAME) -> str:
    """Why a text cannot be a name, to follow the word for what it names; empty when it can."""
    if len(text) > limit:
        return f"cannot exceed {limit} characters"
    if _CONTROL.search(text):
        return f"{text!r} contains a control character"
    if text in (".", ".."):
        return f"{text!r} could not be reached: in an address it means a folder"
    return ""
