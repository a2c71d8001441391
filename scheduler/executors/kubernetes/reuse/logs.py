"""The log of a task in a pod that stays: pieces come with what the pod says, with their places."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from artifacts.store import ObjectStore

TAIL_BYTES = 4096
SMALL = 1 << 20


class TaskLog:
    """Any number of threads may use it."""

    def __init__(self, path: Path, uri: str, store: ObjectStore) -> None:
        self.path, self.uri, self.store = path, uri, store
        self.size = self._sent = 0  # bytes
        self._lock = threading.Lock()

    def write(self, at: int, data: bytes) -> bool:
        """Whether nothing is missing before it: else the pod is to say it again from `size`."""
        with self._lock:
            if at > self.size:
                return False
            if new := data[self.size - at :]:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab" if self.size else "wb") as file:
                    file.write(new)
                self.size += len(new)
            return True

    def stop(self) -> None:
        """Nothing of it goes on by itself."""

    def container_ended(self) -> None:
        """It says how long it is with its end."""

    def peek(self) -> str:
        """Its end, for a message."""
        with self._lock:
            if not self.size:
                return ""
            with self.path.open("rb") as file:
                file.seek(max(0, self.size - TAIL_BYTES))
                return file.read().decode(errors="replace")

    def send_grown(self) -> None:
        """So that it can be read meanwhile: a longer one when it has grown by a tenth."""
        with self._lock:
            if self.size > (self._sent if self.size < SMALL else self._sent + self._sent // 10):
                self.store.put_file(self.uri, str(self.path))
                self._sent = self.size

    def finish(self, others: Iterable[str] = ()) -> None:
        """Raises what the store raises. There are no `others`: see LogKeeper."""
        with self._lock:
            if self.uri and self.size > self._sent:
                self.store.put_file(self.uri, str(self.path))
                self._sent = self.size

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
