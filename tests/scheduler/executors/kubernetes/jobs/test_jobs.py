"""Jobs through the executor, over an API server for tests whose operator does what the test says."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from flyteidl.core import execution_pb2

from scheduler.attempts.observations import Accepted, Ended, Replica, Replicas, Running, Waiting
from scheduler.attempts.spec import Job
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.held import Stage
from scheduler.phases import AttemptPhase
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Name, Request
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster
from tests.scheduler.executors.kubernetes.jobs.making import ELASTIC, MASTER_AND_TWO, Json, conditions
from tests.scheduler.executors.kubernetes.pods import at, condition, waits

USER, SYSTEM = execution_pb2.ExecutionError.USER, execution_pb2.ExecutionError.SYSTEM


@pytest.fixture
def operators(fake: FakeCluster) -> None:
    fake.served |= {"kubeflow.org/v1/pytorchjobs", "kubeflow.org/v1/mpijobs"}


def assigned(
    bench: Bench, number: int = 1, custom: Json = MASTER_AND_TWO, kind: str = "pytorch", **over: Any
) -> Assignment:
    return bench.assignment(number, task_type=kind, job=Job(custom), **over)


def begin(bench: Bench, fake: FakeCluster, custom: Json = MASTER_AND_TWO, **over: Any) -> Assignment:
    """A job whose pods are there, and run."""
    given = assigned(bench, custom=custom, **over)
    bench.executor.submit(given)
    fake.until(lambda: fake.jobs)
    roles = ["worker-0", "worker-1"] if custom is ELASTIC else ["master-0", "worker-0", "worker-1"]
    for role in roles:
        name = fake.add_replica(*_parts(role))
        fake.logs[name, "pytorch"] = f"{at()} {role} says hello\n".encode()
        fake.run(name)
    fake.tell_job(**conditions("Created", "Running"))
    bench.until(lambda: bench.of(Running))
    return given


def _parts(role: str) -> tuple[str, int]:
    name, _, index = role.rpartition("-")
    return name, int(index)


def pod_of(fake: FakeCluster, role: str) -> str:
    return next(name for _, name in fake.pods if name.endswith(role))


def told(bench: Bench) -> dict[str, Replica]:
    (*_, last) = bench.of(Replicas)
    assert isinstance(last, Replicas)
    return {one.name: one for one in last.replicas}


@pytest.mark.usefixtures("operators")
def test_an_attempt_is_a_job_from_submission_to_success(bench: Bench, fake: FakeCluster) -> None:
    given = begin(bench, fake)
    name = fake.job()["metadata"]["name"]
    bench.until(lambda: bench.of(Accepted))
    accepted = bench.of(Accepted)[0]
    assert isinstance(accepted, Accepted) and accepted.handle == f"p-d/pytorchjob/{name}"
    bench.succeed(given)
    fake.end(pod_of(fake, "master-0"))
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED, "the operator has not said so yet"
    assert fake.jobs, "its end is not written down yet"
    fake.kubelet = lambda what, pod: fake.end(pod["metadata"]["name"], 137)
    bench.record()
    bench.until(lambda: not fake.jobs and not fake.pods)
    assert bench.store.get(given.log_uri) == b"master-0 says hello\n"
    for role in ("worker-0", "worker-1"):
        assert bench.store.get(told(bench)[role].log_uri) == f"{role} says hello\n".encode()


@pytest.mark.usefixtures("operators")
def test_it_runs_when_its_last_replica_does_and_all_are_told(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(assigned(bench))
    fake.until(lambda: fake.jobs)
    for role in ("master-0", "worker-0", "worker-1"):
        name = fake.add_replica(*_parts(role))
        fake.change(name, "Pending", waits("ErrImagePull", "no such host")) if role == "worker-1" else fake.run(name)
    fake.tell_job(**conditions("Created", "Running"))
    bench.until(lambda: any(isinstance(one, Waiting) and one.code == "ImagePull" for one in bench.of(Waiting)))
    assert not bench.of(Running)
    bench.until(lambda: bench.of(Replicas) and len(told(bench)) == 3 and told(bench)["worker-1"].reason)
    assert [one.state for one in told(bench).values()] == ["running", "running", "waiting"]
    fake.run(pod_of(fake, "worker-1"))
    bench.until(lambda: bench.of(Running))


@pytest.mark.usefixtures("operators")
def test_when_a_worker_fails_the_others_are_stopped(bench: Bench, fake: FakeCluster) -> None:
    begin(bench, fake)
    fake.end(pod_of(fake, "worker-1"), 7, said="no good")
    fake.tell_job(**conditions("Failed", message="1 Worker replica(s) failed."))
    error = bench.error()
    assert (error.code, error.kind) == ("NonZeroExit", USER)
    assert error.message.startswith("worker-1: the task's process ended with exit code 7")
    assert "worker-1 says hello" in error.message
    assert told(bench)["worker-1"].state == "failed" and told(bench)["worker-1"].exit_code == 7
    fake.kubelet = lambda what, pod: fake.end(pod["metadata"]["name"], 137)
    bench.record()
    bench.until(lambda: not fake.jobs and not fake.pods)


@pytest.mark.usefixtures("operators")
def test_outputs_that_a_worker_wrote_do_not_make_up_for_a_master_that_was_killed(
    bench: Bench, fake: FakeCluster
) -> None:
    """With flytekit's PyTorch plug-in each rank writes them."""
    given = begin(bench, fake)
    bench.succeed(given)
    fake.end(pod_of(fake, "worker-0"))
    fake.end(pod_of(fake, "master-0"), 137, container_reason="OOMKilled")
    fake.tell_job(**conditions("Failed", message="1 Master replica(s) failed."))
    assert bench.error().code == "OOMKilled"


