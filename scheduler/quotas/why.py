"""Why something waits: one reason of a closed list, with numbers, worked out when somebody asks.

Nothing is written for it: ten thousand that wait cost nothing, and the numbers are those of now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, get_args

from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from scheduler.models import Execution, ExecutorInstance, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.quotas import admission, estimate, lanes, reading
from scheduler.quotas.estimate import Asking, Attempts
from scheduler.quotas.resources import LAUNCHES, words
from scheduler.quotas.rules import Block, Lane, Ledger, Limit

Code = Literal["quota", "capacity", "priority", "launch limit", "parallelism", "gate", "schedule", "cluster away"]
CODES: tuple[Code, ...] = get_args(Code)
NEXTS = 20
AWAY = timedelta(seconds=30)  # an executor unheard of for so long is away
# What clusters say of pods that they have no room for, or are not reached for
SAID: dict[str, Code] = {
    "QuotaExceeded": "quota",
    "SchedulingGated": "quota",
    "Queued": "quota",
    "QueueFull": "quota",
    "QueueTooSmall": "quota",
    "QueueStopped": "quota",
    "QueueClosed": "quota",
    "QueueMissing": "quota",
    "QueueUnseen": "quota",
    "KueueChecks": "quota",
    "KueueDeactivated": "quota",
    "Unschedulable": "capacity",
    "Scheduling": "capacity",
    "NoNodeLargeEnough": "capacity",
    "NoNodeFits": "capacity",
    "ClusterBusy": "cluster away",
    "KueueSilent": "cluster away",
    "WebhookAway": "cluster away",
    "Submitting": "cluster away",
}


@dataclass(frozen=True)
class Why:
    code: Code
    message: str
    since: datetime
    place: int = 0  # in line, 1 is next; 0: not asked for
    of: int = 0  # how many stand in that line; 0: not asked for
    starts_at: datetime | None = None  # about when it goes on, where something is known of that

    @property
    def words(self) -> str:
        place = f"; number {self.place} of {self.of} in line" if self.of else ""
        about = f"; about {self.starts_at:%Y-%m-%d %H:%M} UTC" if self.starts_at and self.of else ""
        return f"{self.code}: {self.message}{place}{about}"


class Picture:
    """What limits say now; each thing is read once, when it is first asked for."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or timezone.now()
        self._limits: tuple[Limit, ...] | None = None
        self._ledger: Ledger | None = None
        self._instances: list[ExecutorInstance] | None = None
        self._turns: Ledger | None = None
        self._blocks: dict[int, Block | None] = {}
        self.attempts = Attempts(self.now)
        self.nexts: dict[int, datetime | None] = {}  # by limit of executions: when the next one starts

    @property
    def limits(self) -> tuple[Limit, ...]:
        if self._limits is None:
            self._limits = reading.limits(self.now)
        return self._limits

    @property
    def ledger(self) -> Ledger:
        """Of attempts."""
        if self._ledger is None:
            self._ledger = reading.ledger(self.limits, reading.held(), now=self.now)
        return self._ledger

    @property
    def of_executions(self) -> Ledger:
        if self._turns is None:
            self._turns = admission.used(self.now)
        return self._turns

    def look_at(self, numbers: Iterable[int | None]) -> None:
        """These lanes are going to be asked about: their rows are read at once."""
        asked = {number for number in numbers if number is not None}
        if asked and self.limits:
            lanes.load(asked)

    def block(self, number: int | None) -> Block | None:
        """What keeps an attempt of the lane of that number from starting now."""
        if number is None or not self.limits:
            return None
        lane = lanes.load([number]).get(number)
        if lane is None:
            return None
        if number not in self._blocks:
            self._blocks[number] = self.ledger.block(lane)
        return self._blocks[number]

    @property
    def alive(self) -> list[ExecutorInstance]:
        if self._instances is None:
            self._instances = list(ExecutorInstance.objects.filter(seen_at__gt=self.now - AWAY))
        return self._instances

    def instances(self, executor: str, cluster: str) -> list[ExecutorInstance]:
        """Those alive."""
        return [one for one in self.alive if (one.executor, one.cluster) == (executor, cluster)]


class Queued(NamedTuple):
    """What of an attempt says why it is not claimed."""

    executor: str
    cluster: str
    lane: int | None
    reason: str
    since: datetime


def of_queued(one: Queued, picture: Picture) -> Why:
    """Of an attempt that no executor has claimed."""
    if block := picture.block(one.lane):
        return Why("quota", block.words, one.since)
    alive = picture.instances(one.executor, one.cluster)
    if not alive:
        where = f"cluster {one.cluster}" if one.cluster else f"executor {one.executor}"
        return Why("cluster away", f"nothing has been heard of the {where} for {AWAY.seconds} s", one.since)
    if one.reason:
        return Why("capacity", f"{one.reason}{_capacity(alive)}", one.since)
    return Why("priority", "others come first: it is claimed at its turn", one.since)


def says_waiting(reason: str) -> bool:
    """Whether a place says of an attempt that it holds that it waits in line; else it makes something ready."""
    return reason.partition(": ")[0] in SAID


def of_held(reason: str, since: datetime) -> Why:
    """Of an attempt that waits where it is held, by what is said there."""
    code, _, message = reason.partition(": ")
    return Why(SAID.get(code, "capacity"), message or code or "its place has no room for it yet", since)


def _capacity(alive: Iterable[ExecutorInstance]) -> str:
    """What the machines have in all, where they say it."""
    totals = _totals(alive)
    told = [f"{words(name, totals[name])} {name}" for name in ("cpu", "memory", "gpu") if totals[name]]
    return f"; there are {', '.join(told)} in all" if told else ""


