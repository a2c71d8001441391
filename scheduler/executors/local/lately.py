"""What was found out a moment ago, for those who ask the same in a row."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
MOST = 1024


class Lately(Generic[K, V]):
    """Thread-safe. Forgets after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        since, value = self._known.get(key, (0.0, None))
        return value if time.monotonic() - since < self.seconds else None

    def of(self, key: K, find: Callable[[], V]) -> V:
        """As known, or as found now. Raises what `find` raises; None is found anew each time."""
        if (known := self.get(key)) is not None:
            return known
        found = find()
        self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._known.pop(key, None)  # so that the oldest come first
            self._known[key] = time.monotonic(), value
            if len(self._known) > MOST:
                del self._known[next(iter(self._known))]
