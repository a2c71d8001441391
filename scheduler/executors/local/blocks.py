"""Small tasks that one process is handed several of at a time: in a row, without waiting for the executor in between.

A process that is woken for each task of two milliseconds finds its caches cold and the executor busy with answers.
Where tasks of one kind have been quick, those that are submitted together and may share a process are dealt out in
shares, to as many processes as there are processors. Those behind one that turns out slow are taken back (workers.py).
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
MOST = 8  # in one share
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


def shares(orders: Sequence[T], places: int) -> list[list[T]]:
    """In their order, as even as can be, in as many shares as there are places, or more where one would be too long."""
    count = min(len(orders), max(1, places, -(-len(orders) // MOST)))
    cuts = [len(orders) * number // count for number in range(count + 1)] if count else []
    return [list(orders[start:end]) for start, end in zip(cuts, cuts[1:], strict=False)]


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
