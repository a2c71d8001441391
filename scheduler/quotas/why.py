"""Why something waits: one reason of a closed list, with numbers, worked out when somebody asks.

Nothing is written for it: ten thousand that wait cost nothing, and the numbers are those of now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone
from flyteidl.admin import execution_pb2

from scheduler import pauses
from scheduler.models import Execution, ExecutorInstance, Gate, NodeExecution, TaskExecution
from scheduler.phases import EXECUTION_TERMINAL, AttemptPhase, ExecutionPhase, NodePhase
from scheduler.quotas import admission, lanes, reading
from scheduler.quotas.resources import LAUNCHES, words
from scheduler.quotas.rules import Block, Lane, Ledger, Limit

Code = Literal["quota", "capacity", "priority", "launch limit", "parallelism", "gate", "schedule", "cluster away"]
CODES: tuple[Code, ...] = get_args(Code)
AWAY = timedelta(seconds=30)  # an executor unheard of for so long is away
# What clusters say of pods that they have no room for, or are not reached for
_SAID: dict[str, Code] = {
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
    of: int = 0  # how many stand in that line

    @property
    def words(self) -> str:
        place = f"; number {self.place} of {self.of} in line" if self.place else ""
        return f"{self.code}: {self.message}{place}"


class Picture:
    """What limits say now; each thing is read once, when it is first asked for."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or timezone.now()
        self._limits: tuple[Limit, ...] | None = None
        self._ledger: Ledger | None = None
        self._instances: list[ExecutorInstance] | None = None
        self._turns: Ledger | None = None

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

    def instances(self, executor: str, cluster: str) -> list[ExecutorInstance]:
        """Those alive."""
        if self._instances is None:
            self._instances = list(ExecutorInstance.objects.filter(seen_at__gt=self.now - AWAY))
        return [one for one in self._instances if (one.executor, one.cluster) == (executor, cluster)]


def of_attempt(row: TaskExecution) -> Why | None:
    """With its place in line; None: it does not wait."""
    picture = Picture()
    why = _of_attempt(row, picture)
    return _placed(row, why, picture) if why is not None else None


def of_attempts(rows: Sequence[TaskExecution], picture: Picture | None = None) -> dict[int, Why]:
    """By primary key; those that wait."""
    waiting = [row for row in rows if row.phase in _WAITING]
    if not waiting:
        return {}
    picture = picture or Picture()
    lanes.load({row.lane for row in waiting if row.lane is not None})
    found = {row.pk: _of_attempt(row, picture) for row in waiting}
    return {pk: why for pk, why in found.items() if why is not None}


_WAITING = (AttemptPhase.QUEUED, AttemptPhase.INITIALIZING, AttemptPhase.WAITING_FOR_RESOURCES)


def _of_attempt(row: TaskExecution, picture: Picture) -> Why | None:
    if row.phase != AttemptPhase.QUEUED:
        return _of_held(row)
    block = _block(row, picture)
    if block is not None:
        return Why("quota", block.words, row.created_at)
    alive = picture.instances(row.executor, row.cluster)
    if not alive:
        where = f"cluster {row.cluster}" if row.cluster else f"executor {row.executor}"
        return Why("cluster away", f"nothing has been heard of the {where} for {AWAY.seconds} s", row.created_at)
    if row.reason:
        return Why("capacity", f"{row.reason}{_capacity(alive)}", row.created_at)
    return Why("priority", "others come first: it is claimed at its turn", row.created_at)


def _block(row: TaskExecution, picture: Picture) -> Block | None:
    if not picture.limits or row.lane is None:
        return None
    lane = lanes.load([row.lane]).get(row.lane)
    return picture.ledger.block(lane) if lane is not None else None


def _capacity(alive: Iterable[ExecutorInstance]) -> str:
    """What the machines have in all, where they say it."""
    totals: Counter[str] = Counter()
    for one in alive:
        totals.update({name: float(number) for name, number in one.capacity.items()})
    told = [f"{words(name, totals[name])} {name}" for name in ("cpu", "memory", "gpu") if totals[name]]
    return f"; there are {', '.join(told)} in all" if told else ""


def _of_held(row: TaskExecution) -> Why | None:
    """Of what its cluster says; what it does meanwhile (pulling an image) is no waiting in line."""
    code, _, message = row.reason.partition(": ")
    return Why(_SAID[code], message or code, row.updated_at) if code in _SAID else None


_AHEAD = f"""
SELECT count(*) FILTER (WHERE priority > %s OR (priority = %s AND id < %s)), count(*) FROM scheduler_taskexecution
WHERE phase = {int(AttemptPhase.QUEUED)} AND
"""  # noqa: S608 - constants


