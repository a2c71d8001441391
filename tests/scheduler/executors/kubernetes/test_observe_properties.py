"""Whatever a cluster may say of a pod, the observation of it keeps its promises."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.observe import Ending, Over, Runs, Waits, observe
from tests.scheduler.executors.kubernetes.pods import CREATED, at, condition, pod

REASONS = ["", "Completed", "Error", "OOMKilled", "StartError", "ContainerStatusUnknown", "New"]
WAITING = ["", "ContainerCreating", "PodInitializing", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "New"]
states = st.one_of(
    st.just({}),
    st.builds(
        lambda reason, message: {"waiting": {"reason": reason, "message": message}}, st.sampled_from(WAITING), st.text()
    ),
    st.builds(lambda when: {"running": {"startedAt": when}}, st.sampled_from([at(2), None, "1970-01-01T00:00:00Z"])),
    st.builds(
        lambda code, reason, when, message: {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": when,
                "finishedAt": when,
                "message": message,
            }
        },
        st.sampled_from([0, 1, 7, 128, 137, 143, 241, 247, 255]),
        st.sampled_from(REASONS),
        st.sampled_from([at(2), None, "1970-01-01T00:00:00Z", "nonsense"]),
        st.sampled_from(["", "said"]),
    ),
)
conditions = st.lists(
    st.builds(
        condition,
        st.sampled_from(["PodScheduled", "Ready", "DisruptionTarget", "PodReadyToStartContainers", "New"]),
        st.sampled_from(["True", "False", "Unknown"]),
        st.sampled_from(["", "Unschedulable", "PreemptionByScheduler", "PodFailed", "New"]),
        st.sampled_from(["", "0/1 nodes are available: 1 Insufficient cpu."]),
    ),
    max_size=4,
)


@st.composite
def any_pods(draw: st.DrawFn) -> dict[str, Any]:
    over: dict[str, Any] = {"conditions": draw(conditions)}
    if draw(st.booleans()):
        over["deleted"] = at(draw(st.integers(1, 60)))
    if draw(st.booleans()):
        over["reason"] = draw(st.sampled_from(["Evicted", "DeadlineExceeded", "Shutdown", "OutOfcpu", "New"]))
    if draw(st.booleans()):
        over["init"] = [{"name": "prep", "state": draw(states)}]
    if draw(st.booleans()):
        over["spec"] = {"nodeName": draw(st.sampled_from(["", "node-1"]))}
    main = draw(st.one_of(st.none(), states))
    return pod(draw(st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown", ""])), main, **over)


@settings(max_examples=400, deadline=None)
@given(any_pods(), st.booleans(), st.integers(0, 10_000))
def test_every_state_of_a_pod_has_one_meaning(made: dict[str, Any], gone: bool, later: int) -> None:
    now = CREATED + timedelta(seconds=later)
    seen = observe(made, graces=Graces(), now=now, gone=gone)
    assert seen == observe(made, graces=Graces(), now=now, gone=gone)
    assert isinstance(seen, (Waits, Runs, Ending, Over))
    phase = made["status"]["phase"]
    if gone or phase in ("Succeeded", "Failed"):
        assert isinstance(seen, Over)
    if isinstance(seen, Over):
        found = seen.verdict
        assert found.kind in (USER, SYSTEM)
        assert not found.failed or (found.code and found.message)
        assert found.exit_code not in (241, 247)
        assert seen.started_at is None or seen.started_at >= CREATED
    if isinstance(seen, Waits):
        assert seen.wait.code


@settings(max_examples=400, deadline=None)
@given(any_pods())
def test_success_is_never_believed_of_a_pod_that_was_ended_from_outside(made: dict[str, Any]) -> None:
    told = made["status"]["conditions"]
    made["metadata"]["deletionTimestamp"] = at(5)
    seen = observe(made, graces=Graces(), now=CREATED, gone=True)
    assert isinstance(seen, Over)
    assert seen.verdict.failed, told


@settings(max_examples=400, deadline=None)
@given(any_pods(), st.integers(0, 10))
def test_a_pod_that_ended_stays_ended(made: dict[str, Any], later: int) -> None:
    now = CREATED + timedelta(seconds=100)
    first = observe(made, graces=Graces(), now=now)
    if isinstance(first, Over):
        assert isinstance(observe(made, graces=Graces(), now=now + timedelta(seconds=later)), Over)