@pytest.mark.usefixtures("operators")
def test_where_ended_pods_stay_to_be_looked_at_those_that_run_do_not(fake: FakeCluster, bench: Bench) -> None:
    bench.executor.stop()
    bench.settings = type(bench.settings)(image="base:1", keep_ended_seconds=600)
    bench.executor = bench.begin()
    begin(bench, fake)
    fake.end(pod_of(fake, "worker-1"), 7)
    fake.tell_job(**conditions("Failed"))
    assert bench.outcome().phase == AttemptPhase.FAILED
    fake.kubelet = lambda what, pod: fake.end(pod["metadata"]["name"], 137)
    bench.record()
    bench.until(lambda: [name for _, name in fake.pods if not name.endswith("worker-1")] == [])
    assert fake.jobs


@pytest.mark.usefixtures("operators")
def test_an_elastic_success_is_told_with_the_outputs(bench: Bench, fake: FakeCluster) -> None:
    given = begin(bench, fake, ELASTIC)
    fake.end(pod_of(fake, "worker-1"))
    fake.tell_job(**conditions("Succeeded"))
    time.sleep(0.5)
    bench.executor.tick()
    assert not bench.ends(), "the one that writes the outputs runs still"
    bench.succeed(given)
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED


@pytest.mark.usefixtures("operators")
def test_a_cancelled_job_is_waited_for_until_its_pods_have_ended(bench: Bench, fake: FakeCluster) -> None:
    begin(bench, fake)
    bench.executor.cancel(1)
    bench.until(lambda: not fake.jobs and all("deletionTimestamp" in pod["metadata"] for pod in fake.pods.values()))
    assert not bench.ends()
    for _, name in list(fake.pods):
        fake.end(name, 137)
    assert bench.outcome().phase == AttemptPhase.ABORTED


@pytest.mark.usefixtures("operators")
def test_pods_that_belong_to_nobody_are_stopped_too(bench: Bench, fake: FakeCluster) -> None:
    """As a Spark application's, which its operator leaves running when the object is deleted."""
    begin(bench, fake)
    fake.remove_job()
    error = bench.error()
    assert (error.code, error.kind) == ("DeletedByOthers", SYSTEM)
    fake.kubelet = lambda what, pod: fake.end(pod["metadata"]["name"], 137)
    bench.record()
    bench.until(lambda: not fake.pods)


@pytest.mark.usefixtures("operators")
def test_a_replica_that_went_before_its_end_was_seen_is_told_as_stopped(bench: Bench, fake: FakeCluster) -> None:
    """As the workers of a Dask cluster, which its operator removes as soon as the runner has ended."""
    begin(bench, fake)
    bench.until(lambda: len(told(bench)) == 3)
    fake.remove(pod_of(fake, "worker-1"))
    bench.until(lambda: told(bench)["worker-1"].state == "stopped")
    assert told(bench)["worker-0"].state == "running"


@pytest.mark.usefixtures("operators")
def test_a_pod_that_is_made_of_a_job_after_its_end_goes_at_once(bench: Bench, fake: FakeCluster) -> None:
    """As the driver of a Spark application that was cancelled while its operator submitted it."""
    bench.executor.submit(assigned(bench))
    fake.until(lambda: fake.jobs)
    ((key, job),) = fake.jobs.items()
    bench.executor.cancel(1)
    assert bench.outcome().phase == AttemptPhase.ABORTED
    bench.record()
    bench.until(lambda: 1 not in bench.executor.board.held)
    fake.jobs[key] = job
    late = fake.add_replica("master")
    del fake.jobs[key]
    bench.until(lambda: late not in [name for _, name in fake.pods])


