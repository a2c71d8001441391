"""An attempt's log on its way to a store on other machines, where every write is a whole object."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from artifacts.store import ObjectStore
from scheduler.executors.local.log_limit import open_regular

SMALL = 1 << 20  # bytes; a larger log is sent again only when it has grown by a tenth


class SentLog:
    """Thread-safe. What is sent while the log grows never replaces what was sent at its end."""

    def __init__(self, path: Path, uri: str, store: ObjectStore) -> None:
        self.path, self.uri, self.store = path, uri, store
        self._sent = 0  # bytes
        self._ended = False
        self._lock = threading.Lock()

    def send_grown(self) -> None:
        """So that it can be read meanwhile. Does nothing while somebody else is sending it."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            size = self._size()
            worthwhile = self._sent if size < SMALL else self._sent + self._sent // 10
            if not self._ended and size > worthwhile:
                self._put()
                self._sent = size
        finally:
            self._lock.release()

    def shrunk(self) -> None:
        """Its middle was left out: that it has less than what was sent does not mean that there is nothing new."""
        with self._lock:
            self._sent = 0

    def send_whole(self) -> None:
        """When nothing is written to it any more."""
        with self._lock:
            self._ended = True
            if self._size() or self.path.is_file():
                self._put()

    def _size(self) -> int:
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0

    def _put(self) -> None:
        """The log itself: what a link leads to that a task put in its place is not sent. Raises OSError."""
        with open_regular(self.path, os.O_RDONLY) as log:
            self.store.put_stream(self.uri, log)
