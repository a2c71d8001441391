"""The clusters there are: those that the settings name, then those that were set while Causeway runs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from artifacts.prepared import prepared
from scheduler import placement
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster, described, load, parse
from scheduler.models import ClusterSettings

logger = logging.getLogger(__name__)

KIND = "kubernetes"


# For `configured`: the names and descriptions of the rows, as one value
ROWS = "(SELECT json_agg(json_build_array(name, description) ORDER BY name)::text FROM scheduler_clustersettings)"


def all_clusters() -> list[Cluster]:
    """BadCluster for a file that is not understood. A row that this version does not understand is left out."""
    with prepared() as cursor:
        cursor.execute(f"SELECT {ROWS}")
        (told,) = cursor.fetchone()
    return _all(told)


def _all(told: str | None) -> list[Cluster]:
    """`told`: the value of ROWS; None: there are none."""
    found = of_settings()
    named = {one.name for one in found}
    rows = json.loads(told or "[]")
    others = [_understood(name, description) for name, description in rows if name not in named]
    return [*found, *(one for one in others if one is not None)]


def of_settings() -> list[Cluster]:
    """Those of the file CAUSEWAY_CLUSTERS; and, with CAUSEWAY_KUBECONFIG alone, the one of that file. BadCluster."""
    path, file = settings.CAUSEWAY_CLUSTERS, settings.CAUSEWAY_KUBECONFIG
    if path:
        return _loaded(path, _changed_at(path))
    if file:
        return [parse("", kubeconfig=file, image=settings.CAUSEWAY_CLUSTER_IMAGE)]
    return []


def of_row(row: ClusterSettings) -> Cluster:
    """BadCluster."""
    return _described(row.name, json.dumps(row.description))


def cluster(name: str) -> Cluster:
    """BadCluster if there is none of that name."""
    found = of_settings()
    for one in found:
        if one.name == name:
            return one
    row = ClusterSettings.objects.filter(name=name).first()
    if row is not None:
        return of_row(row)
    names = ", ".join(one.name for one in all_clusters()) or "none"
    raise BadCluster(
        f"there is no cluster {name!r}: there are {names} (CAUSEWAY_CLUSTERS, CAUSEWAY_KUBECONFIG, or "
        "`causeway cluster set`)"
    )


def bound_to(name: str) -> tuple[str, str]:
    """Where a sealed kubeconfig belongs."""
    return "cluster", name


def followed_file(home: Path, cluster: str, attempt_id: int, replica: str = "") -> Path:
    """Into which the executor writes the log of a pod while it runs; `replica`: of a job, which is not its main one."""
    return logs_folder(home, cluster) / f"{attempt_id}{f'-{replica}' if replica else ''}.log"


def logs_folder(home: Path, cluster: str) -> Path:
    return home / "pod-logs" / cluster


# What placement reads; a process that runs need not start anew for it
_OF_PLACEMENT = ("open", "weight", "labels", "pools", "task_types", "projects")


def to_keep() -> dict[str, str]:
    """The clusters that were set while Causeway runs, each with a digest of what its process read at its start."""
    named = {one.name for one in of_settings()}
    rows = ClusterSettings.objects.exclude(name__in=named).order_by("name")
    return {row.name: _digest(row) for row in rows if _understood(row.name, row.description) is not None}


def _digest(row: ClusterSettings) -> str:
    told = {name: value for name, value in row.description.items() if name not in _OF_PLACEMENT}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode() + bytes(row.sealed)).hexdigest()


def configured(*told: str | None) -> list[placement.Cluster]:
    """As placement sees them. `told`: the value of ROWS, if it was asked."""
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
        for one in (_all(*told) if told else all_clusters())
    ]


def _understood(name: str, description: object) -> Cluster | None:
    try:
        return _described(name, json.dumps(description))
    except BadCluster as error:
        logger.warning("cluster %s is left out: %s", name, error)
        return None


@lru_cache(maxsize=64)
def _described(name: str, description: str) -> Cluster:
    return described({**json.loads(description), "name": name})


def _changed_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _loaded(path: str, changed_at: int) -> list[Cluster]:
    return load(path)
