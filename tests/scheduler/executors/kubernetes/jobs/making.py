"""Jobs for tests: of payloads as flytekit's plug-ins send them, and scenes of what a cluster then has."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from scheduler.attempts.spec import Job
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.cluster import Cluster, Graces
from scheduler.executors.kubernetes.jobs.kind import NAME_LETTERS, Kind, Plan, Rank, Scene
from scheduler.executors.kubernetes.jobs.registry import KINDS
from scheduler.executors.kubernetes.resource import Resource
from tests.scheduler.executors.kubernetes.pods import CREATED, at
from tests.scheduler.executors.kubernetes.specs import around, spec

Json = dict[str, Any]
MASTER_AND_TWO: Json = {"masterReplicas": {"replicas": 1, "resources": {}}, "workerReplicas": {"replicas": 2}}
ELASTIC: Json = {
    "elasticConfig": {"rdzvBackend": "c10d", "minReplicas": 2, "maxReplicas": 2, "nprocPerNode": 1},
    "workerReplicas": {"replicas": 2},
}


def plan(
    task_type: str,
    custom: Json,
    *,
    cluster: Cluster | None = None,
    resource: Resource | None = None,
    place: Json | None = None,
    needs: Json | None = None,
    **over: Any,
) -> Plan:
    made = spec(task_type=task_type, job=Job(custom, needs or {}), **over)
    name = names.pod_name(made.identity, "me", NAME_LETTERS)
    return Plan(made, name, resource or KINDS[task_type].resources[0], cluster or Cluster(), around(**(place or {})))


def built(task_type: str, custom: Json, **over: Any) -> Json:
    return KINDS[task_type].build(plan(task_type, custom, **over))


def scene(
    kind: Kind, custom: Json, pods: dict[str, Json], *, after: float = 60, ran: bool = False, **over: Any
) -> Scene:
    """`pods`: by the names of their replicas; `after`: seconds since it was made; over: status, spec, gone, deleted."""
    metadata: Json = {"name": "job", "uid": "j-1", "creationTimestamp": at(), "labels": over.get("labels", {})}
    if over.get("deleted"):
        metadata["deletionTimestamp"] = at(30)
    job = {"metadata": metadata, "spec": over.get("spec", {}), "status": over.get("status", {})}
    made = spec(task_type=kind.task_type, job=Job(custom))
    return Scene(
        None if over.get("gone") else job,
        {rank(name): one for name, one in pods.items()},
        CREATED + timedelta(seconds=after),
        Graces(),
        kind.operator,
        main=kind.main(made),
        expected=kind.expected(made),
        ran=ran,
        asked_to_go=over.get("asked_to_go", False),
    )


def rank(name: str) -> Rank:
    role, _, index = name.rpartition("-")
    return Rank(role, int(index))


def now() -> datetime:
    return datetime.now(timezone.utc)


def conditions(*kinds: str, message: str = "") -> Json:
    return {"conditions": [{"type": kind, "status": "True", "message": message} for kind in kinds]}
