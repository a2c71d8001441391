"""Where work runs: every executor and cluster that is alive or has work, what it has and what is asked of it, and what
runs there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import redis
from django.db import connection
from django.utils import timezone

from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from scheduler import heartbeat
from scheduler.attempts.phases import HELD
from scheduler.models import ExecutorInstance, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.quotas.resources import words

MEASURED = ("cpu", "memory", "gpu")  # of TaskExecution.resources
LONGEST = 20  # of what runs: those that run longest
_COLUMN = "node__execution__"  # of TaskExecution

# What attempts that an executor has ask for, and how many they are; and how many nobody has yet.
_BUSY = """
    SELECT executor, cluster, 'held', count(*)::float8 FROM scheduler_taskexecution
    WHERE phase = ANY(%(held)s) GROUP BY executor, cluster
    UNION ALL
    SELECT executor, cluster, asked.key, sum(asked.value::float8)
    FROM scheduler_taskexecution CROSS JOIN LATERAL jsonb_each_text(resources) AS asked
    WHERE phase = ANY(%(held)s) AND asked.key = ANY(%(measured)s) GROUP BY executor, cluster, asked.key
    UNION ALL
    SELECT executor, cluster, 'queued', count(*) FROM scheduler_taskexecution
    WHERE phase = %(queued)s GROUP BY executor, cluster
"""


@dataclass(frozen=True)
class Load:
    """Of one resource: cores, bytes or devices."""

    resource: str
    asked: float
    capacity: float  # 0: the place does not say (a cluster places by itself)

    @property
    def percent(self) -> int | None:
        """Of the capacity that is asked for; None where none is known."""
        return round(100 * self.asked / self.capacity) if self.capacity else None

    @property
    def words(self) -> str:
        asked = words(self.resource, self.asked)
        return f"{asked} of {words(self.resource, self.capacity)}" if self.capacity else asked


@dataclass(frozen=True)
class Place:
    """An executor of this machine or another, or a cluster."""

    executor: str
    cluster: str  # empty: there is one of that kind
    processes: int  # alive
    seen_at: datetime | None  # None: never
    running: int
    queued: int
    loads: list[Load] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.cluster or self.executor

    @property
    def alive(self) -> bool:
        return self.processes > 0


@dataclass(frozen=True)
class Worker:
    """Processes of one kind that give signs of life; `alive` None: the broker that holds these does not answer."""

    kind: str
    does: str
    alive: bool | None


def places(user: User) -> list[Place]:
    """Those that said something within a day, and those that have work, by name; for whoever has a role anywhere. What
    is asked of a place is told in all, so that nobody learns whose work it is; a cluster is shown to who administers
    Causeway, and to whose projects have work there: its name may say what others do. Three statements at most.
    """
    known = access.known_projects(user)
    if known is not None and not known:
        return []
    may_see_all = access.can(user, Action.ADMIN)
    since = timezone.now() - timedelta(days=1)
    instances: dict[tuple[str, str], list[ExecutorInstance]] = defaultdict(list)
    for one in ExecutorInstance.objects.filter(seen_at__gt=since).order_by("name"):
        instances[one.executor, one.cluster].append(one)
    busy: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    with connection.cursor() as cursor:
        held = [int(phase) for phase in HELD]
        cursor.execute(_BUSY, {"held": held, "measured": list(MEASURED), "queued": int(AttemptPhase.QUEUED)})
        for executor, cluster, what, number in cursor.fetchall():
            busy[executor, cluster][what] = number
    keys = sorted({*instances, *busy})
    if not may_see_all:
        readable = access.readable(user, project=f"{_COLUMN}project", domain=f"{_COLUMN}domain")
        work = TaskExecution.objects.filter(readable, phase__in=(*HELD, AttemptPhase.QUEUED)).order_by()
        theirs = set(work.values_list("executor", "cluster").distinct())
        keys = [key for key in keys if not key[1] or key in theirs]
    return [_place(key, instances[key], busy[key]) for key in keys]


def _place(key: tuple[str, str], instances: Sequence[ExecutorInstance], busy: dict[str, float]) -> Place:
    alive = [one for one in instances if heartbeat.is_recent(one.seen_at)]
    capacity = _capacity(alive)
    loads = [Load(name, busy.get(name, 0.0), capacity[name]) for name in MEASURED if busy.get(name) or capacity[name]]
    seen_at = max((one.seen_at for one in instances), default=None)
    return Place(*key, len(alive), seen_at, int(busy.get("held", 0)), int(busy.get("queued", 0)), loads)


def _capacity(alive: Iterable[ExecutorInstance]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in alive:
        total.update({name: float(one.capacity.get(name) or 0) for name in MEASURED})
    return total


def workers() -> list[Worker]:
    """What evaluates, and what talks to strangers."""
    kinds = (("worker", "evaluates executions, triggers and schedules"), ("slow", "webhooks, mail, lineage, retention"))
    try:
        return [Worker(kind, does, heartbeat.is_alive(kind)) for kind, does in kinds]
    except redis.RedisError:  # whoever does not answer is asked once
        return [Worker(kind, does, None) for kind, does in kinds]


def running(user: User, *, project: str = "") -> list[TaskExecution]:
    """Attempts that run, of the projects the user may read: those that began first, at most LONGEST."""
    rows = TaskExecution.objects.filter(
        access.readable(user, project=f"{_COLUMN}project", domain=f"{_COLUMN}domain"), phase=AttemptPhase.RUNNING
    )
    rows = rows.filter(**{f"{_COLUMN}project": project}) if project else rows
    needed = ("name", "index", "executor", "cluster", "claimed_by", "resources", "started_at", "node__node_id")
    names = tuple(f"{_COLUMN}{name}" for name in ("project", "domain", "name", "principal"))
    return list(rows.select_related("node__execution").only(*needed, *names).order_by("started_at", "pk")[:LONGEST])


def asked(attempt: TaskExecution) -> str:
    """What it asks for, in words; empty: nothing."""
    found = [(name, attempt.resources.get(name)) for name in MEASURED]
    return ", ".join(f"{words(name, float(number))} {name}" for name, number in found if number)
