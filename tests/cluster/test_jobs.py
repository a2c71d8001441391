"""Jobs of real operators on the cluster: replicas run, are told, fail, are stopped, and leave nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.attempts.observations import Replica, Replicas, Running
from scheduler.attempts.spec import Job, Needs
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.phases import AttemptPhase
from tests.cluster.attempts import SYSTEM, USER, Attempts
from tests.cluster.running import GPU, Cluster, Namespace

MASTER_AND_TWO = {"masterReplicas": {"replicas": 1.0}, "workerReplicas": {"replicas": 2.0}}
ELASTIC = {
    "elasticConfig": {"rdzvBackend": "c10d", "minReplicas": 2.0, "maxReplicas": 2.0, "nprocPerNode": 1.0},
    "workerReplicas": {"replicas": 2.0},
}
TF = {
    "chiefReplicas": {"replicas": 1.0, "resources": {}},
    "psReplicas": {"resources": {}},
    "workerReplicas": {"replicas": 1.0, "resources": {}},
    "evaluatorReplicas": {"resources": {}},
}
MPI = {
    "launcherReplicas": {"replicas": 1.0},
    "workerReplicas": {"replicas": 2.0, "command": ["sleep", "600"]},
    "slots": 1.0,
}
ONE_GPU = Needs(requests={"cpu": "10m", GPU: "1"}, limits={GPU: "1"})
SAYS_ITS_RANK = 'echo "rank $RANK of $WORLD_SIZE at $MASTER_ADDR"; '


@pytest.fixture
def attempts(operators: Cluster, namespace: Namespace, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(namespace, tmp_path)
    yield made
    for kind in ("pytorchjobs", "tfjobs", "mpijobs"):
        namespace.kubectl("delete", kind, "--all", "--wait=false")
    made.close()


def submit(attempts: Attempts, kind: str, custom: dict[str, Any], script: str, **over: Any) -> Assignment:
    return attempts.submit(script, task_type=kind, job=Job(custom), **over)


def replicas(attempts: Attempts, given: Assignment) -> dict[str, Replica]:
    """As they were told last."""
    told = attempts.of(Replicas, given)
    return {one.name: one for one in told[-1].replicas} if told else {}


def nothing_left(attempts: Attempts, given: Assignment) -> None:
    """Neither a job nor a pod."""
    kinds = "pytorchjobs,tfjobs,mpijobs,pods"
    attempts.until(lambda: not attempts.namespace.get(kinds)["items"])


def log_of(attempts: Attempts, one: Replica) -> str:
    return attempts.store.get(one.log_uri).decode()


def test_a_master_and_its_workers_train_together(attempts: Attempts) -> None:
    given = submit(attempts, "pytorch", MASTER_AND_TWO, SAYS_ITS_RANK + "sleep 3", with_outputs=True)
    attempts.running(given)
    assert set(replicas(attempts, given)) == {"master-0", "worker-0", "worker-1"}
    assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED
    nothing_left(attempts, given)
    told = replicas(attempts, given)
    for number, name in enumerate(["master-0", "worker-0", "worker-1"]):
        assert f"rank {number} of 3 at " in log_of(attempts, told[name])
    assert attempts.store.get(given.log_uri) == attempts.store.get(told["master-0"].log_uri)


def test_one_worker_that_fails_gives_all_gpus_back(attempts: Attempts, gpus: int) -> None:
    script = 'if [ "$RANK" = 2 ]; then echo no good; exit 7; fi; sleep 600'
    given = submit(attempts, "pytorch", MASTER_AND_TWO, script, needs=ONE_GPU)
    error = attempts.error(given)
    assert (error.code, error.kind) == ("NonZeroExit", USER)
    assert "worker-1: the task's process ended with exit code 7" in error.message
    assert "no good" in error.message, "the log of the one that failed is what is shown"
    nothing_left(attempts, given)
    told = replicas(attempts, given)
    assert (told["worker-1"].state, told["worker-1"].exit_code) == ("failed", 7)


def test_an_elastic_success_waits_for_the_outputs(attempts: Attempts) -> None:
    """The worker that is not the first in the ranks ends long before, without outputs."""
    script = 'case $(hostname) in *-worker-1) exit 0 ;; esac; echo "$PET_RDZV_ENDPOINT $PET_NNODES"; sleep 6'
    given = submit(attempts, "pytorch", ELASTIC, script)
    attempts.until(lambda: replicas(attempts, given).get("worker-1", Replica("", "", 0)).state == "succeeded")
    assert replicas(attempts, given)["worker-0"].state == "running"
    attempts.store.put(f"{given.spec.addresses.output_prefix}/outputs.pb", b"")
    assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED
    nothing_left(attempts, given)


def test_an_elastic_job_that_leaves_no_outputs_has_failed(attempts: Attempts) -> None:
    given = submit(attempts, "pytorch", ELASTIC, "sleep 2")
    assert attempts.error(given).code == "OutputsNotFound"
    nothing_left(attempts, given)


def test_a_worker_that_cannot_start_is_named_and_ends_the_job(attempts: Attempts) -> None:
    attempts.restart(graces=Graces(image=6))
    custom = {**MASTER_AND_TWO, "workerReplicas": {"replicas": 1.0, "image": "localhost:1/absent:1"}}
    given = submit(attempts, "pytorch", custom, "sleep 600")
    assert attempts.waiting(given, "ImagePull").message.startswith("worker-0: the image 'localhost:1/absent:1'")
    assert attempts.error(given).code == "ImagePull"
    nothing_left(attempts, given)


def test_our_own_deadline_ends_the_job_which_its_operator_would_not(attempts: Attempts) -> None:
    custom = {**MASTER_AND_TWO, "runPolicy": {"activeDeadlineSeconds": 3.0}}
    given = submit(attempts, "pytorch", custom, "exec sleep 600")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("TimeoutExpired", USER)
    nothing_left(attempts, given)


def test_a_cancelled_job_ends_with_all_its_pods(attempts: Attempts) -> None:
    given = submit(attempts, "pytorch", MASTER_AND_TWO, "exec sleep 600")
    attempts.running(given)
    attempts.executor.cancel(given.attempt_id)
    assert attempts.outcome(given).phase == AttemptPhase.ABORTED
    nothing_left(attempts, given)


def test_a_job_outlives_its_executor_and_is_found_again(attempts: Attempts) -> None:
    given = submit(attempts, "pytorch", MASTER_AND_TWO, "sleep 6", with_outputs=True)
    attempts.running(given)
    attempts.restart()
    attempts.seen.clear()
    attempts.executor.adopt(Assignment(**{**_fields(given), "handle": "known"}))
    assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED
    nothing_left(attempts, given)


def _fields(given: Assignment) -> dict[str, Any]:
    return {name: getattr(given, name) for name in given.__dataclass_fields__}


def test_a_job_that_somebody_deletes_is_a_system_failure(attempts: Attempts) -> None:
    given = submit(attempts, "pytorch", MASTER_AND_TWO, "exec sleep 600")
    attempts.running(given)
    attempts.namespace.kubectl("delete", "pytorchjobs", "--all", "--wait=false")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("DeletedByOthers", SYSTEM)
    nothing_left(attempts, given)


def test_a_silent_operator_is_named_and_its_job_ends(attempts: Attempts, own_cluster: Cluster) -> None:
    own_cluster.part("stop", "training", "--kill")
    try:
        attempts.restart(graces=Graces(operator=3))
        given = submit(attempts, "pytorch", MASTER_AND_TWO, "true")
        assert "the Kubeflow training operator has said nothing" in attempts.waiting(given, "OperatorSilent").message
        error = attempts.error(given)
        assert (error.code, error.kind) == ("OperatorSilent", SYSTEM)
        nothing_left(attempts, given)
    finally:
        own_cluster.part("start", "training")


def test_a_kind_that_the_cluster_does_not_have_is_named_with_its_operator(attempts: Attempts) -> None:
    attempts.restart(graces=Graces(operator=3))
    given = submit(attempts, "dask", {"scheduler": {}, "workers": {"numberOfWorkers": 1.0}}, "true")
    assert "has no DaskJob (kubernetes.dask.org/v1)" in attempts.waiting(given, "OperatorMissing").message
    error = attempts.error(given)
    assert (error.code, error.kind) == ("OperatorMissing", SYSTEM)


def test_a_tensorflow_job_has_its_chief_and_no_empty_groups(attempts: Attempts) -> None:
    given = submit(attempts, "tensorflow", TF, 'echo "$TF_CONFIG"; sleep 3', with_outputs=True)
    assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED
    nothing_left(attempts, given)
    told = replicas(attempts, given)
    assert set(told) == {"chief-0", "worker-0"}
    assert '"type":"chief"' in log_of(attempts, told["chief-0"])
    assert '"type":"worker"' in log_of(attempts, told["worker-0"])


def test_an_mpi_job_ends_with_its_launcher(attempts: Attempts) -> None:
    given = submit(attempts, "mpi", MPI, "cat /etc/mpi/hostfile; sleep 2", with_outputs=True)
    assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED
    nothing_left(attempts, given)
    told = replicas(attempts, given)
    assert set(told) == {"launcher-0", "worker-0", "worker-1"}
    assert log_of(attempts, told["launcher-0"]).count("-worker-") == 2


def test_an_mpi_launcher_that_fails_is_tried_once(attempts: Attempts) -> None:
    given = submit(attempts, "mpi", MPI, "exit 5")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("NonZeroExit", USER)
    assert error.message.startswith("launcher-0: the task's process ended with exit code 5")
    assert len(attempts.of(Running, given)) <= 1
    nothing_left(attempts, given)


def test_an_image_without_sshd_is_said_to_lack_it(attempts: Attempts) -> None:
    """The operator has workers run it; without, the launcher would wait for ever, and so would the workers' GPUs."""
    custom = {**MPI, "workerReplicas": {"replicas": 1.0}}
    error = attempts.error(submit(attempts, "mpi", custom, "sleep 600"))
    assert error.code == "StartError" and "sshd" in error.message
