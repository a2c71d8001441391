"""The clusters that the settings name, for the executor and for placement."""

from __future__ import annotations

import os
from functools import lru_cache

from django.conf import settings

from scheduler import placement
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster, load, parse

KIND = "kubernetes"


def all_clusters() -> list[Cluster]:
    """Those of the file CAUSEWAY_CLUSTERS; and, with CAUSEWAY_KUBECONFIG alone, the one of that file. BadCluster."""
    path, kubeconfig = settings.CAUSEWAY_CLUSTERS, settings.CAUSEWAY_KUBECONFIG
    if path:
        return _loaded(path, _changed_at(path))
    if kubeconfig:
        return [parse("", kubeconfig=kubeconfig, image=settings.CAUSEWAY_CLUSTER_IMAGE)]
    return []


def cluster(name: str) -> Cluster:
    """BadCluster if there is none of that name."""
    found = all_clusters()
    for one in found:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in found) or "none"
    raise BadCluster(
        f"there is no cluster {name!r}: the settings name {names} (CAUSEWAY_CLUSTERS, CAUSEWAY_KUBECONFIG)"
    )


def configured() -> list[placement.Cluster]:
    """As placement sees them."""
    return [
        placement.Cluster(
            name=one.name,
            kind=KIND,
            labels=frozenset(one.labels),
            pools=frozenset(one.pools),
            task_types=frozenset(one.task_types),
            projects=frozenset(one.projects),
            weight=one.weight,
            open=one.open,
        )
        for one in all_clusters()
    ]


def _changed_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _loaded(path: str, changed_at: int) -> list[Cluster]:
    return load(path)
