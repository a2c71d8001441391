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
        with self._lock:
            self._steps.append((time.monotonic(), step))
            if not self._needs_thread():
                return
            self._threads += 1
        if not self._has_thread():
            with self._lock:
                if self._threads:  # another one will take it
                    return
                self._steps.pop()
            raise RuntimeError("no thread takes further steps")

    def tick(self) -> None:
        """Where those that there are do not keep up, or are held up, and nothing comes that would bring another."""
        with self._lock:
            if not self._needs_thread():
                return
            self._threads += 1
        self._has_thread()

    def _needs_thread(self) -> bool:
        """With the lock held."""
        if not self._steps or self._threads >= self.most:
            return False
        return not self._threads or time.monotonic() - self._steps[0][0] > LATE_SECONDS

    def _has_thread(self) -> bool:
        """Whether one more could be had, which is counted already."""
        try:
            self.pool.submit(self._work)
        except RuntimeError:
            with self._lock:
                self._threads -= 1
            return False
        return True

    def _work(self) -> None:
        while True:
            self.tick()  # the next one may have waited long for the one that was just done
            with self._lock:
                if not self._steps:
                    self._threads -= 1
                    return
                _, step = self._steps.popleft()
            try:
                step()
            except Exception:
                logger.exception("a step failed")
            except BaseException:
                with self._lock:
                    self._threads -= 1
                raise
