"""What is known of users' modules that cannot be imported in one process with their program's others."""

from __future__ import annotations

from enum import Enum

MOST = 10_000  # modules that are remembered; whichever was longest not asked for is found out about anew


class Fitness(Enum):
    WARM = "warm"  # as far as is known: it is imported once, beside others of its program
    ALONE = "alone"  # it is imported once, in a process of its own
    COLD = "cold"  # each task imports it itself


class KnownFitness:
    """By the key of their program and their name."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Fitness] = {}  # what was asked for last is at the end

    def note(self, program: str, module: str, fitness: Fitness) -> None:
        self._known.pop((program, module), None)
        self._known[program, module] = fitness
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def of(self, program: str, module: str) -> Fitness:
        found = self._known.pop((program, module), None)
        if found is None:
            return Fitness.WARM
        self._known[program, module] = found
        return found
