"""What is made of a job and its pods as operators leave them: recorded shapes, each with what it must be taken for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.jobs import dask, mpi, pytorch, ray, spark, tensorflow
from scheduler.executors.kubernetes.jobs.kind import Kind, Leaving, Rank, Sight
from scheduler.executors.kubernetes.observe import Ending, Over, Runs, Waits
from tests.scheduler.executors.kubernetes.jobs.making import ELASTIC, MASTER_AND_TWO, Json, conditions, scene
from tests.scheduler.executors.kubernetes.pods import at, condition, disrupted, ended, pod, runs, waits

RUNNING = pod(main=runs())
WELL = pod("Succeeded", ended())
BAD = pod("Failed", ended(3, message="boom"))
PULLING = pod("Pending", waits("ErrImagePull", "no such host"))
ONE_CHIEF = {"chiefReplicas": {"replicas": 1}, "workerReplicas": {"replicas": 1}}
WORKERS = {"workerReplicas": {"replicas": 2}}
MPI = {"workerReplicas": {"replicas": 1}, "slots": 1}


def seen(kind: Kind, custom: Json, pods: dict[str, Json], **over: Any) -> Sight:
    return kind.observe(scene(kind, custom, pods, **over))


def torch(pods: dict[str, Json], **over: Any) -> Sight:
    return seen(pytorch.KIND, MASTER_AND_TWO, pods, **over)


def elastic(pods: dict[str, Json], **over: Any) -> Sight:
    return seen(pytorch.KIND, ELASTIC, pods, spec={"elasticPolicy": {"minReplicas": 2}}, **over)


def wait_of(sight: Sight) -> Any:
    assert isinstance(sight, Waits), sight
    return sight.wait


def verdict_of(sight: Sight) -> Any:
    assert isinstance(sight, Over), sight
    return sight.verdict


# --- Kubeflow ---------------------------------------------------------------------------------------------------------


def test_an_operator_that_says_nothing_is_named_and_has_an_end() -> None:
    soon, later = (wait_of(torch({}, after=seconds)) for seconds in (5, 60))
    assert soon.code == "Scheduling"
    assert later.code == "OperatorSilent" and later.grace > 0
    assert "the Kubeflow training operator has said nothing" in later.message


def test_pods_that_are_missing_are_counted() -> None:
    status = conditions("Created")
    wait = wait_of(torch({"master-0": RUNNING}, status=status))
    assert wait.code == "PodsMissing" and "1 of 3 pods" in wait.message and wait.grace > 0


def test_a_worker_that_cannot_start_is_told_though_the_master_runs() -> None:
    """The operator says Running as soon as the master does, and never anything of that worker."""
    pods = {"master-0": RUNNING, "worker-0": RUNNING, "worker-1": PULLING}
    wait = wait_of(torch(pods, status=conditions("Created", "Running")))
    assert wait.code == "ImagePull" and wait.message.startswith("worker-1: ") and wait.grace > 0


def test_an_init_container_that_the_operator_puts_before_a_worker_is_told_where_its_image_cannot_be_had() -> None:
    """Its image is the operator's own, from the network: in a closed one workers would hang there without a word."""
    init = [{"name": "init-pytorch", "image": "alpine:3.10", "state": waits("ErrImagePull", "no such host")}]
    hangs = pod("Pending", waits("PodInitializing"), init=init)
    pods = {"master-0": RUNNING, "worker-0": RUNNING, "worker-1": hangs}
    wait = wait_of(torch(pods, status=conditions("Created", "Running")))
    assert wait.code == "ImagePull" and wait.grace > 0
    assert wait.message.startswith("worker-1: ") and "alpine:3.10" in wait.message


def test_it_runs_once_all_run() -> None:
    pods = {"master-0": RUNNING, "worker-0": RUNNING, "worker-1": RUNNING}
    assert isinstance(torch(pods, status=conditions("Running")), Runs)


def test_a_replica_that_is_started_again_after_a_failure_runs() -> None:
    again = pod(main=waits("CrashLoopBackOff"))
    again["status"]["containerStatuses"][0]["restartCount"] = 2
    pods = {"master-0": RUNNING, "worker-0": RUNNING, "worker-1": again}
    assert isinstance(torch(pods, status=conditions("Running")), Runs)


