"""Columns of text as arrays of PostgreSQL's, for statements over many rows at once."""

from __future__ import annotations

from collections.abc import Iterable


def array_of(texts: Iterable[str | None]) -> str:
    """The literal of `text[]` (or `jsonb[]`, of texts that are JSON), to be handed over as one parameter with a cast.

    The driver writes arrays too, but escapes every quote and backslash by a replacement in Python: JSON is full of
    them, and that took a third of the time of taking in events.
    """
    quoted = ("NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(quoted) + "}"
