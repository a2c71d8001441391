"""What people see of an attempt that is a pod: what it waits for, where it is, and how to look at it themselves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import quote

from scheduler.attempts import wire
from scheduler.executors.kubernetes import clusters
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster, filled
from scheduler.models import Execution, PhaseEvent, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, AttemptPhase, Machine

if TYPE_CHECKING:
    from scheduler.executors.kubernetes.looking import Look

WAITING = frozenset({AttemptPhase.INITIALIZING, AttemptPhase.WAITING_FOR_RESOURCES})
HISTORY = 50  # reasons shown
_SAID = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:: (.*))?", re.DOTALL)


@dataclass(frozen=True)
class Waiting:
    """`code`: a word that stays the same; `message`: the place's own words; `since`: when the code was first seen."""

    code: str
    message: str
    since: datetime


@dataclass(frozen=True)
class Link:
    name: str
    uri: str


@dataclass(frozen=True)
class Pod:
    """Where an attempt's pod is. `name` empty: it is not made yet."""

    cluster: str
    namespace: str = ""
    name: str = ""
    context: str = ""  # of kubectl; empty: whichever is current

    @property
    def kubectl(self) -> list[str]:
        """Commands that show it, to be copied."""
        if not self.name:
            return []
        words = ["kubectl", *(["--context", self.context] if self.context else []), "-n", self.namespace]
        return [shlex.join([*words, "describe", "pod", self.name]), shlex.join([*words, "logs", "-f", self.name])]


def waiting_of(row: TaskExecution) -> Waiting | None:
    """What the attempt waits for, as its executor last said."""
    if row.phase not in WAITING or not row.reason:
        return None
    said = _SAID.fullmatch(row.reason)
    code, message = (said[1], said[2] or "") if said else ("", row.reason)
    return Waiting(code, message, row.updated_at)


def history_of(row: TaskExecution) -> list[PhaseEvent]:
    """What it waited for and became, newest first."""
    events = PhaseEvent.objects.filter(execution_id=row.execution_id, machine=Machine.ATTEMPT, object_id=row.pk)
    return list(events.order_by("-id")[:HISTORY])


def contexts() -> dict[str, str]:
    """By name of a cluster; one query for a page of attempts."""
    try:
        return {one.name: one.context for one in clusters.all_clusters()}
    except BadCluster:
        return {}


def pod_of(row: TaskExecution, known: Mapping[str, str] | None = None) -> Pod | None:
    """None: the attempt is on no cluster. `known`: contexts(), where several are asked for."""
    if row.executor != clusters.KIND:
        return None
    namespace, _, name = row.handle.partition("/")
    context = (contexts() if known is None and name else known or {}).get(row.cluster, "")
    return Pod(row.cluster, namespace, name, context)


def look_at(row: TaskExecution) -> tuple[Look | None, str]:
    """The pod as it is now; and, where there is none to be seen, why, in a sentence. Takes seconds at most."""
    pod = pod_of(row, {})
    if pod is None or row.phase in ATTEMPT_TERMINAL:
        return None, ""
    if not pod.name:
        return None, "The pod is not made yet."
    # Only here: the client of Kubernetes takes a second to import.
    from scheduler.executors.kubernetes import asking, looking  # noqa: PLC0415

    try:
        found = clusters.cluster(row.cluster)
        return asking.ask(found, lambda api: looking.look(api, pod.namespace, pod.name)), ""
    except BadCluster as error:
        return None, str(error)
    except asking.Unanswered as error:
        return None, f"The pod cannot be looked at: {error}."


def links_of(row: TaskExecution, execution: Execution, seen: Look | None) -> list[Link]:
    """To the log systems that the cluster's settings name; one whose address needs what is not known is left out."""
    pod = pod_of(row, {})
    if pod is None or not pod.name:
        return []
    try:
        found = clusters.cluster(row.cluster)
    except BadCluster:
        return []
    return list(_links(found, _words(row, execution, pod, seen))) if found.log_links else []


def _links(found: Cluster, words: Mapping[str, str]) -> Iterator[Link]:
    for one in found.log_links:
        uri = filled(one["uri"], words)
        if "{{" not in uri and uri.startswith(("https://", "http://")):
            yield Link(one["name"], uri)


def _words(row: TaskExecution, execution: Execution, pod: Pod, seen: Look | None) -> dict[str, str]:
    words = {
        "cluster": pod.cluster,
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": container_of(row),
        "uid": seen.uid if seen else "",
        "node": seen.node if seen else "",
        "project": execution.project,
        "domain": execution.domain,
        "execution": execution.name,
        "started": _moment(row.started_at or row.created_at),
        "ended": _moment(row.ended_at or datetime.now(timezone.utc)),
    }
    return {name: quote(value, safe="") for name, value in words.items() if value}


def container_of(row: TaskExecution) -> str:
    """The name of the container that runs the task."""
    from scheduler.executors.kubernetes.containers import primary_name  # noqa: PLC0415

    return primary_name(wire.of_row(row))


def _moment(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