def _totals(alive: Iterable[ExecutorInstance]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for one in alive:
        totals.update({name: float(number) for name, number in one.capacity.items()})
    return totals


_AHEAD = f"""
SELECT count(*) FILTER (WHERE priority > %s OR (priority = %s AND id < %s)), count(*) FROM scheduler_taskexecution
WHERE phase = {int(AttemptPhase.QUEUED)} AND
"""  # noqa: S608 - constants


class Place(NamedTuple):
    """In a line of `of`, 1 is next; and about when its turn comes, where something is known of that."""

    place: int
    of: int
    starts_at: datetime | None = None


def place_of_attempt(row: TaskExecution, picture: Picture) -> Place:
    """Of a queued one, by priority and age, among those that wait for the same: under one limit, or at one executor."""
    block, of_row = picture.block(row.lane), [row.priority, row.priority, row.pk]
    with connection.cursor() as cursor:
        if block is not None:
            known = waiting_lanes()
            ids = [lane.id for lane in known if block.limit in [limit for limit, _ in picture.ledger.covering(lane)]]
            cursor.execute(f"{_AHEAD} lane = ANY(%s)", [*of_row, ids])
        else:
            cursor.execute(f"{_AHEAD} executor = %s AND cluster = %s", [*of_row, row.executor, row.cluster])
        ahead, of = cursor.fetchone()
    asking = Asking(row.pk, row.priority, row.lane, row.executor, row.cluster, row.reason)
    return Place(ahead + 1, max(of, ahead + 1), starts_at(asking, picture))


def starts_at(one: Asking, picture: Picture) -> datetime | None:
    """About when an executor claims it; None: nothing is known of that."""
    alive = picture.instances(one.executor, one.cluster)
    if not alive:
        return None
    block = picture.block(one.lane)
    return picture.attempts.starts_at(one, block, picture.ledger if block is not None else None, _totals(alive))


_WAITING_LANES = f"""
SELECT lane, executor, cluster, reason, count(*), min(created_at) FROM scheduler_taskexecution
WHERE phase = {int(AttemptPhase.QUEUED)} GROUP BY lane, executor, cluster, reason
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class InLane:
    """Attempts that wait in a lane at an executor, and say the same reason."""

    executor: str
    cluster: str
    reason: str
    count: int
    since: datetime


def waiting_lanes() -> dict[Lane, list[InLane]]:
    """All that wait."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_LANES)
        rows = cursor.fetchall()
    known = lanes.load({row[0] for row in rows if row[0] is not None})
    found: dict[Lane, list[InLane]] = {}
    for number, executor, cluster, reason, count, since in rows:
        lane = known.get(number) or Lane(0)
        found.setdefault(lane, []).append(InLane(executor, cluster, reason, count, since))
    return found


def place_of_execution(execution: Execution, picture: Picture) -> Place:
    """Of one that has not begun, as `place_of_attempt`."""
    block = _block_of_execution(execution, picture)
    rows = Execution.objects.filter(waits_since__isnull=False, phase=execution.phase)
    if block is not None:
        rows = rows.filter(admission.of_scope(block.limit.scope))
    before = Q(priority__gt=execution.priority) | Q(priority=execution.priority, pk__lt=execution.pk)
    counts = rows.aggregate(ahead=Count("pk", filter=before), of=Count("pk"))
    place = counts["ahead"] + 1
    return Place(place, max(counts["of"], place), estimate.of_execution(block, place, picture.now))


def next_of_executions(execution: Execution, picture: Picture) -> datetime | None:
    """About when it starts, if nobody else comes first: the same of all that one limit keeps. Of NEXTS limits; beyond
    these nobody looks."""
    block = _block_of_execution(execution, picture)
    if block is None:
        return None
    if block.limit.id not in picture.nexts:
        told = len(picture.nexts) < NEXTS
        picture.nexts[block.limit.id] = estimate.of_execution(block, 1, picture.now) if told else None
    return picture.nexts[block.limit.id]


def of_waiting(executions: Sequence[Execution], picture: Picture | None = None) -> dict[int, Why]:
    """By primary key, of executions that wait for their turn, with their launch plans."""
    picture = picture or Picture()
    return {one.pk: _of_waiting(one, picture) for one in executions}


def _of_waiting(execution: Execution, picture: Picture) -> Why:
    since = execution.waits_since or execution.created_at
    block = _block_of_execution(execution, picture)
    if block is None:
        return Why("priority", "others come first: it starts at its turn", since)
    return Why("launch limit" if block.limit.resource == LAUNCHES else "quota", block.words, since)


def _block_of_execution(execution: Execution, picture: Picture) -> Block | None:
    plan = execution.launch_plan.name if execution.launch_plan is not None else ""
    return keeps(picture, execution.project, execution.domain, execution.principal, plan)


def keeps(picture: Picture, project: str, domain: str, user: str, launch_plan: str) -> Block | None:
    """What keeps such an execution from starting."""
    return picture.of_executions.block(_lane_of_execution(project, domain, user, launch_plan))


def keeping(picture: Picture, project: str, domain: str, user: str, launch_plan: str) -> list[Limit]:
    """All that do."""
    return picture.of_executions.blocking(_lane_of_execution(project, domain, user, launch_plan))


def _lane_of_execution(project: str, domain: str, user: str, launch_plan: str) -> Lane:
    number = lanes.number_of(
        project=project, domain=domain, user=user, launch_plan=launch_plan, priority=0, resources={},
        demand=admission.DEMAND,
    )  # fmt: skip
    return Lane(number, project, domain, user, launch_plan, demand=admission.DEMAND)
