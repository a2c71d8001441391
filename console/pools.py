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
_OF = "node__execution__"
SHOWN = (f"{_OF}project", f"{_OF}domain", f"{_OF}name", "node__node_id", "index", "handle")


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
        asked = asking.ask(found.cluster, lambda api: seen.look(api, mark, found.name, tasks), seconds=OVERVIEW_SECONDS)
    except asking.Unanswered as error:
        return Pools((), attempts, str(error))
    return Pools(asked, attempts)


def _busy(cluster: str) -> list[Busy]:
    rows = TaskExecution.objects.filter(
        executor=KIND, cluster=cluster, phase=AttemptPhase.RUNNING, handle__contains=f"/{names.POOL_POD}"
    ).order_by("pk")
    found = []
    for row in rows.select_related("node__execution").only(*SHOWN)[:MOST]:
        execution, (namespace, _, pod) = row.node.execution, row.handle.partition("/")
        place = (execution.project, execution.domain, execution.name)
        found.append(Busy(*place, row.node.node_id, row.index, namespace, pod, row.pk))
    return found
