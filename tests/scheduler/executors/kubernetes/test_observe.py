"""What is made of the states of a pod: each surprise that a real cluster holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.cluster import Cluster, Graces
from scheduler.executors.kubernetes.ending import NO_SHELL, Verdict
from scheduler.executors.kubernetes.held import OVERDUE_SECONDS
from scheduler.executors.kubernetes.observe import Ending, Over, Runs, Seen, Waits, observe
from scheduler.executors.kubernetes.runner.start import wrapped
from scheduler.executors.kubernetes.wait import NOW, Wait
from tests.scheduler.executors.kubernetes.pods import (
    CREATED,
    at,
    condition,
    disrupted,
    ended,
    event,
    pod,
    runs,
    waits,
)

GRACES = Graces()
SOON = CREATED + timedelta(seconds=10)


def see(given: dict[str, Any], **over: Any) -> Seen:
    return observe(given, graces=GRACES, now=over.pop("now", SOON), **over)


def wait_of(given: dict[str, Any], *events: dict[str, Any]) -> Wait:
    seen = see(given, events=events)
    assert isinstance(seen, Waits)
    return seen.wait


def verdict_of(given: dict[str, Any], **over: Any) -> Verdict:
    seen = see(given, **over)
    assert isinstance(seen, Over)
    return seen.verdict


# --- a pod that waits -------------------------------------------------------------------------------------------------


def unscheduled(message: str, reason: str = "Unschedulable") -> dict[str, Any]:
    told = [condition("PodScheduled", "False", reason, message)]
    return pod("Pending", conditions=told, spec={"nodeName": ""})


def test_it_says_that_gpus_are_taken_and_cuts_the_schedulers_tail() -> None:
    message = (
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/1 nodes "
        "are available: 1 No preemption victims found for incoming pod."
    )
    found = wait_of(unscheduled(message))
    assert (found.code, found.short) == ("Unschedulable", True)
    assert found.message == "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"
    assert found.grace == GRACES.unschedulable


def test_it_tells_a_request_that_no_node_can_ever_meet_from_one_that_is_queued() -> None:
    message = (
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/1 nodes "
        "are available: 1 Preemption is not helpful for scheduling."
    )
    found = wait_of(unscheduled(message))
    assert found.code == "NoNodeLargeEnough"
    assert found.kind == USER
    assert not found.retryable
    assert 0 < found.grace < GRACES.unschedulable


def test_taken_gpus_beside_nodes_that_could_never_take_it_are_waited_for() -> None:
    message = (
        "0/101 nodes are available: 1 Insufficient nvidia.com/gpu, 100 node(s) had untolerated taint(s). no new claims "
        "to deallocate, preemption: 0/101 nodes are available: 1 No preemption victims found for incoming pod, 100 "
        "Preemption is not helpful for scheduling."
    )
    found = wait_of(unscheduled(message))
    assert (found.code, found.grace) == ("Unschedulable", GRACES.unschedulable)


def test_it_says_that_selectors_fit_no_node() -> None:
    message = (
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    assert wait_of(unscheduled(message)).code == "NoNodeFits"


def test_a_volume_claim_that_is_not_there_ends_soon() -> None:
    found = wait_of(unscheduled('0/1 nodes are available: persistentvolumeclaim "absent" not found. not found'))
    assert (found.code, found.grace, found.kind) == ("VolumeClaimNotFound", GRACES.config, USER)


def test_a_gated_pod_waits_for_its_gates() -> None:
    given = unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")
    assert wait_of(given).code == "SchedulingGated"


def test_a_pod_that_nobody_looked_at_yet_is_being_scheduled() -> None:
    assert wait_of(pod("Pending", conditions=[], spec={"nodeName": ""})).code == "Scheduling"


REFUSED = 'failed to pull and unpack image "localhost/none:1": dial tcp 127.0.0.1:443: connect: connection refused'


def test_an_image_that_cannot_be_pulled_is_one_state_whatever_the_kubelet_says_at_the_moment() -> None:
    first = wait_of(pod("Pending", waits("ErrImagePull", REFUSED)))
    later = wait_of(
        pod("Pending", waits("ImagePullBackOff", f'Back-off pulling image "localhost/none:1": ErrImagePull: {REFUSED}'))
    )
    assert first == later
    assert first.code == "ImagePull"
    assert "connection refused" in first.message
    assert "team/job:1" in first.message
    assert first.grace == GRACES.image


def test_an_image_of_an_init_container_counts_as_well() -> None:
    init = [{"name": "prep", "image": "x:1", "state": waits("ImagePullBackOff", "no such host")}]
    assert wait_of(pod("Pending", waits("PodInitializing"), init=init)).code == "ImagePull"


def test_a_name_that_no_image_can_have_is_not_waited_for() -> None:
    found = wait_of(pod("Pending", waits("InvalidImageName", "invalid reference format")))
    assert found.grace == NOW
    assert (found.kind, found.retryable) == (USER, False)


def test_an_image_that_may_not_be_pulled_ends_after_a_grace() -> None:
    message = 'Container image "x:1" is not present with pull policy of Never'
    assert wait_of(pod("Pending", waits("ErrImageNeverPull", message))).code == "ImageNeverPull"


def test_a_secret_that_is_not_there_is_said_in_the_clusters_words_and_ends() -> None:
    found = wait_of(pod("Pending", waits("CreateContainerConfigError", 'secret "absent" not found')))
    assert 'secret "absent" not found' in found.message
    assert (found.kind, found.grace) == (USER, GRACES.config)


def test_a_volume_that_does_not_come_is_told_by_events_only() -> None:
    message = 'MountVolume.SetUp failed for volume "v" : configmap "absent" not found'
    quiet, told = pod("Pending", waits("ContainerCreating")), event("FailedMount", message)
    assert wait_of(quiet).grace == 0  # a large image takes its time
    found = wait_of(quiet, told)
    assert (found.code, found.message, found.grace) == ("FailedMount", message, GRACES.creating)


def test_a_sandbox_that_fails_is_told() -> None:
    found = wait_of(
        pod("Pending", waits("ContainerCreating")),
        event("FailedCreatePodSandBox", 'failed to get sandbox image "localhost/pause:1"'),
    )
    assert found.code == "FailedCreatePodSandBox"


def test_trouble_that_is_over_is_not_told_any_more() -> None:
    trouble, better = event("FailedMount", "not yet", 3), event("Pulling", 'Pulling image "x"', 5, "Normal")
    found = wait_of(pod("Pending", waits("ContainerCreating")), better, trouble)
    assert (found.code, found.message) == ("ContainerCreating", 'Pulling image "x"')


def test_events_without_times_of_the_old_kind_are_read_by_their_series() -> None:
    told = {"reason": "FailedMount", "message": "new", "type": "Warning", "series": {"lastObservedTime": at(9)}}
    older = {"reason": "Pulled", "type": "Normal", "eventTime": at(5), "firstTimestamp": None, "lastTimestamp": None}
    assert wait_of(pod("Pending", waits("ContainerCreating")), told, older).message == "new"


def test_a_sidecar_that_never_gets_ready_has_a_deadline() -> None:
    given = pod(
        "Pending",
        waits("PodInitializing"),
        init=[{"name": "proxy", "started": False, "state": runs()}],
        spec={"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
    )
    found = wait_of(given)
    assert (found.code, found.grace) == ("PodInitializing", GRACES.initializing)
    assert "proxy" in found.message


def test_a_sidecar_that_crashes_before_it_is_ready_has_a_deadline() -> None:
    init = [{"name": "proxy", "state": waits("CrashLoopBackOff", "back-off 10s restarting failed container")}]
    assert wait_of(pod("Pending", waits("PodInitializing"), init=init)).grace == GRACES.initializing


# --- a pod that runs, and one that is about to end --------------------------------------------------------------------


def test_a_running_container_counts_whatever_the_phase_says() -> None:
    assert see(pod("Pending", runs())) == Runs(CREATED + timedelta(seconds=2))


@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_a_container_that_ended_before_its_pod_is_about_to_end(phase: str) -> None:
    seen = see(pod(phase, ended(0)))
    assert isinstance(seen, Ending)
    assert seen.well


def test_a_pod_whose_other_container_runs_on_is_judged_by_its_main_one() -> None:
    given = pod("Running", ended(3), other=[{"name": "side", "state": runs()}])
    assert isinstance(see(given), Ending)
    assert verdict_of(given, now=CREATED + timedelta(seconds=30)).code == "NonZeroExit"


def test_a_raw_containers_pod_is_waited_for_until_its_outputs_are_kept() -> None:
    seen = see(pod("Running", ended(0)), now=CREATED + timedelta(hours=1), whole=True)
    assert seen == Ending(True, None)


# --- a pod that ended -------------------------------------------------------------------------------------------------


def test_a_good_end_leaves_the_judgement_to_the_outputs() -> None:
    seen = see(pod("Succeeded", ended(0)))
    assert seen == Over(
        Verdict(failed=False, exit_code=0), CREATED + timedelta(seconds=2), CREATED + timedelta(seconds=9)
    )


@pytest.mark.parametrize("exit_code", [0, 137])
@pytest.mark.parametrize("reason", ["PreemptionByScheduler", "EvictionByEvictionAPI", "DeletionByTaintManager"])
def test_a_disrupted_pod_is_a_system_failure_even_if_it_succeeded(exit_code: int, reason: str) -> None:
    phase = "Failed" if exit_code else "Succeeded"
    found = verdict_of(pod(phase, ended(exit_code), conditions=disrupted(reason), deleted=at(20)))
    assert (found.kind, found.retryable, found.failed, found.cut_off) == (SYSTEM, True, True, True)


def test_a_pod_that_others_deleted_is_a_system_failure_even_if_it_succeeded() -> None:
    found = verdict_of(pod("Succeeded", ended(0), deleted=at(20)))
    assert (found.code, found.kind, found.cut_off) == ("DeletedByOthers", SYSTEM, True)


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (1, "Failed"), (7, "Failed"), (247, "Failed")])
def test_memory_is_known_by_the_reason_whatever_the_exit_code(code: int, phase: str) -> None:
    found = verdict_of(pod(phase, ended(code, "OOMKilled")))
    assert (found.code, found.kind, found.retryable) == ("OOMKilled", USER, True)


def test_137_alone_is_no_want_of_memory() -> None:
    found = verdict_of(pod("Failed", ended(137)))
    assert (found.code, found.kind) == ("Interrupted", SYSTEM)


@pytest.mark.parametrize(("code", "shown"), [(247, 137), (241, 143)])
def test_negative_codes_of_flytekits_parent_process_are_shown_as_signals(code: int, shown: int) -> None:
    assert verdict_of(pod("Failed", ended(code))).exit_code == shown


def test_a_deadline_is_read_before_the_containers() -> None:
    for main in (ended(137), ended(0), ended(137, "ContainerStatusUnknown")):
        given = pod("Failed", main, reason="DeadlineExceeded", spec={"activeDeadlineSeconds": 5})
        found = verdict_of(given)
        assert (found.code, found.kind, found.retryable) == ("TimeoutExpired", USER, True)
        assert "activeDeadlineSeconds of 5 s" in found.message


def test_a_timeout_is_told_as_the_task_has_it_not_as_its_node_was_told_it() -> None:
    given = pod("Failed", ended(137), reason="DeadlineExceeded", spec={"activeDeadlineSeconds": 95})
    given["metadata"]["annotations"][names.TIMEOUT] = "60"
    assert "its timeout of 60 s, counted from when its container started" in verdict_of(given).message


@pytest.mark.parametrize(
    ("present", "timeout", "seconds"),
    [
        (None, 60.0, 92),  # 31.5 s until its container ran
        (1000, 60.0, 92),
        (50, 60.0, 0),  # the pod's own, which may not be raised
        (None, None, 0),
    ],
)
def test_a_nodes_deadline_is_the_timeout_after_what_it_waited(
    present: int | None, timeout: float | None, seconds: int
) -> None:
    given = pod("Running", {"running": {"startedAt": "2026-11-28T12:00:32.500Z"}})
    given["status"]["startTime"] = at(1)
    given["spec"] |= {"activeDeadlineSeconds": present} if present else {}
    assert pods.deadline_to_set(given, timeout) == seconds


@pytest.mark.parametrize(("grace", "seconds"), [(None, 92), (30, 92), (31, 152), (3600, 152)])
def test_a_pod_that_may_take_long_to_end_is_left_to_us_before_its_node(grace: int | None, seconds: int) -> None:
    """Once a node has begun to end it with the pod's own grace, a deletion with a shorter one changes nothing."""
    given = pod("Running", {"running": {"startedAt": "2026-11-28T12:00:32.500Z"}})
    given["status"]["startTime"] = at(1)
    given["spec"] |= {"terminationGracePeriodSeconds": grace} if grace is not None else {}
    assert pods.deadline_to_set(given, 60.0) == seconds
    assert OVERDUE_SECONDS + Cluster().abort_grace_seconds < pods.NODE_LATER_SECONDS


