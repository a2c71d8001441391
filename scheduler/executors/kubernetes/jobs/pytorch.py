"""`pytorch` of flytekit as PyTorchJob: a master and workers, or workers that find each other (elastic).

The container is called `pytorch`, or the operator does nothing and says nothing. With a master the job ends with it,
and what runs still is cleaned up: by default a failed job would keep its GPUs. An elastic job counts as succeeded when
any one worker has ended well: nothing is cleaned up then, and the outputs are waited for, which the first in the ranks
writes.
"""

from __future__ import annotations

from typing import Any

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.jobs import kubeflow
from scheduler.executors.kubernetes.jobs.kind import Json, Kind, Plan, Rank, Scene, Sight

CONTAINER = "pytorch"
_BACKENDS = ("c10d", "etcd", "etcd-v2")


def build(plan: Plan) -> Json:
    elastic = kubeflow.group(plan.custom, "elasticConfig")
    workers = kubeflow.group(plan.custom, "workerReplicas")
    if elastic:
        most = int(elastic.get("maxReplicas") or workers.get("replicas") or 1)
        worker = kubeflow.replica_spec(plan, "worker", most, CONTAINER)
        policy = kubeflow.run_policy(plan, clean="None")
        return kubeflow.whole(
            plan, "pytorchReplicaSpecs", {"Worker": worker}, policy, elasticPolicy=_elastic(elastic, most)
        )
    count = int(workers.get("replicas") or plan.custom.get("workers") or 0)
    specs = {
        "Master": kubeflow.replica_spec(plan, "master", 1, CONTAINER),
        "Worker": kubeflow.replica_spec(plan, "worker", count, CONTAINER),
    }
    return kubeflow.whole(plan, "pytorchReplicaSpecs", specs, kubeflow.run_policy(plan, clean="Running"))


def _elastic(told: Any, most: int) -> Json:
    """maxRestarts 0 never arrives: it is what is meant where nothing is said."""
    backend = str(told.get("rdzvBackend") or "c10d")
    return {
        "rdzvBackend": backend if backend in _BACKENDS else "c10d",
        "minReplicas": int(told.get("minReplicas") or 1),
        "maxReplicas": most,
        "nProcPerNode": int(told.get("nprocPerNode") or 1),
        "maxRestarts": int(told.get("maxRestarts") or 0),
    }


def observe(scene: Scene) -> Sight:
    is_elastic = bool(pods.part(scene.job, "spec", "elasticPolicy"))
    return kubeflow.observe(scene, None if is_elastic else Rank("master"))


def expected(spec: AttemptSpec) -> int:
    """All of them; of an elastic job the least it begins with."""
    custom = spec.job.custom if spec.job is not None else {}
    if elastic := kubeflow.group(custom, "elasticConfig"):
        return int(elastic.get("minReplicas") or 1)
    workers = kubeflow.group(custom, "workerReplicas").get("replicas") or custom.get("workers") or 0
    return 1 + int(workers)


def _main(spec: AttemptSpec) -> Rank:
    custom = spec.job.custom if spec.job is not None else {}
    return Rank("worker" if kubeflow.group(custom, "elasticConfig") else "master")


KIND = Kind(
    "pytorch",
    kubeflow.TRAINING,
    (kubeflow.resource("PyTorchJob"),),
    build,
    observe,
    kubeflow.rank,
    _main,
    expected,
)
