"""Logs of attempts, read in parts, also while they are written."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from artifacts.exceptions import NotFound
from artifacts.store import store

DEFAULT_BYTES = 256 * 1024
MAX_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class LogPart:
    data: bytes
    next_offset: int  # where the following part begins, in bytes
    size: int  # of the whole log so far, in bytes


def read_log(uri: str, *, offset: int = 0, limit: int = DEFAULT_BYTES, tail: int | None = None) -> LogPart:
    """At most `limit` bytes from `offset`, or with `tail` the last lines. A log that does not exist yet is empty."""
    stream: BinaryIO
    try:
        stream = store().open(uri) if uri else io.BytesIO()
    except NotFound:
        stream = io.BytesIO()
    with stream:
        size = stream.seek(0, io.SEEK_END) if stream.seekable() else store().size(uri)
        if tail is not None:
            offset = max(0, size - limit)
        offset = min(offset, size)
        _skip(stream, offset)
        data = stream.read(limit)
    if tail is not None:
        data = b"".join(data.splitlines(keepends=True)[-tail:])
        return LogPart(data, size, size)
    return LogPart(data, offset + len(data), size)


def _skip(stream: BinaryIO, offset: int) -> None:
    """Go to a byte of the stream; what cannot seek (S3) is read up to there, without being kept."""
    if stream.seekable():
        stream.seek(offset)
        return
    while offset > 0 and (passed := len(stream.read(min(offset, MAX_BYTES)))):
        offset -= passed
