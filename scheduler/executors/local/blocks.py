"""Small tasks that one process is handed several of at a time: in a row, without waiting for the executor in between.

A process that is woken for each task of two milliseconds finds its caches cold and the executor busy with answers.
Where tasks of one kind have been quick, those that are submitted together and may share a process are dealt out to as
many processes as there are processors, behind what these have at hand already. Those behind one that turns out slow are
taken back (workers.py).
"""

from __future__ import annotations

import contextlib
import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST = 16  # that one process has at hand
MOST_KNOWN = 1000  # tasks
QUICK_SECONDS = 0.02
SAMPLES, SEEN = 3, 16  # before a kind counts as quick; those that count


@dataclass(frozen=True)
class Order:
    run: Path
    kind: str = ""  # the task's name; empty: nothing is known of those like it


class Pace:
    """How long tasks of each kind took lately. On a busy machine a quick one may take long at times: so it is the quick
    ones among them that count, as long as few are slow.
    """

    def __init__(self) -> None:
        self._lately: dict[str, deque[float]] = {}

    def note(self, kind: str, seconds: float) -> None:
        self._lately.setdefault(kind, deque(maxlen=SEEN)).append(seconds)

    def is_quick(self, kind: str) -> bool:
        lately = sorted(self._lately.get(kind, ()))
        if not kind or len(lately) < SAMPLES:
            return False
        return lately[len(lately) // 4] < QUICK_SECONDS and lately[len(lately) * 3 // 4] < 5 * QUICK_SECONDS


class Known:
    """Of tasks, by their keys, how it is found out whether their attempts are quick. Thread-safe."""

    def __init__(self) -> None:
        self._asked: dict[int, Callable[[], bool]] = {}

    def note(self, task: int, ask: Callable[[], bool]) -> None:
        if len(self._asked) >= MOST_KNOWN and task not in self._asked:
            self._asked = {}
        self._asked[task] = ask

    def __call__(self, task: int) -> bool:
        ask = self._asked.get(task)
        return ask is not None and ask()


def shares(count: int, lengths: Sequence[int], places: int) -> list[int]:
    """How many of so many go to each of the processes that have so many at hand, and then to each of the other places,
    so that all have about as many. More places than that only where one would have more than MOST.
    """
    rows = [*lengths, *[0] * max(places, 0 if lengths else 1)]
    shortest, given = [(length, row) for row, length in enumerate(rows)], [0] * len(rows)
    heapq.heapify(shortest)
    for _ in range(count):
        length, row = shortest[0]
        if length >= MOST:
            row = len(given)
            given.append(1)
            heapq.heappush(shortest, (1, row))
        else:
            given[row] += 1
            heapq.heapreplace(shortest, (length + 1, row))
    return given


class Gathering:
    """Collects what a thread hands over until it is done with all of it. Other threads hand over at once."""

    def __init__(self) -> None:
        self._of = threading.local()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        acts: dict[object, tuple[Callable[[list[Order]], None], list[Order]]] = {}
        self._of.acts = acts
        try:
            yield
        finally:
            self._of.acts = None
            for act, orders in acts.values():
                act(orders)

    def add(self, to: object, order: Order, act: Callable[[list[Order]], None]) -> bool:
        """Whether `act` will be called with all that were gathered for the same; else nothing is gathered now."""
        acts = getattr(self._of, "acts", None)
        if acts is None:
            return False
        acts.setdefault(id(to), (act, []))[1].append(order)
        return True