def test_a_pod_whose_container_has_not_started_gets_no_deadline() -> None:
    assert pods.deadline_to_set(pod("Pending", waits("ContainerCreating")), 60.0) == 0


@pytest.mark.parametrize(
    "message",
    [
        "Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. ",
        'Usage of EmptyDir volume "v" exceeds the limit "20Mi". ',
    ],
)
def test_too_much_disk_is_the_tasks_fault(message: str) -> None:
    found = verdict_of(pod("Failed", ended(137), reason="Evicted", message=message))
    assert (found.code, found.kind) == ("EphemeralStorage", USER)


def test_other_evictions_are_the_nodes() -> None:
    message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi."
    found = verdict_of(pod("Failed", ended(137), reason="Evicted", message=message))
    assert (found.code, found.kind) == ("Evicted", SYSTEM)
    assert "low on resource" in found.message


@pytest.mark.parametrize("reason", ["Shutdown", "NodeAffinity", "OutOfcpu", "UnexpectedAdmissionError"])
def test_a_node_that_did_not_take_the_pod_is_no_fault_of_the_task(reason: str) -> None:
    assert verdict_of(pod("Failed", reason=reason, message="no")).kind == SYSTEM


def test_a_missing_program_is_the_users_and_not_tried_again() -> None:
    message = 'exec: "/no/such/binary": stat /no/such/binary: no such file or directory'
    found = verdict_of(pod("Failed", ended(128, "StartError", message, started="1970-01-01T00:00:00Z")))
    assert (found.code, found.kind, found.retryable) == ("StartError", USER, False)
    assert "/no/such/binary" in found.message


