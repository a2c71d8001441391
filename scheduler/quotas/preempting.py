"""Whom to end so that something of higher priority may start, pure: the cheapest that help, and nobody if none does.

Cheapest: of the lowest priority, of these those that lose least (the youngest), of these the smallest. Nobody of the
same or a higher priority, and none more than needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.quotas.resources import HOURS, PREEMPTION
from scheduler.quotas.rules import EPSILON, Block, Lane, Ledger, Limit, cost

MOST = 16  # that may have to go for one
Room = dict[str, float]  # what a place has left, by name


@dataclass(frozen=True)
class Wanting:
    """What waits only because of others. `needs`: of its place, in the names of its room."""

    pk: int
    lane: Lane
    needs: Mapping[str, float]


@dataclass(frozen=True)
class Running:
    pk: int
    lane: Lane
    place: str
    since: datetime
    needs: Mapping[str, float]


def takes_part(limits: Sequence[Limit]) -> dict[tuple[str, str], bool]:
    """Which projects asked for preemption, by project and domain; an empty domain: all that say nothing themselves."""
    return {(one.scope.project, one.scope.domain): one.limit > 0 for one in limits if one.resource == PREEMPTION}


def asked(said: Mapping[tuple[str, str], bool], lane: Lane) -> bool:
    return said.get((lane.project, lane.domain), said.get((lane.project, ""), False))


def victims(
    want: Wanting, candidates: Sequence[Running], ledger: Ledger, room: Room | None, place: str
) -> list[Running]:
    """Empty: it may start as it is, or nobody's end would let it. The ledger and the room are as before afterwards.

    `room`: None of a place that queues by itself.
    """
    search = _Search(want, ledger, room, place)
    left = sorted((one for one in candidates if one.lane.priority < want.lane.priority), key=price)
    taken: list[Running] = []
    try:
        while (obstacle := search.obstacle()) is not None:
            helping = next((one for one in left if search.helps(one, obstacle)), None)
            if helping is None or len(taken) == MOST:
                return []
            left.remove(helping)
            taken.append(helping)
            search.give_back(helping)
        for one in sorted(taken, key=price, reverse=True):
            search.give_back(one, times=-1)
            if search.obstacle() is None:
                taken.remove(one)
            else:
                search.give_back(one)
        return sorted(taken, key=price)
    finally:
        for one in taken:
            search.give_back(one, times=-1)


def price(one: Running) -> tuple[float, ...]:
    """What its end costs: the least is ended first."""
    return (one.lane.priority, -one.since.timestamp(), cost(one.lane.demand), one.pk)


@dataclass
class _Search:
    want: Wanting
    ledger: Ledger
    room: Room | None
    place: str

    def obstacle(self) -> Block | frozenset[str] | None:
        """What is in its way: a limit, or what its place is short of."""
        if block := self.ledger.block(self.want.lane):
            return block
        return short(self.room, self.want.needs) or None

    def helps(self, one: Running, obstacle: Block | frozenset[str]) -> bool:
        if isinstance(obstacle, frozenset):
            return one.place == self.place and any(one.needs.get(name, 0.0) > 0 for name in obstacle)
        if obstacle.limit.resource in HOURS:
            return False
        near = self.ledger.related(obstacle.limit)
        return any(limit.id in near for limit, _ in self.ledger.covering(one.lane))

    def give_back(self, one: Running, *, times: int = 1) -> None:
        self.ledger.hold(one.lane, -times)
        if self.room is not None and one.place == self.place:
            for name, amount in one.needs.items():
                self.room[name] = self.room.get(name, 0.0) + times * amount


def short(room: Room | None, needs: Mapping[str, float]) -> frozenset[str]:
    if room is None:
        return frozenset()
    return frozenset(name for name, amount in needs.items() if amount > room.get(name, 0.0) + EPSILON)
