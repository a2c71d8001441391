"""What time brings to attempts on a cluster: timeouts, waits that last too long, and the next look."""

from __future__ import annotations

import time
from functools import partial

from scheduler.executors.kubernetes import looks
from scheduler.executors.kubernetes.board import ORDINARY, ORDINARY_SECONDS, Board, waited
from scheduler.executors.kubernetes.finishing import Finisher
from scheduler.executors.kubernetes.held import Held, Stage, is_overdue


class Deadlines:
    def __init__(self, board: Board, finisher: Finisher) -> None:
        self.board, self.finisher = board, finisher

    def tend(self, held: Held) -> bool:
        """Under the board's lock. Whether it is to be looked at again."""
        if held.stage != Stage.MADE:
            return False
        held.overdue = held.overdue or is_overdue(held)
        if held.cancelled or held.overdue:
            if not held.abort_sent:
                held.abort_sent = True
                self.board.do(partial(self.finisher.abort, held))
            return held.look_at is not None and time.monotonic() >= held.look_at  # its node may be lost meanwhile
        wait, now = held.wait, time.monotonic()
        if wait is not None:
            seconds = waited(held)
            if wait.fails_at_once or (wait.grace and seconds > wait.grace):
                if self.board.to_judge(held):
                    self.board.do(partial(self.finisher.give_up, held))
                return False
            if wait.code in ORDINARY and seconds > ORDINARY_SECONDS:
                self.board.tell_wait(held)
            if wait.looks_at_events and held.look_at is None:
                held.look_at = now + looks.LOOK_SECONDS
        return held.look_at is not None and now >= held.look_at
