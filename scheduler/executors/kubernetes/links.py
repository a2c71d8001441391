"""Where else a pod's log and state can be seen: log systems by the cluster's templates, and kubectl."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime, timezone

from scheduler.executors.kubernetes.cluster import BadCluster, Cluster, filled
from scheduler.executors.kubernetes.clusters import KIND, all_clusters
from scheduler.executors.kubernetes.names import ATTEMPT_ID, is_shared
from scheduler.models import TaskExecution


def kubectl(row: TaskExecution, context: str = "") -> list[str]:
    """What shows the attempt's pod while it is there, and follows its log; nothing for an attempt that has none.
    `context`: of the reader's kubeconfig; empty: whichever is current.
    """
    namespace, _, pod = row.handle.partition("/")
    if row.executor != KIND or not pod:
        return []
    words = ["kubectl", *(["--context", context] if context else []), "--namespace", namespace]
    if "/" in pod:  # a job
        selector = ["--selector", f"{ATTEMPT_ID}={row.pk}"]
        return [
            shlex.join([*words, "describe", pod]),
            shlex.join([*words, "get", "pods", *selector]),
            shlex.join([*words, "logs", "--follow", "--prefix", *selector]),
        ]
    shown = [shlex.join([*words, "describe", "pod", pod])]
    return shown if is_shared(row.handle) else [*shown, shlex.join([*words, "logs", "--follow", pod])]


def by_name() -> dict[str, Cluster]:
    """The clusters there are: one query for a page of attempts. None where their file cannot be read: whoever runs
    their executors is told.
    """
    try:
        return {one.name: one for one in all_clusters()}
    except BadCluster:
        return {}


def log_links(row: TaskExecution, known: Mapping[str, Cluster] | None = None) -> list[tuple[str, str]]:
    """(name, uri) of each log system that the cluster's settings name. `known`: by_name(), where several are asked."""
    namespace, _, pod = row.handle.partition("/")
    if row.executor != KIND or not pod or is_shared(row.handle):
        return []
    words = {
        "cluster": row.cluster,
        "namespace": namespace,
        "pod": pod.rpartition("/")[2],
        "started": _milliseconds(row.started_at or row.created_at),
        "ended": _milliseconds(row.ended_at or datetime.now(timezone.utc)),
    }
    found = (by_name() if known is None else known).get(row.cluster)
    return [(link["name"], filled(link["uri"], words)) for link in (found.log_links if found is not None else ())]


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
