"""How long an executor lets what happened wait for more of it, before it writes it down or claims anew.

Each time costs a transaction, a wake-up and a turn of the engine, whatever it is about. Where the machine has nothing
to do meanwhile, waiting costs time and gains none. Where it is busy, an attempt takes as long as the others let it, and
to wait for a part of that is little beside it. Where it holds no attempt nothing could come, and nothing waits,
but LEAST after a claim that took none.
"""

from __future__ import annotations

import statistics
from collections import deque

LEAST = 0.02  # seconds: several that end at once
MOST = 0.1
PART = 2  # of the time that attempts are held
SAMPLES = 8


class Pacing:
    """`note` from any thread."""

    def __init__(self) -> None:
        self._lately: deque[float] = deque(maxlen=SAMPLES)
        self.busy = False  # whether the machine has no processor to spare

    def note(self, seconds: float) -> None:
        """An attempt was held that long."""
        self._lately.append(seconds)

    def seconds(self) -> float:
        if not self.busy or len(self._lately) < SAMPLES:
            return LEAST
        return min(MOST, max(LEAST, statistics.median(list(self._lately)) / PART))
