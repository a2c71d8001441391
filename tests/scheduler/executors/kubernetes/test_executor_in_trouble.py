"""The executor on an API server for tests that refuses, is busy, forgets or says nothing; and pods that wait."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from flyteidl.core import execution_pb2

from scheduler.attempts.observations import Accepted, Running, Waiting
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster
from tests.scheduler.executors.kubernetes.pods import condition, now, runs, waits

USER, SYSTEM = execution_pb2.ExecutionError.USER, execution_pb2.ExecutionError.SYSTEM


def succeeds(bench: Bench, fake: FakeCluster) -> None:
    """One attempt from its submission to its end."""
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    fake.run(fake.only())
    bench.until(lambda: bench.of(Running))
    bench.succeed(assignment)
    fake.end(fake.only())
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED


def test_a_cluster_that_was_set_back_loses_nothing(bench: Bench, fake: FakeCluster) -> None:
    """Its etcd was restored from an older snapshot: versions begin again, and pods made since are not there."""
    before, after = bench.assignment(1), bench.assignment(2)
    bench.executor.submit(before)
    bench.until(lambda: bench.of(Accepted))
    first = fake.only()
    snapshot, version = json.loads(json.dumps([*fake.pods.items()])), fake._version
    fake.run(first)
    bench.until(lambda: bench.of(Running))
    bench.executor.submit(after)
    bench.until(lambda: len(bench.of(Accepted)) == 2)
    for _ in range(20):
        fake.run(first)  # many versions ago
    fake.set_back({(key[0], key[1]): pod for key, pod in snapshot}, version)
    error = bench.error(2)
    assert (error.code, error.kind) == ("PodLost", SYSTEM)
    bench.succeed(before)
    fake.end(first)
    assert bench.outcome(1).phase == AttemptPhase.SUCCEEDED


def test_a_pod_of_a_node_that_says_nothing_any_more_is_given_up(bench: Bench, fake: FakeCluster) -> None:
    """The cluster deletes it, and nothing comes after that."""
    bench.settings = replace(bench.settings, graces=Graces(unreachable=0.5))
    bench.restart()
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    name = fake.only()
    fake.run(name)
    bench.until(lambda: bench.of(Running))
    with fake._changed:
        fake.named(name)["metadata"]["deletionTimestamp"] = now(0.5)
        taken = condition("DisruptionTarget", "True", "DeletionByTaintManager", "Taint manager: deleting")
        fake.named(name)["status"]["conditions"].append(taken)
        fake._commit("MODIFIED", fake.named(name))
    error = bench.error()
    assert (error.code, error.kind) == ("NodeLost", SYSTEM)


def test_one_that_is_cancelled_on_a_node_that_says_nothing_is_given_up_too(bench: Bench, fake: FakeCluster) -> None:
    bench.settings = replace(bench.settings, graces=Graces(unreachable=0.5))
    bench.restart()
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    name = fake.only()
    fake.run(name)
    bench.until(lambda: bench.of(Running))
    bench.executor.cancel(1)
    bench.until(lambda: "deletionTimestamp" in fake.named(name)["metadata"])
    with fake._changed:
        fake.named(name)["metadata"]["deletionTimestamp"] = now(0.5)
        fake._commit("MODIFIED", fake.named(name))
    assert bench.outcome().phase == AttemptPhase.ABORTED


def test_a_pod_that_vanished_is_asked_for_and_lost(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    fake.run(fake.only())
    bench.until(lambda: bench.of(Running))
    fake.vanish(fake.only())
    fake.forget_history()
    fake.cut()
    assert bench.error().code == "PodLost"


def test_a_watch_that_is_cut_goes_on_and_loses_nothing(bench: Bench, fake: FakeCluster) -> None:
    assignments = [bench.assignment(number) for number in range(1, 6)]
    for assignment in assignments:
        bench.executor.submit(assignment)
    fake.wait_for_pod(5)
    for assignment, (_, name) in zip(assignments, list(fake.pods), strict=True):
        fake.cut()
        bench.succeed(assignment)
        fake.end(name)
    for number in range(1, 6):
        assert bench.outcome(number).phase in (AttemptPhase.SUCCEEDED, AttemptPhase.FAILED)
    assert len(bench.ends()) == 5


def test_a_version_that_is_too_old_has_it_list_again(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    bench.until(lambda: fake.watches)
    fake.forget_history()
    fake.cut()
    fake.run(fake.only())
    bench.until(lambda: bench.of(Running))


def test_waiting_reasons_are_told_once_each(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    for reason in ("ErrImagePull", "ImagePullBackOff", "ErrImagePull"):
        fake.change(fake.only(), "Pending", waits(reason, "no such host"))
        time.sleep(0.1)
    bench.until(lambda: bench.of(Waiting))
    told = [seen for seen in bench.of(Waiting) if isinstance(seen, Waiting)]
    assert [seen.code for seen in told] == ["ImagePull"]
    assert "no such host" in told[0].message


def test_what_waits_longer_than_its_grace_ends_with_the_reason(bench: Bench, fake: FakeCluster) -> None:
    bench.settings = replace(bench.settings, graces=Graces(image=0.2))
    bench.restart()
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    fake.change(fake.only(), "Pending", waits("ImagePullBackOff", "no such host"))
    error = bench.error()
    assert (error.code, error.kind) == ("ImagePull", USER)
    assert "no such host" in error.message
    assert "have an administrator let the cluster pull it" in error.message
    bench.record()
    bench.until(lambda: not fake.pods or "deletionTimestamp" in fake.named(fake.only())["metadata"])


def test_a_wait_for_a_node_goes_on_over_restarts(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    name = fake.only()
    said = condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")
    with fake._changed:
        fake.named(name)["status"] = {"phase": "Pending", "conditions": [{**said, "lastTransitionTime": now(-90_000)}]}
        fake._commit("MODIFIED", fake.named(name))
    bench.restart()
    bench.executor.adopt(replace(assignment, handle=f"p-d/{name}"))
    assert bench.error().code == "Unschedulable"


def test_a_name_that_no_image_has_fails_at_once(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    fake.change(fake.only(), "Pending", waits("InvalidImageName", "invalid reference format"))
    assert not bench.outcome().retryable


def test_what_the_cluster_refuses_fails_with_its_words(bench: Bench, fake: FakeCluster) -> None:
    fake.refuse.append((422, "Pod is invalid: spec.containers[0].resources: not even"))
    bench.executor.submit(bench.assignment())
    error = bench.error()
    assert (error.kind, bench.outcome().retryable) == (USER, False)
    assert "not even" in error.message


def test_a_right_that_is_missing_is_told_with_who_gives_it(bench: Bench, fake: FakeCluster) -> None:
    fake.refuse.append((403, 'pods is forbidden: User "c" cannot create resource "pods" in the namespace "p-d"'))
    bench.executor.submit(bench.assignment())
    error = bench.error()
    assert (error.code, error.kind) == ("RightMissing", SYSTEM)
    assert "an administrator of the cluster gives it the role" in error.message


def test_a_namespace_that_is_being_deleted_keeps_no_other_waiting(bench: Bench, fake: FakeCluster) -> None:
    closing = "unable to create new content in namespace p-d because it is being terminated"
    fake.refuse += [(403, closing)] * 2
    bench.executor.submit(bench.assignment())
    bench.until(lambda: bench.of(Waiting))
    (seen, *_) = bench.of(Waiting)
    assert isinstance(seen, Waiting)
    assert (seen.code, seen.message) == ("NamespaceTerminating", closing)
    assert bench.executor.board.turns.next(time.monotonic()) is None
    bench.executor.board.turns.add(99, "elsewhere", "f9")
    assert bench.executor.board.turns.next(time.monotonic()) == 99
    bench.executor.board.turns.made(99)
    bench.until(lambda: fake.pods, 30)


def test_pods_that_may_not_be_followed_are_read_one_by_one(
    bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.executors.kubernetes.looks.LOOK_SECONDS", 0.1)
    monkeypatch.setattr("scheduler.executors.kubernetes.executor.LOG_SECONDS", 0.1)
    fake.may_list = False
    bench.restart()
    succeeds(bench, fake)


def test_pods_that_may_not_be_seen_at_all_end_with_the_right_that_is_missing(
    bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.executors.kubernetes.looks.LOOK_SECONDS", 0.1)
    monkeypatch.setattr("scheduler.executors.kubernetes.executor.LOG_SECONDS", 0.1)
    bench.settings = replace(bench.settings, graces=Graces(creating=0.5))
    fake.may_list = fake.may_get = False
    bench.restart()
    bench.executor.submit(bench.assignment())
    error = bench.error()
    assert (error.code, error.kind) == ("RightMissing", SYSTEM)
    assert "an administrator of the cluster gives it the role" in error.message


def test_a_cluster_that_was_away_at_the_start_may_yet_allow_single_namespaces_only(
    bench: Bench, fake: FakeCluster
) -> None:
    fake.allowed = False
    bench.executor.watches.watchers[None, ""].refused = "pods is forbidden"
    bench.executor._narrow()
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    fake.run(fake.only())
    bench.until(lambda: bench.of(Running))
    assert "GET /api/v1/namespaces/p-d/pods" in fake.calls


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_cluster_is_asked_again(bench: Bench, fake: FakeCluster, status: int) -> None:
    fake.refuse += [(status, "later")] * 2
    bench.executor.submit(bench.assignment())
    bench.until(lambda: bench.of(Accepted))
    assert not bench.ends()


def test_a_namespace_that_is_missing_is_made(bench: Bench, fake: FakeCluster) -> None:
    fake.namespaces = set()
    bench.executor.submit(bench.assignment())
    bench.until(lambda: bench.of(Accepted))
    assert fake.namespaces == {"p-d"}


def test_a_namespace_that_may_not_be_made_is_told(bench: Bench, fake: FakeCluster) -> None:
    fake.namespaces = set()
    bench.settings = replace(bench.settings, create_namespaces=False)
    bench.restart()
    bench.executor.submit(bench.assignment())
    assert "kubectl create namespace p-d" in bench.error().message


def test_many_against_a_quota_take_turns_without_a_storm(bench: Bench, fake: FakeCluster) -> None:
    fake.quota, many = 5, 60
    assignments = {number: bench.assignment(number, execution=f"f{number % 2}") for number in range(1, many + 1)}
    for assignment in assignments.values():
        bench.executor.submit(assignment)
    done: set[str] = set()

    def go_on() -> bool:
        for (_, name), pod in list(fake.pods.items()):
            if name not in done and pod["status"]["phase"] == "Pending":
                bench.succeed(assignments[int(pod["metadata"]["labels"][names.ATTEMPT_ID])])
                done.add(name)
                fake.end(name)
        return len(bench.ends()) == many

    bench.until(go_on, 60)
    assert all(end.outcome.phase == AttemptPhase.SUCCEEDED for end in bench.ends())
    tries = sum(call.startswith("POST") and call.endswith("/pods") for call in fake.calls)
    assert tries < 3 * many
    assert any(isinstance(seen, Waiting) and seen.code == "QuotaExceeded" and seen.short for seen in bench.seen)


def test_more_than_a_whole_quota_fails_at_once(bench: Bench, fake: FakeCluster) -> None:
    said = "exceeded quota: q, requested: requests.nvidia.com/gpu=8, used: requests.nvidia.com/gpu=0, limited: "
    fake.refuse.append((403, said + "requests.nvidia.com/gpu=4"))
    bench.executor.submit(bench.assignment())
    assert "than the quota q of its namespace has in all" in bench.error().message
    assert not bench.outcome().retryable


def test_what_the_settings_name_is_put_into_a_new_namespace(bench: Bench, fake: FakeCluster) -> None:
    fake.namespaces = set()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "{{ project }}-quota"}, "spec": {}}
    bench.settings = replace(bench.settings, namespace_objects=(quota,))
    bench.restart()
    bench.executor.submit(bench.assignment())
    bench.until(lambda: bench.of(Accepted))
    assert "POST /api/v1/namespaces/p-d/resourcequotas" in fake.calls


def test_with_rights_in_single_namespaces_each_is_followed(bench: Bench, fake: FakeCluster) -> None:
    fake.allowed = False
    bench.restart()
    succeeds(bench, fake)
    assert "GET /api/v1/namespaces/p-d/pods" in fake.calls


def test_an_answer_that_is_older_than_what_the_watch_said_changes_nothing(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    bench.until(lambda: bench.of(Accepted))
    name = fake.only()
    older = json.loads(json.dumps(fake.named(name)))
    fake.change(name, "Pending", waits("ImagePullBackOff", "no such host"))
    bench.until(lambda: bench.of(Waiting))
    bench.executor.on_pod(older, False)
    assert bench.executor.board.held[1].wait is not None
    assert bench.executor.board.held[1].wait.code == "ImagePull"


def test_a_reason_whose_numbers_alone_change_is_told_once(bench: Bench) -> None:
    bench.executor.submit(bench.assignment())
    bench.fake.wait_for_pod()
    name = bench.fake.only()
    for nodes in (3, 4, 5):
        said = condition("PodScheduled", "False", "Unschedulable", f"0/{nodes} nodes are available: {nodes} taken")
        with bench.fake._changed:  # not on a node between the two
            bench.fake.change(name, "Pending", conditions=[said])
            bench.fake.named(name)["spec"].pop("nodeName")
            bench.fake._commit("MODIFIED", bench.fake.named(name))
    bench.until(lambda: bench.of(Waiting))
    bench.fake.change(name, "Running", runs())
    bench.until(lambda: bench.of(Running))
    told = [seen.message for seen in bench.of(Waiting) if isinstance(seen, Waiting) and seen.code == "Unschedulable"]
    assert len(told) == 1
