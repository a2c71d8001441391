"""Error messages of user code as they can be kept: of bounded length, without what PostgreSQL cannot hold."""

from __future__ import annotations

HEAD, TAIL = 8_000, 24_000  # characters kept of a longer message: what it is about, and where it ended


def bounded(message: str) -> str:
    """The message without NUL and half surrogates, its middle left out if it is long."""
    message = message.replace("\0", "\\0").encode(errors="backslashreplace").decode()
    if len(message) <= HEAD + TAIL:
        return message
    left_out = len(message) - HEAD - TAIL
    return f"{message[:HEAD]}\n... {left_out} characters are left out; the log has all ...\n{message[-TAIL:]}"