def test_an_image_without_a_shell_is_no_fault_of_the_task_and_is_tried_again() -> None:
    message = 'exec: "/bin/sh": stat /bin/sh: no such file or directory'
    words = wrapped(["pyflyte-execute", "--inputs", "s3://b/i.pb"])
    for given, code in (({"args": words}, NO_SHELL), ({"args": ["/bin/sh", "-c", "ls"]}, "StartError")):
        spec = {"containers": [{"name": "main", "image": "team/job:1", **given}]}
        found = verdict_of(pod("Failed", ended(128, "StartError", message), spec=spec))
        assert (found.code, found.kind, found.retryable) == (
            code,
            SYSTEM if code == NO_SHELL else USER,
            code == NO_SHELL,
        )


def test_times_before_the_pod_was_made_are_not_believed() -> None:
    seen = see(pod("Failed", ended(128, "StartError", "x", started="1970-01-01T00:00:00Z")))
    assert isinstance(seen, Over)
    assert seen.started_at is None


def test_an_init_container_that_failed_is_found_although_the_pod_says_nothing() -> None:
    given = pod(
        "Failed",
        waits("PodInitializing"),
        init=[{"name": "prep", "state": ended(3, message="no such table")}],
        conditions=[condition("Initialized", "False", "ContainersNotInitialized")],
    )
    found = verdict_of(given)
    assert (found.code, found.kind) == ("InitContainerFailed", USER)
    assert "prep" in found.message
    assert "no such table" in found.message


