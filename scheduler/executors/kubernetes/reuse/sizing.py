"""How many pods a pool should have. Pure."""

from __future__ import annotations

import math

from scheduler.executors.kubernetes.reuse.policy import Reuse

BIRTH_SECONDS = 2.0  # that a pod takes to be ready, where none has been yet
LEAST_BIRTH_SECONDS = 1.0  # one that was there before us looks as if it took no time
_WEIGHT = 0.2  # of the newest in the mean


def wanted(waiting: int, running: int, policy: Reuse, mean: float | None, birth: float = BIRTH_SECONDS) -> int:
    """What the pods that are there will have done before another were ready needs no other. `mean`: seconds of a task,
    of those that ended; None: none has, so each may take long. `birth`: seconds until a new pod is ready.
    """
    if not waiting + running:
        return 0
    slots = math.ceil((waiting + running) / policy.at_once)
    if mean is not None:
        soon = math.ceil((waiting + running) * mean / (max(birth, LEAST_BIRTH_SECONDS) * policy.at_once))
        slots = min(slots, max(1, soon))
    return min(slots, policy.replicas)


def mean_with(mean: float | None, seconds: float) -> float:
    return seconds if mean is None else mean + _WEIGHT * (seconds - mean)
