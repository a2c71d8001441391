"""Threads for jobs that wait for a cluster or a store, which keep no process from ending.

ThreadPoolExecutor's are waited for when the interpreter ends: a follow of a quiet task's log, or a call into a network
that went silent, would keep a process that was told to end for minutes.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Threads:
    """At most so many at a time; others wait in turn. Threads are begun as they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self.most, self.name = most, name
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)  # threads that wait for a job
        self._lock = threading.Lock()
        self._begun = 0
        self._stopping = False

    def submit(self, job: Callable[[], object]) -> None:
        """Nothing once it was stopped."""
        with self._lock:
            if self._stopping:
                return
            self._jobs.put(job)
            if not self._idle.acquire(blocking=False) and self._begun < self.most:
                self._begun += 1
                threading.Thread(target=self._work, name=f"{self.name} {self._begun}", daemon=True).start()

    def stop(self) -> None:
        """No job is begun any more."""
        with self._lock:
            self._stopping = True
            for _ in range(self._begun):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._next()) is not None and not self._stopping:
            try:
                job()
            except Exception:
                logger.exception("a job of %s failed", self.name)

    def _next(self) -> Callable[[], object] | None:
        with self._lock:  # or a job could be counted on a thread that has just taken another
            try:
                return self._jobs.get_nowait()
            except queue.Empty:
                self._idle.release()
        return self._jobs.get()