def _placed(row: TaskExecution, why: Why, picture: Picture) -> Why:
    """Its place, by priority and age, among those that wait for the same: under one limit, or at one executor."""
    if row.phase != AttemptPhase.QUEUED:
        return why
    block, of_row = _block(row, picture), [row.priority, row.priority, row.pk]
    with connection.cursor() as cursor:
        if block is not None:
            known = waiting_lanes()
            ids = [lane.id for lane in known if block.limit in [limit for limit, _ in picture.ledger.covering(lane)]]
            cursor.execute(f"{_AHEAD} lane = ANY(%s)", [*of_row, ids])
        else:
            cursor.execute(f"{_AHEAD} executor = %s AND cluster = %s", [*of_row, row.executor, row.cluster])
        ahead, of = cursor.fetchone()
    return replace(why, place=ahead + 1, of=max(of, ahead + 1))


_WAITING_LANES = f"""
SELECT lane, executor, cluster, count(*), min(created_at) FROM scheduler_taskexecution
WHERE phase = {int(AttemptPhase.QUEUED)} GROUP BY lane, executor, cluster
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class InLane:
    """Attempts that wait in a lane at an executor."""

    executor: str
    cluster: str
    count: int
    since: datetime


def waiting_lanes() -> dict[Lane, list[InLane]]:
    """All that wait."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_LANES)
        rows = cursor.fetchall()
    known = lanes.load({row[0] for row in rows if row[0] is not None})
    found: dict[Lane, list[InLane]] = {}
    for number, executor, cluster, count, since in rows:
        lane = known.get(number) or Lane(0)
        found.setdefault(lane, []).append(InLane(executor, cluster, count, since))
    return found


def of_execution(execution: Execution) -> Why | None:
    """With its place in line; None: it does not wait, or has ended."""
    picture = Picture()
    why = of_executions([execution], picture).get(execution.pk)
    if why is None:
        return None
    if execution.waits_since is not None:
        return _placed_execution(execution, why, picture)
    if (attempt := _active_attempts([execution.pk])[0].get(execution.pk)) is not None:
        return _placed(attempt, why, picture)
    return why


def _placed_execution(execution: Execution, why: Why, picture: Picture) -> Why:
    block = _block_of_execution(execution, picture)
    rows = Execution.objects.filter(waits_since__isnull=False, phase=execution.phase)
    if block is not None:
        scope = block.limit.scope
        names = {"project": scope.project, "domain": scope.domain, "principal": scope.user}
        rows = rows.filter(**{name: value for name, value in names.items() if value})
        if scope.launch_plan:
            rows = rows.filter(launch_plan__name=scope.launch_plan)
    before = Q(priority__gt=execution.priority) | Q(priority=execution.priority, pk__lt=execution.pk)
    counts = rows.aggregate(ahead=Count("pk", filter=before), of=Count("pk"))
    return replace(why, place=counts["ahead"] + 1, of=max(counts["of"], counts["ahead"] + 1))


def of_executions(executions: Sequence[Execution], picture: Picture | None = None) -> dict[int, Why]:
    """By primary key: those that wait, or of which nothing runs and some attempt waits."""
    # Over, about to be, or not looked at yet
    unmoved = (*EXECUTION_TERMINAL, ExecutionPhase.ABORTING, ExecutionPhase.UNDEFINED)
    live = [one for one in executions if one.phase not in unmoved]
    if not live:
        return {}
    picture = picture or Picture()
    found: dict[int, Why] = {}
    for one in live:
        if one.waits_since is not None:
            found[one.pk] = _of_waiting(one, picture)
    rest = [one.pk for one in live if one.pk not in found]
    waiting, running = _active_attempts(rest)
    of_rows = of_attempts(list(waiting.values()), picture)
    found |= {pk: of_rows[row.pk] for pk, row in waiting.items() if row.pk in of_rows}
    return found | _inside([one for one in live if one.pk not in found and one.pk not in waiting], running)


def of_waiting(executions: Sequence[Execution], picture: Picture | None = None) -> dict[int, Why]:
    """By primary key, of executions that wait for their turn, with their launch plans."""
    picture = picture or Picture()
    return {one.pk: _of_waiting(one, picture) for one in executions}


def blocked(numbers: Collection[int]) -> dict[int, Block]:
    """Those of the lanes that a limit stops now, by their numbers."""
    picture = Picture() if numbers else None
    if picture is None or not picture.limits:
        return {}
    known = lanes.load(numbers)
    found = ((number, picture.ledger.block(lane)) for number, lane in known.items())
    return {number: block for number, block in found if block is not None}