def test_causeways_own_init_container_is_no_fault_of_the_task() -> None:
    found = verdict_of(pod("Failed", waits("PodInitializing"), init=[{"name": "causeway-inputs", "state": ended(1)}]))
    assert (found.code, found.kind) == ("InputsNotFetched", SYSTEM)


def test_a_native_sidecar_is_not_looked_at() -> None:
    given = pod(
        "Failed",
        ended(0),
        init=[{"name": "proxy", "state": ended(137)}],
        spec={"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
    )
    assert not verdict_of(given).failed


def test_an_ordinary_sidecar_that_failed_does_not_make_the_task_fail() -> None:
    assert not verdict_of(pod("Failed", ended(0), other=[{"name": "side", "state": ended(1)}])).failed


def test_a_node_that_lost_the_container_is_a_system_failure() -> None:
    assert verdict_of(pod("Failed", ended(137, "ContainerStatusUnknown"))).kind == SYSTEM


def test_a_pod_that_is_gone_with_nothing_known_of_it_is_lost() -> None:
    found = verdict_of(pod("Running", runs()), gone=True)
    assert (found.code, found.kind, found.retryable) == ("PodLost", SYSTEM, True)


def test_a_pod_that_was_to_end_and_does_not_is_given_up() -> None:
    given = pod("Running", runs(), deleted=at(30))
    assert isinstance(see(given), Runs)
    found = verdict_of(given, now=CREATED + timedelta(seconds=31 + GRACES.unreachable))
    assert found.kind == SYSTEM


def test_a_resize_without_a_change_of_phase_changes_nothing() -> None:
    resized = pod("Running", runs())
    resized["status"]["conditions"].append(condition("PodResizeInProgress"))
    assert see(resized) == see(pod("Running", runs()))
