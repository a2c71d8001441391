"""The rules of admission, pure: limits, what is held against them, and whether one more may start.

1. A limit counts what all lanes of its scope hold together. One more may start where no limit that covers it is
   exceeded by it.
2. A guaranteed share is kept free for its scope in every wider limit of that resource, whether or not it is used.
3. A limit that borrows may be exceeded by what its lender does not use, beyond what the lender is guaranteed. What is
   borrowed counts against the lender's limit. Nobody lends what he borrowed himself.
4. What has waited for long reserves what it is short of: nobody else gets it before, except of his guaranteed share.
5. Of hours in a window what was used counts; while it is below the limit, one more may start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from scheduler.quotas.resources import HOURS, LAUNCHES, PAUSES, SETTINGS, WEIGHT, words

EPSILON = 1e-6
EVERYTHING, PROJECT, DOMAIN, USER, LAUNCH_PLAN = "everything", "project", "domain", "user", "launch_plan"


@dataclass(frozen=True)
class Lane:
    """What attempts have in common as far as limits are concerned (scheduler.models.Lane)."""

    id: int
    project: str = ""
    domain: str = ""
    user: str = ""
    launch_plan: str = ""
    priority: int = 0
    demand: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Scope:
    kind: str = EVERYTHING
    project: str = ""
    domain: str = ""
    user: str = ""
    launch_plan: str = ""

    def covers(self, lane: Lane) -> bool:
        if self.kind == EVERYTHING:
            return True
        if self.kind == USER:
            return self.user == lane.user
        if self.project != lane.project or (self.kind != PROJECT and self.domain != lane.domain):
            return False
        return self.kind != LAUNCH_PLAN or self.launch_plan == lane.launch_plan

    def contains(self, other: Scope) -> bool:
        """Whether whatever the other covers is covered by this one too, and more."""
        if self == other or other.kind == EVERYTHING:
            return False
        if self.kind == EVERYTHING:
            return True
        if self.kind not in (PROJECT, DOMAIN) or other.kind == USER or self.project != other.project:
            return False
        if self.kind == PROJECT:
            return other.kind in (DOMAIN, LAUNCH_PLAN)
        return other.kind == LAUNCH_PLAN and self.domain == other.domain


@dataclass(frozen=True)
class Limit:
    id: int
    scope: Scope
    resource: str
    limit: float
    name: str = ""  # in words: `project a`
    guaranteed: float = 0.0
    lender: int | None = None
    lasting: bool = True  # False: it holds until some day, so that what exceeds it may fit later
    window: str = ""

    @property
    def title(self) -> str:
        return f"{self.resource} of {self.name or self.scope.kind}"


@dataclass(frozen=True)
class Block:
    """Why one of a lane may not start: the first limit in its way, with the numbers."""

    limit: Limit
    asks: float
    used: float
    kept: float = 0.0  # of what is not used: for others, who are guaranteed it or have waited for long

    @property
    def words(self) -> str:
        """For whoever reads what is blocked: of a user's quota without what that user has elsewhere."""
        return self.told(numbers=self.limit.scope.kind != USER)

    def told(self, *, numbers: bool) -> str:
        of, limit = self.limit.resource, self.limit
        if not numbers:
            said = f"asks for {words(of, self.asks)} {of}, more than is free"
            if of in HOURS or of == LAUNCHES:
                said = f"the {of} of this {limit.window or 'minute'} are used up"
        elif of in HOURS:
            said = f"{words(of, self.used)} of {words(of, limit.limit)} {of} of this {limit.window} are used"
        elif of == LAUNCHES:
            said = f"{words(of, self.used)} of {words(of, limit.limit)} launches a minute have started"
        else:
            said = (
                f"asks for {words(of, self.asks)} {of}, {words(of, self.used)} of {words(of, limit.limit)} are in use"
            )
        if numbers and self.kept > EPSILON:
            said += f" and {words(of, self.kept)} kept for others"
        if numbers and limit.lender is not None:
            said += ", and nobody lends it so much now"
        return f"{said} (quota of {limit.name or limit.scope.kind})"


