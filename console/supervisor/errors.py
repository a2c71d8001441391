"""The one error `script/up` turns into one line."""

from __future__ import annotations


class CannotStart(Exception):
    """Why Causeway cannot start, in one line that says what to do about it."""