def test_a_role_that_long_waited_for_a_node_has_its_whole_grace_for_its_image(bench: Bench, fake: FakeCluster) -> None:
    """Executors of Spark come when there is room for them, perhaps long after their driver began to run."""
    fake.served |= {"sparkoperator.k8s.io/v1beta2/sparkapplications"}
    bench.executor.submit(assigned(bench, custom={"mainApplicationFile": "local:///x.py"}, kind="spark"))
    fake.until(lambda: fake.jobs)
    driver, executor = add_of_spark(fake, "driver"), add_of_spark(fake, "executor")
    fake.run(driver)
    fake.tell_job(applicationState={"state": "RUNNING"})
    bench.until(lambda: bench.of(Running) and "executor-1" in told(bench))
    full = {**condition("PodScheduled", "False", "Unschedulable", "0/3 nodes"), "lastTransitionTime": at()}
    fake.named(executor)["metadata"]["creationTimestamp"] = at(-9999)
    fake.change(executor, "Pending", conditions=[full])
    bench.until(lambda: "0/3 nodes" in told(bench)["executor-1"].reason)
    fake.change(executor, "Pending", waits("ErrImagePull", "a gateway is away"))
    bench.until(lambda: "gateway" in told(bench)["executor-1"].reason)
    time.sleep(0.5)
    assert bench.executor.board.held[1].stage == Stage.MADE and not bench.of(Ended)
    fake.run(executor)
    bench.until(lambda: told(bench)["executor-1"].state == "running")


def add_of_spark(fake: FakeCluster, role: str) -> str:
    """A pod of the one application, as Spark makes it of its template; returns its name."""
    job = fake.job()
    made = copy.deepcopy(job["spec"][role]["template"])
    name = f"{job['metadata']['name']}-{'driver' if role == 'driver' else 'exec-1'}"
    made["metadata"] |= {"name": name, "namespace": job["metadata"]["namespace"], "finalizers": []}
    made["metadata"]["labels"] |= {"spark-role": role}
    with fake._changed:
        status, said = fake._create(job["metadata"]["namespace"], made)
    assert status == 201, said
    return name


@pytest.mark.usefixtures("operators")
def test_its_own_deadline_is_kept_though_the_operator_does_not(bench: Bench, fake: FakeCluster) -> None:
    custom = {**MASTER_AND_TWO, "runPolicy": {"activeDeadlineSeconds": 0.2}}
    fake.kubelet = lambda what, pod: fake.end(pod["metadata"]["name"], 137) if what == "deleted" else None
    begin(bench, fake, custom)  # its pods have run since last year
    error = bench.error()
    assert (error.code, error.kind) == ("TimeoutExpired", USER)
    assert not fake.jobs


