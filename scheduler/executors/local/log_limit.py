"""The limit of a log's size: the beginning and the end of a longer one are kept, and it says what is left out.

The process writes its log itself, and must neither be stopped nor slowed down for it: so the file is cut while it is
written. It is open for appending, here as there; what comes between two steps here lands at the end.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from pathlib import Path
from typing import BinaryIO, cast

MARK = re.compile(rb"\n\[Causeway left out (\d+) bytes here: [^\n]*\]\n")
CUT_MARK = "\n[Causeway left out {} bytes here: a log may have {} bytes (CAUSEWAY_MAX_LOG_BYTES)]\n"
LAST_LINE = "\n[Causeway left out {} bytes of this log, further up: it may have {} bytes (CAUSEWAY_MAX_LOG_BYTES)]\n"
MARK_BYTES = 200


class LogLimit:
    """Thread-safe. `limit` in bytes. Half of it is the beginning, which stays; a quarter is kept of the end."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.limit = path, limit
        self._closed = False
        self._lock = threading.Lock()

    def exceeded(self) -> bool:
        return self._size() > self.limit

    def _size(self) -> int:
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0

    def cut(self) -> bool:
        """Leave out the middle of a log that is too long; whether it was. Raises OSError."""
        with self._lock:
            return not self._closed and self.exceeded() and self._cut()

    def close(self) -> None:
        """When nothing more is written to it: the last line says how much is missing. Raises OSError."""
        with self._lock:
            if self._closed:
                return
            if self.exceeded():
                self._cut()
            if missing := self._left_out():
                with open_regular(self.path, os.O_WRONLY | os.O_APPEND) as log:
                    log.write(LAST_LINE.format(missing, self.limit).encode())
            self._closed = True

    def _left_out(self) -> int:
        """Earlier, as the mark in the log says; an executor before this one may have put it there."""
        if self._size() <= self.limit // 2:
            return 0
        try:
            with open_regular(self.path, os.O_RDONLY) as log:
                log.seek(self.limit // 2)
                mark = MARK.match(log.read(MARK_BYTES))
        except FileNotFoundError:
            return 0
        return int(mark[1]) if mark else 0

    def _cut(self) -> bool:
        head, earlier = self.limit // 2, self._left_out()
        appending = open_regular(self.path, os.O_WRONLY | os.O_APPEND)
        with appending as end, open_regular(self.path, os.O_RDWR) as log:
            size = os.fstat(log.fileno()).st_size
            log.seek(max(head, size - self.limit // 4))
            kept = log.read()
            partial, newline, whole = kept.partition(b"\n")
            kept = whole if newline and len(partial) < self.limit // 8 else kept
            mark = len(CUT_MARK.format(earlier, self.limit).encode()) if earlier else 0
            missing = earlier + size - head - mark - len(kept)
            log.truncate(head)
            end.write(CUT_MARK.format(missing, self.limit).encode() + kept)
        return True


def open_regular(path: Path, flags: int) -> BinaryIO:
    """The file itself, unbuffered where it is written: a task that puts a link in its log's place changes nothing of
    what the link leads to. Raises OSError.
    """
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(fd)
        raise OSError(errno.EINVAL, "the log is no file of its own", str(path))
    mode = {os.O_RDONLY: "rb", os.O_RDWR: "r+b"}.get(flags, "ab")
    return cast(BinaryIO, os.fdopen(fd, mode, buffering=0))
