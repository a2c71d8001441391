"""`tensorflow` of flytekit as TFJob. The container is called `tensorflow`; flytekit names all four groups, and one of
no replicas would kill the job. It ends with its chief or, where there is none, with its first worker.
"""

from __future__ import annotations

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes.jobs import kubeflow
from scheduler.executors.kubernetes.jobs.kind import Json, Kind, Plan, Rank, Scene, Sight

CONTAINER = "tensorflow"
_ROLES = {"chief": "Chief", "ps": "PS", "worker": "Worker", "evaluator": "Evaluator"}
_BEFORE = {"chief": "chiefReplicas", "ps": "psReplicas", "worker": "workers", "evaluator": "evaluatorReplicas"}


def build(plan: Plan) -> Json:
    counts = {role: _count(plan.spec, role) for role in _ROLES}
    specs = {
        _ROLES[role]: kubeflow.replica_spec(plan, role, count, CONTAINER) for role, count in counts.items() if count
    }
    return kubeflow.whole(plan, "tfReplicaSpecs", specs, kubeflow.run_policy(plan, clean="Running"))


def _count(spec: AttemptSpec, role: str) -> int:
    custom = spec.job.custom if spec.job is not None else {}
    told = kubeflow.group(custom, f"{role}Replicas").get("replicas")
    before = custom.get(_BEFORE[role])  # version 0 has numbers alone
    return int(told or (before if isinstance(before, (int, float)) else 0))


def observe(scene: Scene) -> Sight:
    return kubeflow.observe(scene, scene.main)


def expected(spec: AttemptSpec) -> int:
    return sum(_count(spec, role) for role in _ROLES)


def _main(spec: AttemptSpec) -> Rank:
    return Rank("chief" if _count(spec, "chief") else "worker")


KIND = Kind(
    "tensorflow",
    kubeflow.TRAINING,
    (kubeflow.resource("TFJob"),),
    build,
    observe,
    kubeflow.rank,
    _main,
    expected,
)
