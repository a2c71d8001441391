"""The state that the threads of the executor share, and work that is put off."""

from __future__ import annotations

import heapq
import itertools
import logging
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

from scheduler.attempts.observations import Accepted, Running, Waiting
from scheduler.executors.base import Emit
from scheduler.executors.kubernetes.held import ACTIVE, Held, Stage
from scheduler.executors.kubernetes.kueue import QUEUED
from scheduler.executors.kubernetes.threads import Threads
from scheduler.executors.kubernetes.turns import Turns
from scheduler.executors.kubernetes.wait import Wait

logger = logging.getLogger(__name__)

Job = Callable[[], object]
# Waits that every pod goes through: told only if they last.
ORDINARY = frozenset({"Scheduling", "ContainerCreating", "PodInitializing", QUEUED})
ORDINARY_SECONDS = 2.0
COUNTS_SECONDS = 60.0  # a reason whose numbers alone changed is told again not before
_NUMBERS = re.compile(r"\d+")


class Board:
    """Its methods may be called with or without the lock held."""

    def __init__(self, emit: Emit, *, submissions: int) -> None:
        self.emit = emit
        self.lock = threading.RLock()
        self.held: dict[int, Held] = {}  # by attempt; also those that are over, until their pod may go
        self.turns = Turns(submissions)
        self.workers = Threads(8, "pods")
        self.stopping = False
        self._later: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()

    def do(self, job: Job) -> None:
        """Soon, in another thread. A job sees to its own errors; what it lets out is told."""
        if not self.stopping:
            self.workers.submit(job)

    def later(self, seconds: float, job: Job) -> None:
        with self.lock:
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), job))

    def do_due(self) -> None:
        """What was put off until now."""
        with self.lock:
            while self._later and self._later[0][0] <= time.monotonic():
                self.do(heapq.heappop(self._later)[2])

    def stop(self) -> None:
        self.stopping = True
        self.workers.stop()

    def accepted(self, held: Held) -> None:
        """Unless its end was told already: a watch may be faster than the answer to the call that made the pod."""
        with self.lock:
            if held.stage in ACTIVE:
                self.emit(Accepted(held.id, held.handle, _now()))

    def runs(self, held: Held, since: datetime | None) -> None:
        """Once."""
        with self.lock:
            if held.runs:
                return
            held.runs, held.wait, held.look_at = True, None, None
            held.wait_since, held.told = None, ""
            held.started_at = since or _now()
            self.emit(Running(held.id, held.handle, held.started_at))

    def waits(self, held: Held, wait: Wait) -> None:
        """Note it, and tell it unless it is what every pod goes through. A code counts from when it was first seen."""
        with self.lock:
            if held.runs:
                return
            if held.wait is None or held.wait.code != wait.code:
                # Of one that waited for an earlier process already: or its grace would begin anew with each.
                began = wait.since if held.adopted and held.wait is None else None
                held.wait_since = began or _now()
            held.wait = wait
            if wait.code not in ORDINARY:
                self.tell_wait(held)

    def tell_wait(self, held: Held) -> None:
        with self.lock:
            wait, since = held.wait, held.wait_since
            if wait is None or since is None or held.runs or held.cancelled or held.stage not in ACTIVE:
                return
            said, now = wait.reason, time.monotonic()
            if said != held.told and (_kind(said) != _kind(held.told) or now - held.told_at > COUNTS_SECONDS):
                held.told, held.told_at = said, now
                handle = held.handle if held.uid else ""
                self.emit(Waiting(held.id, wait.code, wait.message, since, wait.short, handle))

    def to_judge(self, held: Held) -> bool:
        """Whether it is the caller's to find out how it ended: nobody else does."""
        with self.lock:
            if held.stage not in ACTIVE:
                return False
            held.stage = Stage.JUDGED
            return True


def _kind(said: str) -> str:
    """A reason without its numbers: those of nodes and of quotas change all the time, and each told one is kept."""
    return _NUMBERS.sub("#", said)


def waited(held: Held) -> float:
    """Seconds, for the reason it waits for now."""
    return (_now() - held.wait_since).total_seconds() if held.wait_since is not None else 0.0


def from_now(at: datetime) -> float:
    """As `time.monotonic` counts; not before a moment from now."""
    return time.monotonic() + max(0.1, (at - _now()).total_seconds())


def _now() -> datetime:
    return datetime.now(timezone.utc)
