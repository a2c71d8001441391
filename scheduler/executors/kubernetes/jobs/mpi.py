"""`mpi` of flytekit (MPIJob, HorovodJob) as MPIJob: of mpi-operator (v2beta1, over ssh), or of the training operator
(v1, over `kubectl exec`). They are one kind with two owners, of which a cluster has one: its API says which.

The task's command is the launcher's. Workers have none of their own: what waits there for the launcher is the
operator's business, unless the task says otherwise. The job ends with its launcher, whatever became of a worker.
"""

from __future__ import annotations

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes.jobs import kubeflow
from scheduler.executors.kubernetes.jobs.kind import Json, Kind, Plan, Rank, Scene, Sight
from scheduler.executors.kubernetes.jobs.templates import main_of

CONTAINER = "mpi"
V2 = kubeflow.resource("MPIJob", "v2beta1")
V1 = kubeflow.resource("MPIJob")


def build(plan: Plan) -> Json:
    by_exec = plan.resource == V1  # mpirun reaches the workers by the cluster's API there
    launcher = kubeflow.replica_spec(plan, "launcher", 1, CONTAINER, calls_cluster=by_exec)
    worker = kubeflow.replica_spec(plan, "worker", _workers(plan.spec), CONTAINER, program=False)
    for one, name in ((launcher, "launcherReplicas"), (worker, "workerReplicas")):
        if command := kubeflow.group(plan.custom, name).get("command"):
            main = main_of(one["template"]["spec"], CONTAINER)
            main["command"] = [str(word) for word in command]
            main.pop("args", None)
    specs = {"Launcher": launcher, "Worker": worker}
    policy = kubeflow.run_policy(plan, clean="Running")
    slots = int(plan.custom.get("slots") or 1)
    if plan.resource == V1:
        return kubeflow.whole(plan, "mpiReplicaSpecs", specs, policy, slotsPerWorker=slots)
    policy.setdefault("backoffLimit", 0)  # its launcher is a Job, which by itself tries six times more
    return kubeflow.whole(
        plan, "mpiReplicaSpecs", specs, policy, slotsPerWorker=slots, launcherCreationPolicy="WaitForWorkersReady"
    )


def _workers(spec: AttemptSpec) -> int:
    custom = spec.job.custom if spec.job is not None else {}
    return int(kubeflow.group(custom, "workerReplicas").get("replicas") or custom.get("numWorkers") or 1)


def observe(scene: Scene) -> Sight:
    return kubeflow.observe(scene, Rank("launcher"))


def expected(spec: AttemptSpec) -> int:
    return 1 + _workers(spec)


def _main(spec: AttemptSpec) -> Rank:
    return Rank("launcher")


KIND = Kind(
    "mpi",
    "the MPI operator",
    (V2, V1),
    build,
    observe,
    kubeflow.rank,
    _main,
    expected,
)
