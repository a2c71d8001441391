"""Which logs are followed: so many at a time, the rest in turn. What a pod said meanwhile is read when it is its turn.

Each that is followed takes a thread and a connection, 100 kB together; one that waits takes a number.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial

from scheduler.executors.kubernetes.board import Board
from scheduler.executors.kubernetes.held import ACTIVE, Held
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.threads import Threads

FOLLOWERS = 100
BEGUN_A_SECOND, AT_ONCE = 20.0, 60.0  # each takes the API server a call to a node; most short pods need none


class Follows:
    def __init__(self, board: Board, keeper: Callable[[Held], LogKeeper]) -> None:
        self.board, self.keeper = board, keeper
        self.followed: dict[int, Held] = {}  # by attempt, those that are now
        self._waiting: deque[int] = deque()
        self._threads = Threads(FOLLOWERS, "logs")
        self._may, self._may_at = AT_ONCE, time.monotonic()  # how many may begin now, and when that was true

    def add(self, held: Held) -> None:
        """Under the board's lock. Once for each attempt."""
        self._waiting.append(held.id)
        self._begin()

    def go_on(self) -> None:
        """Begin those whose turn it is."""
        with self.board.lock:
            if len(self._waiting) > FOLLOWERS + 2 * len(self.board.held):  # most of them have ended in the line
                self._waiting = deque(one for one in self._waiting if one in self.board.held)
            self._begin()

    def send_grown(self) -> None:
        """So that the logs of those that live can be read."""
        with self.board.lock:
            for held in self.followed.values():
                if held.log is not None:
                    self.board.do(held.log.send_grown)

    def stop(self) -> None:
        self._threads.stop()

    def _begin(self) -> None:
        now = time.monotonic()
        self._may = min(AT_ONCE, self._may + (now - self._may_at) * BEGUN_A_SECOND)
        self._may_at = now
        while self._waiting and self._may >= 1 and len(self.followed) < FOLLOWERS and not self.board.stopping:
            attempt_id = self._waiting.popleft()
            held = self.board.held.get(attempt_id)
            if held is None or held.log is not None or held.stage not in ACTIVE:
                continue  # it has ended before its turn: its log is read at its end
            self._may -= 1
            held.log = self.keeper(held)
            self.followed[attempt_id] = held
            self._threads.submit(partial(self._follow, held, held.log))

    def _follow(self, held: Held, log: LogKeeper) -> None:
        try:
            log.follow()
        finally:
            with self.board.lock:
                self.followed.pop(held.id, None)
                if not log.written and held.stage in ACTIVE:
                    held.log = None  # nothing could be read yet: at its end it is read anew
                self._begin()
