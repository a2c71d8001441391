"""What people see of an attempt that is a pod: what it waits for, where it is, and how to look at it themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from scheduler.attempts import wire
from scheduler.executors.kubernetes import clusters
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster
from scheduler.executors.kubernetes.links import by_name, kubectl, log_links
from scheduler.executors.kubernetes.names import is_shared
from scheduler.models import PhaseEvent, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, AttemptPhase, Machine

if TYPE_CHECKING:
    from scheduler.executors.kubernetes.looking import Look

WAITING = frozenset({AttemptPhase.INITIALIZING, AttemptPhase.WAITING_FOR_RESOURCES})
EVENTS_READ, HISTORY = 500, 50  # reasons shown
_SAID = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:: (.*))?", re.DOTALL)


@dataclass(frozen=True)
class Waiting:
    """`code`: a word that stays the same; `message`: the place's own words; `since`: when the code was first seen."""

    code: str
    message: str
    since: datetime


@dataclass(frozen=True)
class Past:
    """From `at` on it was in this phase, for this reason; it was told so many times, with other numbers in it."""

    at: datetime
    phase: int
    code: str
    reason: str
    times: int = 1


@dataclass(frozen=True)
class Pod:
    """Where an attempt's pod is. `name` empty: it is not made yet."""

    cluster: str
    namespace: str = ""
    name: str = ""
    kubectl: tuple[str, ...] = ()  # commands that show it while it lives, to be copied
    links: tuple[tuple[str, str], ...] = ()  # name and address of its log in other systems
    shared: bool = False  # it stays, and others run in it, too

    @property
    def is_job(self) -> bool:
        """Whether it is a job of several pods: then its name says of which kind, `pytorchjob/name`."""
        return "/" in self.name


def waiting_of(row: TaskExecution) -> Waiting | None:
    """What the attempt waits for, as its executor last said."""
    if row.phase not in WAITING or not row.reason:
        return None
    said = _SAID.fullmatch(row.reason)
    code, message = (said[1], said[2] or "") if said else ("", row.reason)
    return Waiting(code, message, row.updated_at)


def history_of(row: TaskExecution) -> list[Past]:
    """What it waited for and became, newest first; of the same reason with other numbers only the newest."""
    events = PhaseEvent.objects.filter(execution_id=row.execution_id, machine=Machine.ATTEMPT, object_id=row.pk)
    found: list[Past] = []
    for one in events.order_by("-id")[:EVENTS_READ]:
        code = one.reason.partition(":")[0]
        if found and code and (found[-1].phase, found[-1].code) == (one.to_phase, code):
            found[-1] = replace(found[-1], at=one.at, times=found[-1].times + 1)
        else:
            found.append(Past(one.at, one.to_phase, code, one.reason))
    return found[:HISTORY]


def pod_of(row: TaskExecution, known: Mapping[str, Cluster] | None = None) -> Pod | None:
    """None: the attempt is on no cluster. `known`: links.by_name(), where several are asked for."""
    if row.executor != clusters.KIND:
        return None
    namespace, _, name = row.handle.partition("/")
    known = (by_name() if name else {}) if known is None else known
    context = known[row.cluster].context if row.cluster in known else ""
    commands = kubectl(row, context) if row.phase not in ATTEMPT_TERMINAL else []
    return Pod(row.cluster, namespace, name, tuple(commands), tuple(log_links(row, known)), is_shared(row.handle))


def look_at(row: TaskExecution) -> tuple[Look | None, str]:
    """The pod as it is now; and, where there is none to be seen, why, in a sentence. Takes seconds at most."""
    pod = pod_of(row, {})
    if pod is None or row.phase in ATTEMPT_TERMINAL:
        return None, ""
    if not pod.name:
        return None, "The pod is not made yet."
    if pod.is_job:  # its pods are shown as its replicas
        return None, ""
    # Only here: the client of Kubernetes takes a second to import.
    from scheduler.executors.kubernetes import asking, looking  # noqa: PLC0415

    try:
        found = clusters.cluster(row.cluster)
        return asking.ask(found, lambda api: looking.look(api, pod.namespace, pod.name)), ""
    except BadCluster as error:
        return None, str(error)
    except asking.Unanswered as error:
        return None, f"The pod cannot be looked at: {error}."


def container_of(row: TaskExecution) -> str:
    """The name of the container that runs the task."""
    from scheduler.executors.kubernetes.containers import primary_name  # noqa: PLC0415

    return primary_name(wire.of_row(row))
