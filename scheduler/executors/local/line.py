"""Small steps of many attempts, which one thread of a pool takes one after the other as long as it keeps up.

Given to as many threads as there are, each would be woken for less than it takes to wake it, and wait for the others'
lock of the interpreter.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

logger = logging.getLogger(__name__)

LATE_SECONDS = 0.02  # a step that has waited longer brings another thread


class Line:
    """Thread-safe. `most`: threads at once."""

    def __init__(self, pool: ThreadPoolExecutor, most: int = 4) -> None:
        self.pool, self.most = pool, most
        self._lock = threading.Lock()
        self._steps: deque[tuple[float, Callable[[], object]]] = deque()  # since when, monotonic
        self._threads = 0

    def put(self, step: Callable[[], object]) -> None:
        """RuntimeError where no thread can be had for it: then it is not taken."""
        now = time.monotonic()
        with self._lock:
            self._steps.append((now, step))
            late = now - self._steps[0][0] > LATE_SECONDS
            if self._threads and not (late and self._threads < self.most):
                return
            self._threads += 1
        try:
            self.pool.submit(self._work)
        except RuntimeError:
            with self._lock:
                self._threads -= 1
                if self._threads:  # another one will take it
                    return
                self._steps.pop()
            raise

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._steps:
                    self._threads -= 1
                    return
                _, step = self._steps.popleft()
            try:
                step()
            except Exception:
                logger.exception("a step failed")
