"""What no task may exceed where it does not say otherwise: time, and bytes of what it leaves to be read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scheduler.executors.base import Assignment

LEAST_LOG = 4096  # bytes; the words about what is left out have to fit several times
LEAST_DECK = 1024


@dataclass(frozen=True)
class Limits:
    """Of every attempt; 0: none."""

    task_seconds: float = 0.0  # for a task that has no timeout of its own
    log_bytes: int = 0
    deck_bytes: int = 0

    def check(self) -> None:
        """Raises ValueError, which names the setting, for what is no limit."""
        if not self.task_seconds >= 0 or math.isinf(self.task_seconds):
            raise ValueError(f"CAUSEWAY_TASK_TIMEOUT: {self.task_seconds} is no number of seconds (0: no limit)")
        if 0 != self.log_bytes < LEAST_LOG:
            raise ValueError(f"CAUSEWAY_MAX_LOG_BYTES: at least {LEAST_LOG} (0: no limit), not {self.log_bytes}")
        if 0 != self.deck_bytes < LEAST_DECK:
            raise ValueError(f"CAUSEWAY_MAX_DECK_BYTES: at least {LEAST_DECK} (0: no limit), not {self.deck_bytes}")

    def timeout(self, assignment: Assignment) -> float:
        """Seconds; 0: none. The task's own, or its node's, counts before the default one."""
        return float(assignment.spec.timeout_seconds or self.task_seconds)

    def timed_out(self, assignment: Assignment) -> str:
        """What is told of an attempt that took longer."""
        if own := assignment.spec.timeout_seconds:
            return f"the task ran longer than its timeout of {own:g} s"
        return (
            f"the task ran longer than the {self.task_seconds:g} s that tasks without a timeout of their own have here "
            "(CAUSEWAY_TASK_TIMEOUT); give it one: @task(timeout=...)"
        )
