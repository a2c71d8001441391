"""Whose request is answered next, pure.

1. Of those that wait comes first whose caller used least lately; of one caller's projects, the one that used least.
2. What waits is held back while a request of a lighter caller is answered: they would share the interpreter, and the
   light one take longer. Not by one that takes long (it sleeps, or waits for others), and never for more than a moment.
3. A caller may hold threads as long as he holds no more than three for each that is free. So some stay free for others,
   however many he asks for, and whoever is alone gets most of them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

HALF_LIFE = 4.0  # seconds after which half as much counts of what was used
EXPECTED = 0.02  # seconds of CPU that a request is taken to cost until it has ended
FRESH = 0.3  # seconds for which a request that is answered holds back others: a page on a slow machine takes so long
PATIENCE = 1.0  # seconds after which a request that waits is held back no more
A_FREE_ONE = 3  # threads that one may hold for each that is free
FORGOTTEN = 0.001  # seconds of CPU: less than that is nothing
MOST_KNOWN = 1_000

Work = TypeVar("Work")
Levels = tuple[float, float]


class Caller(NamedTuple):
    """Who asks, and in what project, as far as can be told before the request is looked at (console.fair.callers)."""

    who: str
    project: str = ""
    share: float = 1.0  # of one with 2, what is used counts half: for people, who wait in front of a page


@dataclass(frozen=True, eq=False)
class Turn(Generic[Work]):
    caller: Caller
    work: Work
    asked_at: float
    began_at: float = 0.0


@dataclass
class Used:
    """Seconds of CPU used lately, by `who` and by both names."""

    amounts: dict[tuple[str, ...], tuple[float, float]] = field(default_factory=dict)  # and as of when

    def add(self, caller: Caller, cost: float, now: float) -> None:
        for key in _keys(caller):
            self.amounts[key] = (self.of(key, now) + cost / caller.share, now)
        if len(self.amounts) > MOST_KNOWN:
            self.amounts = {key: kept for key, kept in self.amounts.items() if self.of(key, now) > FORGOTTEN}

    def of(self, key: tuple[str, ...], now: float) -> float:
        amount, at = self.amounts.get(key, (0.0, now))
        return float(amount * 0.5 ** ((now - at) / HALF_LIFE))


class Turns(Generic[Work]):
    """`now` is in seconds of any clock that never goes back. For one thread at a time."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.used = Used()
        self.running: set[Turn[Work]] = set()
        self._waiting: dict[tuple[str, ...], deque[Turn[Work]]] = {}
        self._held: Counter[tuple[str, ...]] = Counter()  # threads, by who and by both names

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def add(self, caller: Caller, work: Work, now: float) -> None:
        self._waiting.setdefault((caller.who, caller.project), deque()).append(Turn(caller, work, now))

    def next(self, now: float) -> Turn[Work] | None:
        """The one to begin with now; None: nothing waits, or nothing may begin yet."""
        free = self.threads - len(self.running)
        if free <= 0:
            return None
        for _, turn in sorted(self._first(now, free), key=lambda found: found[0]):
            if now - turn.asked_at < PATIENCE and self._is_held_back(turn, now):
                continue
            return self._begin(turn, now)
        return None

    def looks_again_at(self, now: float) -> float | None:
        """When something that waits may begin although nothing has ended; None: not before something ends."""
        if not self._waiting or len(self.running) >= self.threads:
            return None
        times = [line[0].asked_at + PATIENCE for line in self._waiting.values()]
        times += [one.began_at + FRESH for one in self.running]
        return min((at for at in times if at > now), default=None)

    def ended(self, turn: Turn[Work], cost: float, now: float) -> None:
        """`cost`: seconds of CPU."""
        self.running.remove(turn)
        self._held.subtract(_keys(turn.caller))
        self._held += Counter()
        self.used.add(turn.caller, cost, now)

    def _first(self, now: float, free: int) -> Iterator[tuple[Levels, Turn[Work]]]:
        """The oldest of each caller and project that may hold a thread more, and what goes before what."""
        for key, line in self._waiting.items():
            if self._held[key] < A_FREE_ONE * free:
                yield self._levels(line[0].caller, now), line[0]

    def _levels(self, caller: Caller, now: float) -> Levels:
        who, both = (self.used.of(key, now) + self._held[key] * EXPECTED / caller.share for key in _keys(caller))
        return who, both

    def _is_held_back(self, turn: Turn[Work], now: float) -> bool:
        mine = self._levels(turn.caller, now)
        return any(
            now - one.began_at < FRESH and one.caller[:2] != turn.caller[:2] and self._levels(one.caller, now) < mine
            for one in self.running
        )

    def _begin(self, turn: Turn[Work], now: float) -> Turn[Work]:
        key = (turn.caller.who, turn.caller.project)
        line = self._waiting[key]
        line.popleft()
        if not line:
            del self._waiting[key]
        begun = Turn(turn.caller, turn.work, turn.asked_at, now)
        self.running.add(begun)
        self._held.update(_keys(turn.caller))
        return begun


def _keys(caller: Caller) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (caller.who,), (caller.who, caller.project)