Covering = dict[int, list[tuple[Limit, float]]]  # by a lane's number


class Ledger:
    """What is held against the limits. Amounts of a lane are those of one attempt of it.

    `covering`: which limits count which lanes, as earlier ledgers of the same limits found out.
    """

    def __init__(
        self,
        limits: Collection[Limit],
        spent: Mapping[int, float] | None = None,
        covering: Covering | None = None,
    ) -> None:
        self.limits = {one.id: one for one in limits if one.resource not in SETTINGS}
        self.weights = {one.scope.project: one.limit for one in limits if one.resource == WEIGHT}
        self.used: dict[int, float] = defaultdict(float, spent or {})
        self.reserved: dict[int, float] = {}
        self._covering = {} if covering is None else covering
        self._blocks: dict[int, Block | None] = {}  # by a lane's number, as long as nothing changes
        self._nevers: dict[int, Block | None] = {}
        self._borrowers: dict[int, list[Limit]] = defaultdict(list)
        for one in self.limits.values():
            if one.lender in self.limits:
                self._borrowers[one.lender].append(one)

    def hold(self, lane: Lane, count: float = 1) -> None:
        """So many of the lane are held; negative: given back."""
        self._blocks.clear()
        for limit, amount in self.covering(lane):
            if limit.resource not in HOURS:
                self.used[limit.id] += amount * count

    def covering(self, lane: Lane) -> list[tuple[Limit, float]]:
        """Limits that count the lane, and what one of it asks for."""
        found = self._covering.get(lane.id)
        if found is None:
            found = []
            for limit in self.limits.values():
                amount = lane.demand.get(HOURS.get(limit.resource, limit.resource), 0.0)
                if amount > 0 and limit.scope.covers(lane):
                    found.append((limit, amount))
            self._covering[lane.id] = found
        return found

    def block(self, lane: Lane) -> Block | None:
        """What keeps one more of the lane from starting now; None: it may."""
        if lane.id not in self._blocks:
            blocks = (self._block(limit, amount, lane) for limit, amount in self.covering(lane))
            self._blocks[lane.id] = next((found for found in blocks if found is not None), None)
        return self._blocks[lane.id]

    def blocking(self, lane: Lane) -> list[Limit]:
        """All that keep one more of the lane from starting now."""
        return [limit for limit, amount in self.covering(lane) if self._block(limit, amount, lane) is not None]

    def _block(self, limit: Limit, amount: float, lane: Lane) -> Block | None:
        used = self.total(limit)
        if limit.resource in HOURS:
            return Block(limit, amount, used) if used >= limit.limit - EPSILON else None
        kept = self._guaranteed_to_others(limit, lane)
        if limit.id in self.reserved and not self._is_guaranteed(limit, amount, lane):
            kept += self.reserved[limit.id]
        if used + amount + kept <= limit.limit + EPSILON:
            return None
        lacking = used + amount + kept - max(limit.limit, used)
        if limit.lender is not None and self._lends(limit.lender, lacking):
            return None
        return Block(limit, amount, used, kept)

    def _is_guaranteed(self, limit: Limit, amount: float, lane: Lane) -> bool:
        """Whether one more is within a share that is guaranteed to it inside the limit."""
        return any(
            one.scope.covers(lane) and self.used[one.id] + amount <= one.guaranteed + EPSILON
            for one in self._guarantees.get(limit.id, ())
        )

    def total(self, limit: Limit) -> float:
        """What counts against it, lent amounts too."""
        return self.used[limit.id] + sum(self._overflow(one) for one in self._borrowers[limit.id])

    def _overflow(self, limit: Limit) -> float:
        return max(0.0, self.total(limit) - limit.limit)

    def related(self, limit: Limit) -> set[int]:
        """The limits whose use may count against it: itself, whom it borrows from, and all who borrow from these."""
        found, ahead = set(), [limit.id]
        while ahead:
            one = self.limits.get(ahead.pop())
            if one is not None and one.id not in found:
                found.add(one.id)
                ahead += [borrower.id for borrower in self._borrowers.get(one.id, ())]
                ahead += [one.lender] if one.lender is not None else []
        return found

    def _lends(self, lender: int, amount: float) -> bool:
        limit = self.limits.get(lender)
        if limit is None:  # it is not valid now
            return False
        own = max(0.0, limit.guaranteed - self.used[limit.id]) + self.reserved.get(limit.id, 0.0)
        return amount <= limit.limit - self.total(limit) - own + EPSILON

    def _guaranteed_to_others(self, limit: Limit, lane: Lane) -> float:
        return sum(
            max(0.0, one.guaranteed - self.used[one.id])
            for one in self._guarantees.get(limit.id, ())
            if not one.scope.covers(lane)
        )

    @cached_property
    def _guarantees(self) -> dict[int, list[Limit]]:
        """By a limit: the guarantees inside it; of those within one another the widest."""
        found: dict[int, list[Limit]] = {}
        promised = [one for one in self.limits.values() if one.guaranteed > 0]
        for limit in self.limits.values() if promised else ():
            inside = [o for o in promised if o.resource == limit.resource and limit.scope.contains(o.scope)]
            widest = [one for one in inside if not any(other.scope.contains(one.scope) for other in inside)]
            if widest:
                found[limit.id] = widest
        return found

    def reserve(self, lane: Lane) -> None:
        """Keep for the lane what it is short of: in the narrowest limits that are in its way, for what is kept in wider
        ones would lie idle until those let it go. Of one limit nothing is kept for two.
        """
        short = [
            (limit, amount)
            for limit, amount in self.covering(lane)
            if limit.resource not in HOURS and self._block(limit, amount, lane) is not None
        ]
        for limit, amount in short:
            is_wider = any(limit.scope.contains(other.scope) for other, _ in short)
            if not is_wider and limit.id not in self.reserved and limit.lender is None:
                self.reserved[limit.id] = amount
                self._blocks.clear()

    def never(self, lane: Lane) -> Block | None:
        """A limit that one of the lane exceeds even when nothing else runs."""
        if lane.id not in self._nevers:
            self._nevers[lane.id] = self._never(lane)
        return self._nevers[lane.id]

    def _never(self, lane: Lane) -> Block | None:
        for limit, amount in self.covering(lane):
            if not limit.lasting or limit.resource in PAUSES:
                continue
            promised = [one.guaranteed for one in self._guarantees.get(limit.id, ()) if not one.scope.covers(lane)]
            if amount > self._largest(limit) - sum(promised) + EPSILON:
                return Block(limit, amount, self.total(limit), sum(promised))
        return None

    def _largest(self, limit: Limit) -> float:
        """What one may ever have of it, when nobody else uses anything."""
        if limit.lender is None:
            return limit.limit
        lender = self.limits.get(limit.lender)
        if lender is None:  # it is not valid now, and may be later
            return float("inf")
        return limit.limit + max(0.0, lender.limit - lender.guaranteed)


def circle(lenders: Mapping[int, int | None], start: int) -> list[int]:
    """The way of borrowing from `start` back to it, or into another circle; empty: it ends somewhere."""
    way = [start]
    while (following := lenders.get(way[-1])) is not None:
        if following in way:
            return [*way, following]
        way.append(following)
    return []


def weight(weights: Mapping[str, float], project: str) -> float:
    return weights.get(project, 1.0)


def cost(demand: Mapping[str, float]) -> float:
    """By what projects are compared in turns: the largest of its cores, of 4 GiB of memory, of a sixteenth of a GPU."""
    return max(0.125, demand.get("cpu", 0.0), demand.get("memory", 0.0) / 2**32, 16 * demand.get("nvidia.com/gpu", 0.0))


def costs(held: Iterable[tuple[Lane, int]], *, beside: Mapping[str, float] | None = None) -> dict[str, float]:
    """Of what each project holds, beside what it costs already."""
    found: dict[str, float] = defaultdict(float, beside or {})
    for lane, count in held:
        found[lane.project] += cost(lane.demand) * count
    return found