def test_the_master_decides_whatever_workers_do() -> None:
    pods = {"master-0": WELL, "worker-0": RUNNING, "worker-1": RUNNING}
    assert not verdict_of(torch(pods, status=conditions("Succeeded"))).failed


def test_the_failure_is_that_of_the_replica_that_failed_first() -> None:
    late = pod("Failed", {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": at(2), "finishedAt": at(20)}})
    pods = {"master-0": late, "worker-0": RUNNING, "worker-1": BAD}
    found = verdict_of(torch(pods, status=conditions("Failed", message="1 Worker replica(s) failed."), ran=True))
    assert (found.code, found.kind, found.exit_code) == ("NonZeroExit", USER, 3)
    assert found.message.startswith("worker-1: ") and "boom" in found.message


def test_a_replica_that_was_taken_away_is_no_failure_of_the_program() -> None:
    lost = pod("Failed", ended(137), conditions=disrupted("PreemptionByScheduler"), deleted=at(9))
    pods = {"master-0": RUNNING, "worker-0": lost, "worker-1": RUNNING}
    found = verdict_of(torch(pods, status=conditions("Failed"), ran=True))
    assert (found.code, found.kind, found.cut_off) == ("Preempted", SYSTEM, True)


def test_the_operators_words_count_where_all_pods_are_gone() -> None:
    """It deletes them all at the end of its back-off, whatever the job's policy says."""
    said = "Job x has failed because it has reached the specified backoff limit"
    found = verdict_of(torch({}, status=conditions("Failed", message=said), ran=True))
    assert said in found.message and "training operator" in found.message


def test_one_that_the_operator_cleaned_up_is_not_the_cause() -> None:
    cleaned = pod("Failed", ended(137), deleted=at(8))
    pods = {"master-0": cleaned, "worker-0": BAD}
    assert verdict_of(torch(pods, status=conditions("Failed"), ran=True)).message.startswith("worker-0: ")


def test_a_program_that_is_not_there_ends_the_job_at_once() -> None:
    absent = pod("Failed", ended(128, "StartError", "exec: no such file or directory"))
    pods = {"master-0": RUNNING, "worker-0": absent, "worker-1": RUNNING}
    found = verdict_of(torch(pods, status=conditions("Running")))
    assert found.code == "StartError" and not found.retryable and found.message.startswith("worker-0: ")


def test_an_operator_that_dies_meanwhile_does_not_hold_up_the_end() -> None:
    pods = {"master-0": WELL, "worker-0": RUNNING, "worker-1": RUNNING}
    status = conditions("Running")
    early = torch(pods, status=status, ran=True, after=20)
    assert isinstance(early, Ending) and early.well
    assert not verdict_of(torch(pods, status=status, ran=True, after=60)).failed
    pods = {"master-0": RUNNING, "worker-0": BAD, "worker-1": RUNNING}
    assert isinstance(torch(pods, status=status, ran=True, after=20), Ending)
    assert verdict_of(torch(pods, status=status, ran=True, after=60)).exit_code == 3


def test_suspension_is_a_turn_in_the_queue_and_while_it_runs_an_eviction() -> None:
    labels = {"kueue.x-k8s.io/queue-name": "team"}
    wait = wait_of(torch({}, status=conditions("Created", "Suspended"), labels=labels))
    assert wait.queued and wait.message == "in the queue team of Kueue"
    found = verdict_of(torch({}, status=conditions("Suspended"), ran=True))
    assert (found.code, found.kind, found.retryable, found.cut_off) == ("Evicted", SYSTEM, True, True)


def test_one_that_goes_is_waited_for_and_one_that_is_gone_was_not_the_programs_fault() -> None:
    pods = {"master-0": RUNNING, "worker-0": RUNNING, "worker-1": RUNNING}
    assert isinstance(torch(pods, status=conditions("Running"), deleted=True, ran=True), Leaving)
    assert isinstance(torch(pods, gone=True, asked_to_go=True), Leaving)
    found = verdict_of(torch(pods, gone=True))
    assert (found.code, found.kind, found.cut_off) == ("DeletedByOthers", SYSTEM, True)


def test_one_whose_finalizer_nobody_takes_off_is_not_waited_for_for_ever() -> None:
    pods = {"head-0": RUNNING}
    assert isinstance(rayjob("Running", pods, deleted=True, ran=True), Leaving)
    assert verdict_of(rayjob("Running", pods, deleted=True, ran=True, after=600)).code == "DeletedByOthers"


def test_a_container_that_is_started_again_has_not_ended() -> None:
    between = pod(main=ended(7), spec={"restartPolicy": "OnFailure"})
    pods = {"master-0": between, "worker-0": RUNNING, "worker-1": RUNNING}
    assert isinstance(torch(pods, status=conditions("Running"), ran=True, after=120), Runs)


def test_an_elastic_success_waits_for_the_other_workers() -> None:
    """Any one that ends well makes the job Succeeded, and only the first of the ranks writes outputs."""
    status = conditions("Succeeded")
    first = elastic({"worker-0": RUNNING, "worker-1": WELL}, status=status, ran=True)
    assert isinstance(first, Ending) and first.well
    assert not verdict_of(elastic({"worker-0": WELL, "worker-1": WELL}, status=status, ran=True)).failed


def test_an_elastic_job_runs_with_the_least_it_asked_for() -> None:
    custom = {"elasticConfig": {"minReplicas": 2, "maxReplicas": 4}}
    pods = {"worker-0": RUNNING, "worker-1": RUNNING}
    sight = seen(pytorch.KIND, custom, pods, status=conditions("Running"), spec={"elasticPolicy": {"minReplicas": 2}})
    assert isinstance(sight, Runs)


def test_a_tensorflow_job_ends_with_its_chief_or_with_its_first_worker() -> None:
    status = conditions("Running")
    with_chief = seen(tensorflow.KIND, ONE_CHIEF, {"chief-0": RUNNING, "worker-0": WELL}, status=status, ran=True)
    assert isinstance(with_chief, Runs)
    ended_chief = seen(tensorflow.KIND, ONE_CHIEF, {"chief-0": WELL, "worker-0": RUNNING}, status=status, after=11)
    assert isinstance(ended_chief, Ending)
    without = seen(tensorflow.KIND, WORKERS, {"worker-0": WELL, "worker-1": RUNNING}, status=status, after=60)
    assert not verdict_of(without).failed


def test_an_mpi_job_is_judged_by_its_launcher() -> None:
    """A worker that failed leaves the job Running; if its launcher ends well it has succeeded."""
    pods = {"launcher-0": WELL, "worker-0": BAD}
    assert not verdict_of(seen(mpi.KIND, MPI, pods, status=conditions("Succeeded"), ran=True)).failed


@pytest.mark.parametrize(
    ("labels", "name", "rank"),
    [
        ({"training.kubeflow.org/replica-type": "worker", "training.kubeflow.org/replica-index": "1"}, "x", "worker-1"),
        ({"training.kubeflow.org/job-role": "launcher"}, "j-launcher-4", "launcher-0"),
        ({"training.kubeflow.org/job-role": "worker"}, "j-worker-12", "worker-12"),
        ({"app": "other"}, "j-worker-12", None),
    ],
)
def test_ranks_are_read_from_what_kubeflows_operators_mark(labels: Json, name: str, rank: str | None) -> None:
    made = pod(labels=labels)
    made["metadata"]["name"] = name
    found = mpi.KIND.rank(made)
    assert (found.name if found is not None else None) == rank


# --- Ray --------------------------------------------------------------------------------------------------------------


def rayjob(state: str, pods: dict[str, Json] | None = None, **over: Any) -> Sight:
    status = {"jobDeploymentStatus": state, **over.pop("status", {})}
    return seen(ray.KIND, {}, pods or {}, status=status, **over)


def test_a_ray_job_is_judged_by_its_status_and_not_by_its_submitter() -> None:
    said = "Job entrypoint command failed with exit code 3, last available logs (...)"
    told = {"jobStatus": "FAILED", "reason": "AppFailed", "message": said}
    found = verdict_of(rayjob("Failed", {"submitter-0": WELL}, status=told, ran=True))
    assert (found.code, found.kind, found.message) == ("NonZeroExit", USER, said)


def test_a_ray_cluster_that_did_not_come_is_the_systems_failure() -> None:
    found = verdict_of(rayjob("Failed", status={"jobStatus": "PENDING", "reason": "SubmissionFailed"}, ran=True))
    assert (found.code, found.kind) == ("SubmissionFailed", SYSTEM)


def test_a_ray_job_from_its_making_to_its_end() -> None:
    assert wait_of(rayjob("", after=60)).code == "OperatorSilent"
    assert wait_of(rayjob("Initializing", {"head-0": PULLING})).message.startswith("head-0: ")
    not_ready = wait_of(rayjob("Initializing", {"head-0": RUNNING}))
    assert not_ready.code == "PodInitializing" and not_ready.grace > 0
    assert isinstance(rayjob("Running", {"head-0": RUNNING}), Runs)
    assert not verdict_of(rayjob("Complete", status={"jobStatus": "SUCCEEDED"}, ran=True)).failed
    assert wait_of(rayjob("Suspended")).queued
    assert isinstance(rayjob("Suspending", ran=False), Waits)
    assert verdict_of(rayjob("Suspended", ran=True)).code == "Evicted"


def test_rays_pods_have_ranks() -> None:
    def rank(**labels: str) -> Rank | None:
        made = pod(labels={name.replace("__", "/").replace("_", "-"): value for name, value in labels.items()})
        made["metadata"]["name"] = "job-abcde-g-worker-x7k2p"
        return ray.KIND.rank(made)

    assert rank(**{"ray.io/node-type": "head"}) == Rank("head")
    worker = rank(**{"ray.io/node-type": "worker", "ray.io/group": "g"})
    assert worker is not None and worker.role == "g"
    assert rank(**{"job-name": "job"}) == Rank("submitter")


# --- Spark ------------------------------------------------------------------------------------------------------------


def application(state: str, pods: dict[str, Json] | None = None, said: str = "", **over: Any) -> Sight:
    status = {"applicationState": {"state": state, "errorMessage": said}} if state else {}
    return seen(spark.KIND, {}, pods or {}, status=status, **over)


def test_a_spark_application_from_its_submission_to_its_end() -> None:
    assert wait_of(application("", after=60)).code == "PodInitializing", "spark-submit takes half a minute"
    assert wait_of(application("", after=120)).code == "OperatorSilent"
    assert isinstance(application("RUNNING", {"driver-0": RUNNING}), Runs)
    assert not verdict_of(application("COMPLETED", {"driver-0": WELL}, ran=True)).failed
    assert not verdict_of(application("SUCCEEDING", {"driver-0": WELL}, ran=True)).failed
    found = verdict_of(application("FAILED", {"driver-0": BAD}, "driver container failed with ExitCode: 3", ran=True))
    assert (found.kind, found.exit_code) == (USER, 3)


SUBMIT = "failed to submit spark application: failed to run spark-submit: failed to run spark-submit: "
STACK = "\n\tat org.apache.spark.deploy.SparkSubmit.main(SparkSubmit.scala)\n"
CLIENT_SAYS = 'Exception in thread "main" io.fabric8.kubernetes.client.KubernetesClientException: '
REFUSED = "Failure executing: POST at: https://h/pods. Message: {}. Received status: Status(apiVersion=v1, code={}, x)"


POSITIVE = 'Exception in thread "main" a.SparkException: Executor memory must be positive'
BROKEN = "Caused by: java.io.IOException: refused"


@pytest.mark.parametrize("state", ["SUBMISSION_FAILED", "FAILED"])
@pytest.mark.parametrize(
    ("said", "short", "kind"),
    [
        (f"WARN x\n{POSITIVE}{STACK}", "Executor memory must be positive", USER),
        (CLIENT_SAYS + REFUSED.format('namespaces "x" not found', 404) + STACK, 'namespaces "x" not found', SYSTEM),
        (CLIENT_SAYS + REFUSED.format("Pod x is invalid", 422) + STACK, "Pod x is invalid", USER),
        (f"{CLIENT_SAYS}An error has occurred.{STACK}{BROKEN}{STACK}", "An error has occurred.; refused", SYSTEM),
        ("exit status 1", SUBMIT + "exit status 1", SYSTEM),
    ],
)
def test_a_submission_that_failed_says_so_in_sparks_words_and_whose_fault_it_was(
    state: str, said: str, short: str, kind: int
) -> None:
    found = verdict_of(application(state, said=SUBMIT + said))
    assert (found.code, found.kind) == ("SubmissionFailed", kind)
    assert found.message == f"it could not be submitted to Spark: {short}"


def test_an_image_that_is_none_of_sparks_is_said_to_be_that() -> None:
    absent = pod("Failed", ended(128, "StartError", 'exec: "driver": executable file not found in $PATH'))
    for state in ("SUBMITTED", "FAILED"):
        found = verdict_of(application(state, {"driver-0": absent}))
        assert found.code == "StartError" and not found.retryable
        assert "whose entrypoint is Spark's own" in found.message


# --- Dask -------------------------------------------------------------------------------------------------------------


def daskjob(state: str, pods: dict[str, Json] | None = None, **over: Any) -> Sight:
    return seen(dask.KIND, {}, pods or {}, status={"jobStatus": state} if state else {}, **over)


def test_a_dask_job_from_its_making_to_its_end() -> None:
    assert wait_of(daskjob("", after=60)).code == "OperatorSilent"
    assert wait_of(daskjob("ClusterCreated", {"scheduler-0": PULLING})).message.startswith("scheduler-0: ")
    assert isinstance(daskjob("Running", {"runner-0": RUNNING, "worker-1": RUNNING}), Runs)
    assert not verdict_of(daskjob("Successful", {"runner-0": WELL}, ran=True)).failed


def test_the_code_of_a_dask_job_is_that_of_its_runner_which_the_object_does_not_say() -> None:
    found = verdict_of(daskjob("Failed", {"runner-0": BAD, "worker-7": pod("Failed", ended(1))}, ran=True))
    assert (found.kind, found.exit_code) == (USER, 3)
    assert found.message.startswith("runner-0: ")


def test_what_waits_for_a_node_says_so_by_its_replica() -> None:
    said = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/1"
    unplaced = pod("Pending", conditions=[condition("PodScheduled", "False", "Unschedulable", said)])
    del unplaced["spec"]["nodeName"]
    pods = {"master-0": RUNNING, "worker-0": unplaced, "worker-1": unplaced}
    wait = wait_of(torch(pods, status=conditions("Created")))
    assert wait.code == "Unschedulable" and wait.short
    assert wait.message == "worker-0: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu"


# --- jobs whose main replica alone tells the end ----------------------------------------------------------------------


MAIN = {"spark": ("driver-0", "executor-1", "RUNNING"), "dask": ("runner-0", "worker-1", "Running")}
OF_KIND = {"spark": application, "dask": daskjob}


@pytest.mark.parametrize("kind", sorted(MAIN))
def test_a_replica_that_was_made_up_for_is_not_what_failed(kind: str) -> None:
    main, other, _ = MAIN[kind]
    lost = pod("Failed", ended(137), deleted=at(9))
    found = verdict_of(OF_KIND[kind]({"spark": "FAILED", "dask": "Failed"}[kind], {main: BAD, other: lost}, ran=True))
    assert (found.kind, found.exit_code) == (USER, 3)
    assert found.message.startswith(f"{main}: ")


@pytest.mark.parametrize("kind", sorted(MAIN))
def test_its_end_counts_though_its_operator_is_away(kind: str) -> None:
    main, other, state = MAIN[kind]
    first = OF_KIND[kind](state, {main: WELL, other: RUNNING}, ran=True, after=11)
    assert isinstance(first, Ending) and first.well, "its outputs are looked for at once"
    assert not verdict_of(OF_KIND[kind](state, {main: WELL, other: RUNNING}, ran=True, after=90)).failed
    assert verdict_of(OF_KIND[kind](state, {main: BAD, other: RUNNING}, ran=True, after=90)).exit_code == 3


@pytest.mark.parametrize("kind", sorted(MAIN))
def test_one_that_somebody_deletes_was_not_the_programs_fault(kind: str) -> None:
    _, other, state = MAIN[kind]
    found = verdict_of(OF_KIND[kind](state, {other: RUNNING}, ran=True))
    assert (found.code, found.kind, found.cut_off) == ("DeletedByOthers", SYSTEM, True)
    assert isinstance(OF_KIND[kind](state, {other: RUNNING}, ran=False), Waits), "it may not have been seen yet"


@pytest.mark.parametrize("kind", sorted(MAIN))
def test_a_program_does_not_wait_for_ever_for_a_role_of_which_nobody_can_start(kind: str) -> None:
    main, other, state = MAIN[kind]
    absent = {main: RUNNING, other: PULLING}
    assert isinstance(OF_KIND[kind](state, absent, ran=True, after=60), Runs)
    found = verdict_of(OF_KIND[kind](state, absent, ran=True, after=Graces().image + 60))
    assert (found.code, found.kind) == ("ImagePull", USER) and found.message.startswith(f"{other}: ")
    some = {**absent, f"{other.rpartition('-')[0]}-2": RUNNING}
    assert isinstance(OF_KIND[kind](state, some, ran=True, after=9999), Runs), "it goes on with those it has"


def crashing(count: int = 3, began: float = 20, lasted: float = 5) -> Json:
    made = pod(main=waits("CrashLoopBackOff", "back-off 40s"), spec={"restartPolicy": "Always"})
    last = {"exitCode": 127, "startedAt": at(began), "finishedAt": at(began + lasted)}
    made["status"]["containerStatuses"][0] |= {"restartCount": count, "lastState": {"terminated": last}}
    return made


def test_what_ends_as_soon_as_it_starts_is_not_started_for_ever() -> None:
    """A scheduler or a head whose image lacks the program; a worker, once there is the scheduler that it needs."""
    found = verdict_of(daskjob("ClusterCreated", {"runner-0": PULLING, "scheduler-0": crashing()}))
    assert (found.code, found.kind) == ("CrashLoopBackOff", USER)
    assert found.message.startswith("scheduler-0: ") and "exit code 127" in found.message
    assert verdict_of(rayjob("Initializing", {"head-0": crashing()})).message.startswith("head-0: ")
    workers = {"runner-0": RUNNING, "worker-1": crashing(), "worker-2": crashing()}
    assert verdict_of(daskjob("Running", workers, ran=True)).code == "CrashLoopBackOff"


@pytest.mark.parametrize(
    "worker",
    [RUNNING, crashing(count=2), crashing(lasted=600), crashing(began=1)],
    ids=["runs", "few", "long", "before"],
)
def test_a_worker_that_may_come_yet_ends_nothing(worker: Json) -> None:
    """`before`: it was started before there was a scheduler."""
    workers = {"runner-0": RUNNING, "worker-1": crashing(), "worker-2": worker}
    assert isinstance(daskjob("Running", workers, ran=True), Runs)


def test_workers_keep_their_numbers_when_their_pods_are_made_anew() -> None:
    """Of a long job the pods' names are cut off before what tells one worker from another."""

    def number(worker: str, name: str) -> int:
        env = [{"name": "DASK_WORKER_NAME", "value": f"{'j' * 44}-default-worker-{worker}"}]
        made = pod(labels={"dask.org/component": "worker"}, spec={"containers": [{"name": "worker", "env": env}]})
        made["metadata"]["name"] = name
        found = dask.KIND.rank(made)
        assert found is not None
        return found.index

    first = number("0f8a3b21cd", "j-default-worx7k2p")
    assert number("0f8a3b21cd", "j-default-worqq2zz") == first
    assert number("1f8a3b21cd", "j-default-worx7k2p") != first


@given(st.sets(st.text("bcdfghjklmnpqrstvwxz2456789", min_size=5, max_size=5), max_size=50))
def test_no_two_workers_of_a_ray_group_have_one_number(letters: set[str]) -> None:
    ranks = set()
    for last in letters:
        made = pod(labels={"ray.io/node-type": "worker", "ray.io/group": "g"})
        made["metadata"]["name"] = f"job-abcde-g-worker-{last}"
        ranks.add(ray.KIND.rank(made))
    assert len(ranks) == len(letters)
