"""Threads that take turns (console.fair.turns)."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from console.fair.turns import Caller, Turn, Turns

logger = logging.getLogger(__name__)
Work = Callable[[], object]
REST_SECONDS = 30.0


class Pool:
    """Begins with as many threads as it has. They are daemons, and end when nobody has the pool any more.

    `rest` is called in each thread that had work once it has had none for REST_SECONDS, to give back what it keeps.
    """

    def __init__(self, threads: int, name: str, rest: Work = lambda: None) -> None:
        self._line = _Line(threads, rest)
        weakref.finalize(self, self._line.close)
        for number in range(threads):
            threading.Thread(target=self._line.run, name=f"{name}-{number}", daemon=True).start()

    def add(self, caller: Caller, work: Work) -> None:
        """Do it when its turn comes. What it raises is logged."""
        self._line.add(caller, work)


class _Line:
    """What the threads of a pool share: they know it, and not the pool, so that the pool can go.

    Of those that are idle the one that was idle for the shortest time goes on: what it and its session of the database
    last used is near at hand. All in turn would need twice the CPU for a short request.
    """

    def __init__(self, threads: int, rest: Work) -> None:
        self._rest = rest
        self._turns: Turns[Work] = Turns(threads)
        self._lock = threading.Lock()
        self._idle: list[threading.Condition] = []  # of each thread that waits, by `_lock`
        self._closed = False

    def add(self, caller: Caller, work: Work) -> None:
        with self._lock:
            self._turns.add(caller, work, time.monotonic())
            self._wake_one()

    def close(self) -> None:
        """Threads end once nothing waits."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._wake_one()

    def _wake_one(self) -> None:
        if self._idle:
            self._idle.pop().notify()

    def run(self) -> None:
        changed = threading.Condition(self._lock)
        rests = True
        while True:
            turn = self._next(changed, None if rests else time.monotonic() + REST_SECONDS)
            if turn is not None:
                self._do(turn)
                rests = False
            elif rests:
                return
            else:
                rests = True
                try:
                    self._rest()
                except Exception:
                    logger.exception("an idle thread keeps what it had")
            del turn  # nothing of a request is kept while the next is waited for

    def _do(self, turn: Turn[Work]) -> None:
        began = time.thread_time()
        try:
            turn.work()
        except BaseException:
            logger.exception("a request of %s failed", turn.caller)
        cost = time.thread_time() - began
        with self._lock:
            self._turns.ended(turn, cost, time.monotonic())

    def _next(self, changed: threading.Condition, until: float | None) -> Turn[Work] | None:
        """None: there was nothing to do until then, or there will not be any more."""
        with self._lock:
            while self._turns or not self._closed:
                now = time.monotonic()
                if turn := self._turns.next(now):
                    if self._turns:
                        self._wake_one()  # the next may begin too
                    return turn
                if until is not None and now >= until:
                    return None
                again = min(filter(None, (self._turns.looks_again_at(now), until)), default=None)
                # One that gave back what it had is the last to go on.
                self._idle.insert(len(self._idle) if until is not None else 0, changed)
                if not changed.wait(None if again is None else max(0.001, again - now)) and changed in self._idle:
                    self._idle.remove(changed)
        return None


class Calls(Executor):
    """A pool as what gRPC wants. `caller_of` gets what is submitted, without its function."""

    def __init__(self, pool: Pool, caller_of: Callable[[tuple[Any, ...]], Caller]) -> None:
        self._pool, self._caller_of = pool, caller_of

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - whoever asked is told
                future.set_exception(error)

        self._pool.add(self._caller_of(args), work)
        return future
