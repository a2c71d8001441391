"""How many pods a pool should have. Pure."""

from __future__ import annotations

import math

from scheduler.executors.kubernetes.reuse.policy import Reuse

PATIENCE_SECONDS = (
    0.5  # what pods that are there will have done by then needs no other: making one costs a second's work
)
_WEIGHT = 0.2  # of the newest task in the mean


def wanted(waiting: int, running: int, policy: Reuse, mean: float | None) -> int:
    """`mean`: seconds of a task, of those that ended; None: none has, so each may take long."""
    if not waiting + running:
        return 0
    slots = math.ceil((waiting + running) / policy.at_once)
    if mean is not None:
        soon = math.ceil((waiting + running) * mean / (PATIENCE_SECONDS * policy.at_once))
        slots = min(slots, max(1, soon))
    return min(slots, policy.replicas)


def mean_with(mean: float | None, seconds: float) -> float:
    return seconds if mean is None else mean + _WEIGHT * (seconds - mean)