def _of_waiting(execution: Execution, picture: Picture) -> Why:
    since = execution.waits_since or execution.created_at
    block = _block_of_execution(execution, picture)
    if block is None:
        return Why("priority", "others come first: it starts at its turn", since)
    return Why("launch limit" if block.limit.resource == LAUNCHES else "quota", block.words, since)


def _block_of_execution(execution: Execution, picture: Picture) -> Block | None:
    plan = execution.launch_plan.name if execution.launch_plan is not None else ""
    lane = Lane(
        execution.pk, execution.project, execution.domain, execution.principal, plan, demand=admission.DEMAND
    )  # its number is of no other: those of counts are negative
    return picture.of_executions.block(lane)


_FIRST = f"""
SELECT given.id, found.id, found.phase FROM unnest(%s::bigint[]) AS given (id) CROSS JOIN LATERAL (
    SELECT attempt.id, attempt.phase FROM scheduler_nodeexecution node
    JOIN scheduler_taskexecution attempt ON attempt.node_id = node.id
    WHERE node.execution_id = given.id AND node.phase = ANY(%s) AND attempt.phase = ANY(%s)
    ORDER BY attempt.phase = {int(AttemptPhase.RUNNING)} DESC, attempt.id LIMIT 1
) AS found
"""  # noqa: S608 - constants


def _active_attempts(ids: Collection[int]) -> tuple[dict[int, TaskExecution], set[int]]:
    """By execution the oldest attempt that waits, of those of which none runs; and those of which one runs."""
    if not ids:
        return {}, set()
    nodes = [int(phase) for phase in (NodePhase.QUEUED, NodePhase.RUNNING, NodePhase.DYNAMIC_RUNNING)]
    with connection.cursor() as cursor:
        cursor.execute(_FIRST, [list(ids), nodes, [int(phase) for phase in (*_WAITING, AttemptPhase.RUNNING)]])
        found = cursor.fetchall()
    running = {execution for execution, _, phase in found if phase == AttemptPhase.RUNNING}
    first = {execution: pk for execution, pk, _ in found if execution not in running}
    rows = TaskExecution.objects.defer("command").in_bulk(list(first.values())) if first else {}
    return {execution: rows[pk] for execution, pk in first.items() if pk in rows}, running


def _inside(executions: Sequence[Execution], running: Collection[int]) -> dict[int, Why]:
    """Of what waits for itself: a decision, a place among its own nodes, a time. `running`: of which a program runs,
    so that the execution as a whole waits for no decision and no time.
    """
    if not executions:
        return {}
    still = [one.pk for one in executions if one.pk not in running]
    timed = [one.pk for one in executions if one.pk not in running and one.wake_at is not None]
    return _pauses(timed) | _parked([one.pk for one in executions]) | _gates(still)


def _gates(ids: Collection[int]) -> dict[int, Why]:
    gates = Gate.objects.filter(execution_id__in=ids, decided_at=None, waiting_since__isnull=False).order_by("-id")
    return {
        execution: Why("gate", f"{name} has not been decided", since or timezone.now())
        for execution, name, since in gates.values_list("execution_id", "signal_id", "waiting_since")
    }


def _parked(ids: Collection[int]) -> dict[int, Why]:
    parked = NodeExecution.objects.filter(execution_id__in=ids, parked=True).order_by("-id")
    counts: Counter[int] = Counter()
    since: dict[int, datetime] = {}
    for execution, at in parked.values_list("execution_id", "updated_at")[:5000]:
        counts[execution] += 1
        since[execution] = at
    specs = dict(Execution.objects.filter(pk__in=counts).values_list("pk", "spec")) if counts else {}
    found = {}
    for execution, spec in specs.items():
        most = execution_pb2.ExecutionSpec.FromString(bytes(spec)).max_parallelism
        told = f"{counts[execution]} nodes wait for one of {most} places (max_parallelism)"
        found[execution] = Why("parallelism", told, since[execution])
    return found


def _pauses(ids: Collection[int]) -> dict[int, Why]:
    """Of each the time that comes first."""
    if not ids:
        return {}
    rows = pauses.of(ids, now=timezone.now()).order_by("-wake_at").values_list("execution_id", "wake_at", "updated_at")
    return {
        execution: Why("schedule", f"it goes on at {until:%Y-%m-%d %H:%M:%S} UTC", since)
        for execution, until, since in rows
    }
