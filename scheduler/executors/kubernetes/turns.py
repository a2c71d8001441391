"""Whose pod is made next: in fair turns, a few at a time, and slowly where a quota or the cluster says so. Pure.

Each namespace has a queue for each execution, and they take turns: a map of thousands does not keep others waiting.
Where a quota is used up, one attempt is tried at a time: at once when a pod of the namespace has ended, else after a
pause that doubles. So thousands that wait against a quota of fifty cost the cluster one call for each that may go, and
one that is refused.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

SHORTEST, LONGEST = 0.5, 30.0  # seconds between two tries
EVERYWHERE = ""  # the cluster itself, as a place that may be short


@dataclass
class Place:
    """A namespace, or the cluster."""

    queues: OrderedDict[str, deque[int]] = field(default_factory=OrderedDict)  # by execution
    short: str = ""  # why it is: then one at a time; empty: it is not
    due: float = 0.0
    pause: float = 0.0
    trying: int = 0


class Turns:
    """Attempts by their ids. `now`: seconds of any clock that only goes forward."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.trying: dict[int, tuple[str, str]] = {}  # attempt: namespace, execution
        self._places: dict[str, Place] = {}
        self._cluster = Place()
        self._order: deque[str] = deque()

    def add(self, attempt: int, namespace: str, execution: str, *, first: bool = False) -> None:
        if namespace not in self._places:
            self._places[namespace] = Place()
            self._order.append(namespace)
        queue = self._places[namespace].queues.setdefault(execution, deque())
        (queue.appendleft if first else queue.append)(attempt)

    def next(self, now: float) -> int | None:
        """The next to be tried; None: nobody may now."""
        if len(self.trying) >= self.most or not _may(self._cluster, now):
            return None
        for _ in range(len(self._order)):
            namespace = self._order[0]
            self._order.rotate(-1)
            place = self._places[namespace]
            if place.queues and _may(place, now):
                return self._take(namespace, place)
        return None

    def _take(self, namespace: str, place: Place) -> int:
        execution, queue = next(iter(place.queues.items()))
        attempt = queue.popleft()
        if queue:
            place.queues.move_to_end(execution)
        else:
            del place.queues[execution]
        place.trying += 1
        self._cluster.trying += 1
        self.trying[attempt] = (namespace, execution)
        return attempt

    def made(self, attempt: int) -> None:
        """It was tried and needs no other try: its pod is there, or it is over."""
        namespace, _ = self._end(attempt)
        for place in (self._places[namespace], self._cluster):
            place.pause = place.due = 0.0
        self._cluster.short = ""
        if not self._places[namespace].queues:
            self._places[namespace].short = ""

    def refused(self, attempt: int, why: str, now: float, *, quota: bool, after: float = 0.0) -> None:
        """It goes back to its place in the queue. `quota`: of its namespace; else the cluster is busy or away."""
        namespace, execution = self._end(attempt)
        place = self._places[namespace] if quota else self._cluster
        place.short = why
        place.pause = min(LONGEST, max(SHORTEST, place.pause * 2, after))
        place.due = now + place.pause
        self.add(attempt, namespace, execution, first=True)
        queues = self._places[namespace].queues
        queues.move_to_end(execution)  # the others' turn

    def freed(self, namespace: str) -> None:
        """A pod of the namespace has ended: what waits for its quota may be tried."""
        if place := self._places.get(namespace):
            place.due = place.pause = 0.0

    def drop(self, attempt: int) -> bool:
        """Whether it was waiting; it is not any more."""
        for place in self._places.values():
            for execution, queue in place.queues.items():
                if attempt in queue:
                    queue.remove(attempt)
                    if not queue:
                        del place.queues[execution]
                    return True
        return False

    def waiting(self) -> Iterator[tuple[int, str]]:
        """Those that wait because something is short, and why."""
        for place in self._places.values():
            if why := place.short or self._cluster.short:
                for queue in place.queues.values():
                    for attempt in queue:
                        yield attempt, why

    def _end(self, attempt: int) -> tuple[str, str]:
        namespace, execution = self.trying.pop(attempt)
        self._places[namespace].trying -= 1
        self._cluster.trying -= 1
        return namespace, execution


def _may(place: Place, now: float) -> bool:
    return not place.short or (place.trying == 0 and now >= place.due)
