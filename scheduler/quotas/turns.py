"""Whose turn it is among those that wait, pure: priority, then the project that uses least for its weight, then, inside
a project, the lane and in it the execution that hold least, then who waits longest, or since he got something last:
where there is one place, nobody holds anything when it becomes free. What may not start now keeps nobody else waiting,
until it has waited for long: then what it is short of is kept for it.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from scheduler.quotas.rules import Block, Lane, Ledger, cost, weight

PATIENCE = timedelta(seconds=30)  # then others may not take what something waits for
TOGETHER = 16  # lines made whole at once
MOST_SERVED = 10_000  # lanes, and executions, that are remembered


class Waiting(NamedTuple):
    """One that waits: an attempt, or an execution."""

    pk: int
    execution: int
    created_at: datetime


class Fit(Enum):
    """What the place says of one that the quotas let go."""

    TAKEN = "taken"
    FULL = "full"  # no room for its kind now
    REFUSED = "refused"  # it can never run there
    ENOUGH = "enough"  # the place takes nothing more at all


@dataclass
class Served:
    """When lanes and executions got something last, as far as whoever decides remembers: what he forgets is age."""

    lanes: dict[int, float] = field(default_factory=dict)
    executions: dict[int, float] = field(default_factory=dict)

    def note(self, taken: Iterable[tuple[Lane, Waiting]], at: datetime) -> None:
        for known in (self.lanes, self.executions):
            if len(known) > MOST_SERVED:
                known.clear()
        for lane, one in taken:
            self.lanes[lane.id] = self.executions[one.execution] = at.timestamp()


@dataclass
class Line:
    """The oldest of a lane that wait, at most some of each of its oldest executions."""

    lane: Lane
    waiting: dict[int, deque[Waiting]] = field(default_factory=dict)  # by execution, each oldest first
    oldest: tuple[float, int] = (0.0, 0)  # since when its first waits, when it was made, and its number
    whole: bool = True  # False: only the oldest is there until its turn comes (Turns.choose, `complete`)

    @classmethod
    def of(cls, lane: Lane, waiting: Iterable[Waiting], *, whole: bool = True) -> Line:
        line = cls(lane, whole=whole)
        line.fill(waiting)
        heads = ((queue[0].created_at.timestamp(), queue[0].pk) for queue in line.waiting.values())
        line.oldest = min(heads, default=(0.0, 0))
        return line

    def fill(self, waiting: Iterable[Waiting]) -> None:
        """Those that are there, instead of what was."""
        self.waiting.clear()
        for one in waiting:
            self.waiting.setdefault(one.execution, deque()).append(one)

    def next(self, held: Mapping[int, int], served: Served) -> Waiting | None:
        if not self.waiting:
            return None

        def order(execution: int) -> tuple[float, ...]:
            head = self.waiting[execution][0]
            since = max(head.created_at.timestamp(), served.executions.get(execution, 0.0))
            return (held.get(execution, 0), since, head.pk)

        return self.waiting[min(self.waiting, key=order)][0]

    def pop(self, one: Waiting) -> None:
        queue = self.waiting[one.execution]
        queue.popleft()
        if not queue:
            del self.waiting[one.execution]


@dataclass
class Turns:
    """`project_costs`: what projects use now and used lately; `lane_held` and `execution_held`: how many of each lane,
    and of each execution, are held. They grow with what is taken."""

    ledger: Ledger
    now: datetime
    project_costs: dict[str, float] = field(default_factory=dict)
    lane_held: Counter[int] = field(default_factory=Counter)
    execution_held: Counter[int] = field(default_factory=Counter)
    served: Served = field(default_factory=Served)
    taken: list[tuple[Lane, Waiting]] = field(default_factory=list)
    blocked: dict[int, Block] = field(default_factory=dict)  # by lane
    never: list[tuple[Lane, Waiting, Block]] = field(default_factory=list)

    def choose(
        self,
        lines: Iterable[Line],
        fits: Callable[[Lane, Waiting], Fit],
        most: int,
        complete: Callable[[Sequence[Line]], None] | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take up to `most`, one after the other, as long as anything may start. `complete` makes lines whole, which is
        not done for what the place has no room for anyway.
        """
        heap: list[tuple[tuple[float, ...], int, Line]] = []
        for number, line in enumerate(lines):
            if line.waiting:
                heap.append((self._order(line), number, line))
        heapq.heapify(heap)
        together = 0.5  # lines made whole at once: one at first, for mostly a single place is free, then twice as many
        while heap and len(self.taken) < most:
            order, number, line = heapq.heappop(heap)
            fresh = self._order(line)
            if fresh != order:  # its project got something meanwhile
                heapq.heappush(heap, (fresh, number, line))
                continue
            if not line.whole and complete is not None and self._may_start(line.lane):
                if not has_room() and self.ledger.never(line.lane) is None:
                    return
                together = min(2 * together, TOGETHER, most - len(self.taken))
                self._complete(line, heap, together, complete)
            one = line.next(self.execution_held, self.served)
            if one is None:
                continue
            match self._try(line, one, fits):
                case Fit.TAKEN | Fit.REFUSED:
                    heapq.heappush(heap, (fresh, number, line))
                case Fit.ENOUGH:
                    return

    def _complete(
        self,
        line: Line,
        heap: Sequence[tuple[tuple[float, ...], int, Line]],
        together: float,
        complete: Callable[[Sequence[Line]], None],
    ) -> None:
        """The line, and with it those whose turn comes soon."""
        soon = heapq.nsmallest(int(together) - 1, heap) if together >= 2 else []
        lines = [line, *(other for _, _, other in soon if not other.whole and self._may_start(other.lane))]
        complete(lines)
        for one in lines:
            one.whole = True

    def _may_start(self, lane: Lane) -> bool:
        return self.ledger.block(lane) is None or self.ledger.never(lane) is not None

    def _order(self, line: Line) -> tuple[float, ...]:
        lane = line.lane
        share = self.project_costs.get(lane.project, 0.0) / weight(self.ledger.weights, lane.project)
        since, number = line.oldest
        return (-lane.priority, share, self.lane_held[lane.id], max(since, self.served.lanes.get(lane.id, 0.0)), number)

    def _try(self, line: Line, one: Waiting, fits: Callable[[Lane, Waiting], Fit]) -> Fit:
        lane = line.lane
        if hopeless := self.ledger.never(lane):
            self.never.append((lane, one, hopeless))
            line.pop(one)
            return Fit.REFUSED
        if found := self.ledger.block(lane):
            self.blocked[lane.id] = found
            if self.now - one.created_at > PATIENCE:
                self.ledger.reserve(lane)
            return Fit.FULL
        fit = fits(lane, one)
        if fit is Fit.REFUSED:
            line.pop(one)
        if fit is Fit.TAKEN:
            line.pop(one)
            self.taken.append((lane, one))
            self.ledger.hold(lane)
            self.lane_held[lane.id] += 1
            self.execution_held[one.execution] += 1
            self.project_costs[lane.project] = self.project_costs.get(lane.project, 0.0) + cost(lane.demand)
        return fit
