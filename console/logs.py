"""Logs of attempts, read in parts, also while they are written."""

from __future__ import annotations

from dataclasses import dataclass

from artifacts.exceptions import NotFound
from artifacts.store import store

DEFAULT_BYTES = 256 * 1024
MAX_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class LogPart:
    data: bytes
    next_offset: int  # where the following part begins, in bytes
    size: int  # of the whole log so far, in bytes


def read_log(uri: str, *, offset: int | None = 0, limit: int = DEFAULT_BYTES, tail: int | None = None) -> LogPart:
    """At most `limit` bytes from `offset` (None: the end of the log), or with `tail` the last lines.

    A log that does not exist yet is empty.
    """
    size = _size(uri)
    if tail is not None or offset is None:
        offset = max(0, size - limit)
    offset = min(offset, size)
    data = b""
    if offset < size:
        with store().open_at(uri, offset) as stream:
            data = stream.read(limit)
    if tail is not None:
        data = b"".join(data.splitlines(keepends=True)[-tail:])
        return LogPart(data, size, size)
    return LogPart(data, offset + len(data), size)


def _size(uri: str) -> int:
    try:
        return store().size(uri) if uri else 0
    except NotFound:
        return 0
