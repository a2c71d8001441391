"""What doors show of pods that stay: pools of a cluster, how full they are, and which attempts run where."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.clusters import OVERVIEW_SECONDS, Shown
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.clusters import KIND
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase

if TYPE_CHECKING:
    from scheduler.executors.kubernetes.reuse.seen import SeenPool

MOST = 500  # attempts shown


@dataclass(frozen=True)
class Busy:
    """An attempt that runs in a pod that stays."""

    project: str
    domain: str
    execution: str
    node: str
    index: int  # item of a map; -1: none
    namespace: str
    pod: str
    attempt_id: int


@dataclass(frozen=True)
class Pools:
    pools: tuple[SeenPool, ...] = ()
    attempts: tuple[Busy, ...] = ()  # the oldest first
    problem: str = ""  # why the pods themselves cannot be seen


def pools(found: Shown) -> Pools:
    """Of a cluster that the caller may see; asked of it now, within OVERVIEW_SECONDS."""
    # Only here: the client of Kubernetes takes a second to import.
    from scheduler.executors.kubernetes import asking  # noqa: PLC0415
    from scheduler.executors.kubernetes.factory import owner  # noqa: PLC0415
    from scheduler.executors.kubernetes.reuse import seen  # noqa: PLC0415

    attempts = tuple(_busy(found.name))
    if found.cluster is None:
        return Pools((), attempts, found.problem)
    tasks, mark = Counter(f"{one.namespace}/{one.pod}" for one in attempts), owner()
    try:
        asked = asking.ask(found.cluster, lambda api: seen.look(api, mark, tasks), seconds=OVERVIEW_SECONDS)
    except asking.Unanswered as error:
        return Pools((), attempts, str(error))
    return Pools(asked, attempts)


def _busy(cluster: str) -> list[Busy]:
    rows = TaskExecution.objects.filter(
        executor=KIND, cluster=cluster, phase=AttemptPhase.RUNNING, handle__contains=f"/{names.POOL_POD}"
    ).order_by("pk")
    of = ("node__execution__project", "node__execution__domain", "node__execution__name", "node__node_id")
    return [
        Busy(*told, *handle.split("/", 1), number)
        for *told, handle, number in rows.values_list(*of, "index", "handle", "pk")[:MOST]
    ]
