"""What doors show of clusters, to administrators of the platform: settings, who set them, and signs of life."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Count

from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.described import Described, named
from scheduler import heartbeat
from scheduler.attempts.phases import HELD
from scheduler.executors.kubernetes import clusters
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster
from scheduler.models import ClusterSettings, ExecutorInstance, TaskExecution
from scheduler.phases import AttemptPhase

if TYPE_CHECKING:
    from scheduler.executors.kubernetes.overview import Overview

OVERVIEW_SECONDS = 15.0


@dataclass(frozen=True)
class Shown(Described[ClusterSettings]):
    """A cluster as people see it. `row` None: it stands in the settings file, and is changed there."""

    noun = "cluster"
    settings = "settings file"

    cluster: Cluster | None  # None: this version does not understand the description
    problem: str = ""
    seen_at: datetime | None = None  # when its executor was last alive
    attempts: int = 0  # on it, that have not ended

    @property
    def open(self) -> bool:
        return self.cluster is not None and self.cluster.open

    @property
    def state(self) -> str:
        """`open`, `draining` (closed, and attempts are on it still) or `closed`."""
        if self.open:
            return "open"
        return "draining" if self.attempts else "closed"

    @property
    def alive(self) -> bool:
        return heartbeat.is_recent(self.seen_at)

    @property
    def kubeconfig(self) -> str:
        """Where its kubeconfig is, in words; never what is in it."""
        if self.row is not None and self.row.sealed:
            return "set"
        return (self.cluster.kubeconfig if self.cluster else "") or "none: the pod that Causeway runs in"


def shown(user: User) -> list[Shown]:
    """All of them, those of the settings file first."""
    access.require(user, Action.ADMIN)
    seen, busy = _seen(), _busy()
    of_file = clusters.of_settings()
    named = {one.name for one in of_file}
    found = [Shown(one.name, _said(one), None, one, seen_at=seen.get(one.name)) for one in of_file]
    rows = ClusterSettings.objects.exclude(name__in=named).order_by("name")
    found += [_of_row(row, seen.get(row.name)) for row in rows]
    return [dataclasses.replace(one, attempts=busy.get(one.name, 0)) for one in found]


@dataclass(frozen=True)
class Kept:
    """A cluster of Spark, Dask or Ray that stays on a machine for later tasks (CAUSEWAY_REUSE_CLUSTER)."""

    machine: str
    project: str
    domain: str
    form: str
    image: str
    keep: int  # seconds that it waits for the next task
    since: datetime
    in_use: bool


def kept(user: User) -> list[Kept]:
    """Those that executors told of lately; for administrators of the platform."""
    access.require(user, Action.ADMIN)
    rows = ExecutorInstance.objects.exclude(kept=[]).order_by("name").values_list("name", "kept", "seen_at")
    return [
        Kept(machine=name, **{**one, "since": datetime.fromtimestamp(one["since"], timezone.utc)})
        for name, told, seen_at in rows
        if heartbeat.is_recent(seen_at)
        for one in told
    ]


def access_cluster(user: User, name: str) -> Shown:
    return named(Shown, shown(user), name)


def overview(found: Shown) -> Overview:
    """What it has and what is missing, within OVERVIEW_SECONDS. One that does not answer has no version."""
    # Only here: the client of Kubernetes takes a second to import.
    from scheduler.executors.kubernetes import asking, overview  # noqa: PLC0415

    if found.cluster is None:
        return overview.Overview((found.problem,))
    one, endpoint = found.cluster, os.environ.get("AWS_ENDPOINT_URL", "")
    try:
        return asking.ask(
            one,
            lambda api: overview.look(one, settings.CAUSEWAY_STORE_URL, endpoint, client=lambda _: api),
            seconds=OVERVIEW_SECONDS,
        )
    except asking.Unanswered as error:
        return overview.Overview((str(error),))


def _of_row(row: ClusterSettings, seen_at: datetime | None) -> Shown:
    try:
        return Shown(row.name, row.description, row, clusters.of_row(row), seen_at=seen_at)
    except BadCluster as error:
        return Shown(row.name, row.description, row, None, problem=str(error), seen_at=seen_at)


def _seen() -> dict[str, datetime]:
    rows = ExecutorInstance.objects.filter(executor=clusters.KIND).order_by("seen_at")
    return dict(rows.values_list("cluster", "seen_at"))


def _busy() -> dict[str, int]:
    """How many attempts that have not ended are on each cluster."""
    counts: Counter[str] = Counter()
    for phases in ((AttemptPhase.QUEUED,), HELD):  # each has an index of its own, both together none
        active = TaskExecution.objects.filter(executor=clusters.KIND, phase__in=phases)
        counts.update(dict(active.order_by().values_list("cluster").annotate(Count("pk"))))
    return dict(counts)


def _said(one: Cluster) -> dict[str, Any]:
    """What differs from the defaults."""
    given, default = dataclasses.asdict(one), dataclasses.asdict(Cluster())
    differing = {name: value for name, value in given.items() if value != default[name] and name != "name"}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in differing.items()}
