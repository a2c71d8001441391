"""Where else a pod's log and state can be seen: log systems by the cluster's templates, and kubectl."""

from __future__ import annotations

import shlex
from datetime import datetime

from scheduler.executors.kubernetes.cluster import BadCluster, filled
from scheduler.executors.kubernetes.clusters import KIND, all_clusters
from scheduler.models import TaskExecution


def kubectl(row: TaskExecution) -> str:
    """What shows the attempt's pod while it is there; empty for an attempt that has none."""
    namespace, _, pod = row.handle.partition("/")
    if row.executor != KIND or not pod:
        return ""
    return shlex.join(["kubectl", "--namespace", namespace, "describe", "pod", pod])


def log_links(row: TaskExecution) -> list[tuple[str, str]]:
    """(name, uri) of each log system that the cluster's settings name."""
    namespace, _, pod = row.handle.partition("/")
    if row.executor != KIND or not pod:
        return []
    words = {
        "cluster": row.cluster,
        "namespace": namespace,
        "pod": pod,
        "started": _milliseconds(row.started_at or row.created_at),
        "ended": _milliseconds(row.ended_at),
    }
    try:
        found = next((one for one in all_clusters() if one.name == row.cluster), None)
    except BadCluster:  # whoever runs its executor is told
        return []
    return [(link["name"], filled(link["uri"], words)) for link in (found.log_links if found is not None else ())]


def _milliseconds(moment: datetime | None) -> str:
    return str(int(moment.timestamp() * 1000)) if moment is not None else ""