def test_a_kind_that_is_not_there_is_waited_for_by_its_operators_name(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(assigned(bench))
    bench.until(lambda: bench.of(Waiting))
    waiting = bench.of(Waiting)[0]
    assert isinstance(waiting, Waiting) and waiting.code == "OperatorMissing"
    assert "has no PyTorchJob (kubeflow.org/v1)" in waiting.message and "training operator" in waiting.message
    fake.served.add("kubeflow.org/v1/pytorchjobs")
    bench.until(lambda: fake.jobs)


def test_and_not_for_ever(bench: Bench) -> None:
    bench.executor.stop()
    bench.settings = type(bench.settings)(image="base:1", graces=Graces(operator=0.1))
    bench.executor = bench.begin()
    bench.executor.submit(assigned(bench))
    error = bench.error()
    assert (error.code, error.kind) == ("OperatorMissing", SYSTEM)
    assert not bench.outcome().retryable


@pytest.mark.usefixtures("operators")
def test_an_mpi_job_is_made_for_the_api_that_is_served(bench: Bench, fake: FakeCluster) -> None:
    custom = {"workerReplicas": {"replicas": 1}, "slots": 1}
    bench.executor.submit(assigned(bench, custom=custom, kind="mpi"))
    fake.until(lambda: fake.jobs)
    assert fake.job()["apiVersion"] == "kubeflow.org/v1"
    fake.served.add("kubeflow.org/v2beta1/mpijobs")
    bench.executor.submit(assigned(bench, 2, custom, "mpi"))
    fake.until(lambda: len(fake.jobs) == 2)
    assert {one["apiVersion"] for one in fake.jobs.values()} == {"kubeflow.org/v1", "kubeflow.org/v2beta1"}


@pytest.mark.usefixtures("operators")
def test_a_job_is_found_again_after_a_restart(bench: Bench, fake: FakeCluster) -> None:
    given = begin(bench, fake)
    bench.restart()
    bench.executor.adopt(Assignment(1, given.spec, given.resources, log_uri=given.log_uri, handle="p-d/x"))
    bench.until(lambda: bench.of(Running))
    assert len(fake.jobs) == 1
    bench.succeed(given)
    fake.end(pod_of(fake, "master-0"))
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED


@pytest.mark.usefixtures("operators")
def test_a_job_that_is_gone_after_a_restart_is_a_system_failure(bench: Bench, fake: FakeCluster) -> None:
    given = begin(bench, fake)
    bench.executor.stop()
    fake.jobs.clear()
    bench.seen.clear()
    bench.executor = bench.begin()
    bench.executor.adopt(Assignment(1, given.spec, given.resources, log_uri=given.log_uri, handle="p-d/x"))
    assert bench.error().kind == SYSTEM


@pytest.mark.usefixtures("operators")
def test_a_job_of_no_attempt_is_removed_and_not_its_pods_alone(bench: Bench, fake: FakeCluster) -> None:
    begin(bench, fake)
    bench.executor.stop()
    fake.kubelet = lambda what, pod: fake.end(pod["metadata"]["name"], 137) if what == "deleted" else None
    bench.executor = bench.make()
    bench.executor.jobs.watching.strays.patience = bench.executor.strays.patience = 0.1
    bench.executor.start(bench.seen.append)
    bench.executor.settle()
    bench.until(lambda: not fake.jobs and not fake.pods)


@pytest.mark.usefixtures("operators")
def test_what_kueue_holds_says_why_in_kueues_words(bench: Bench, fake: FakeCluster) -> None:
    fake.workloads = []
    bench.executor.submit(assigned(bench))
    fake.until(lambda: fake.jobs)
    uid = fake.job()["metadata"]["uid"]
    said = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": "1 more needed"}
    workload = {"metadata": {"uid": "w", "ownerReferences": [{"uid": uid}]}, "spec": {"queueName": "team"}}
    fake.workloads.append({**workload, "status": {"conditions": [said]}})
    fake.tell_job(**conditions("Created", "Suspended"))
    bench.until(lambda: any(isinstance(one, Waiting) and one.code == "QueueFull" for one in bench.of(Waiting)))


@pytest.mark.usefixtures("operators")
def test_a_jobs_eviction_is_a_system_failure_that_is_tried_again(bench: Bench, fake: FakeCluster) -> None:
    begin(bench, fake)
    fake.tell_job(**conditions("Suspended"))
    error = bench.error()
    assert (error.code, error.kind) == ("Evicted", SYSTEM)
    assert bench.outcome().retryable


@pytest.mark.usefixtures("operators")
def test_secrets_of_a_job_go_with_it(bench: Bench, fake: FakeCluster) -> None:
    bench.mounts = Mounts(env={"_FSEC_G_K": "hidden"})
    bench.executor.submit(assigned(bench, secrets=(Request(Name("g", "k")),)))
    fake.until(lambda: fake.jobs)
    job = fake.job()
    bench.until(lambda: any(one["metadata"].get("ownerReferences") for one in fake.secrets.values()))
    ((key, secret),) = fake.secrets.items()
    assert key == ("p-d", names.secret_name(job["metadata"]["name"]))
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("PyTorchJob", job["metadata"]["uid"])


@pytest.mark.usefixtures("operators")
def test_what_no_job_could_be_ends_before_anything_is_made(bench: Bench, fake: FakeCluster) -> None:
    custom = {**MASTER_AND_TWO, "workerReplicas": {"replicas": 1, "restartPolicy": "RESTART_POLICY_ALWAYS"}}
    bench.executor.submit(assigned(bench, custom=custom))
    error = bench.error()
    assert (error.code, error.kind) == ("BadTaskSpecification", USER)
    assert not fake.jobs


@pytest.mark.usefixtures("operators")
def test_a_job_lives_through_a_cluster_that_is_set_back(bench: Bench, fake: FakeCluster) -> None:
    """Versions begin again where they were: what comes is older by its number, and newer."""
    given = begin(bench, fake)
    watches = fake.watches
    for one in (*fake.pods.values(), *fake.jobs.values()):
        one["metadata"]["resourceVersion"] = "3"
    fake.set_back(fake.pods, 5)
    bench.until(lambda: fake.watches > watches + 1)
    fake.tell_job(**conditions("Created", "Running"))
    fake.end(pod_of(fake, "worker-1"), 7)
    fake.tell_job(**conditions("Failed"))
    assert bench.error().message.startswith("worker-1: ")
    assert given.spec.job is not None


@pytest.mark.usefixtures("operators")
def test_the_newer_pod_of_a_rank_counts(bench: Bench, fake: FakeCluster) -> None:
    """An operator makes a pod anew that somebody deleted; what the former one still says is not the rank's."""
    begin(bench, fake)
    name = pod_of(fake, "worker-1")
    fake.kubelet = lambda what, pod: fake.end(pod["metadata"]["name"], 137) if what == "deleted" else None
    fake.delete(name)
    bench.until(lambda: ("p-d", name) not in fake.pods)
    fake.add_replica("worker", 1)
    fake.run(name)
    bench.until(lambda: "worker-1" in told(bench) and told(bench)["worker-1"].state == "running")
    assert not bench.ends()
