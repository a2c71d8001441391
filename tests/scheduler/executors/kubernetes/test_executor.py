"""The executor over real connections to an API server for tests: one pod for an attempt, one end, nothing lost."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from flyteidl.core import errors_pb2, execution_pb2, literals_pb2

from scheduler.attempts.observations import Accepted, Running, Waiting
from scheduler.attempts.outcomes import Outcome
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.held import OVERDUE_SECONDS
from scheduler.executors.kubernetes.logs import TAIL_LINES
from scheduler.executors.kubernetes.single import follows
from scheduler.phases import AttemptPhase
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Name, Request
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster
from tests.scheduler.executors.kubernetes.pods import condition, runs, waits

USER, SYSTEM = execution_pb2.ExecutionError.USER, execution_pb2.ExecutionError.SYSTEM


def now(seconds: float = 0) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def error_of(outcome: Outcome) -> execution_pb2.ExecutionError:
    assert outcome.error is not None
    return execution_pb2.ExecutionError.FromString(outcome.error)


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


def test_an_attempt_is_a_pod_from_submission_to_success(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    name = fake.only()
    fake.run(name)
    bench.until(lambda: bench.of(Running) and bench.of(Accepted))  # the watch may be faster than the answer
    bench.succeed(assignment)
    fake.end(name)
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED
    (accepted,) = bench.of(Accepted)
    assert isinstance(accepted, Accepted)
    assert accepted.handle == f"p-d/{name}"
    assert fake.pods, "its end is not written down yet"
    bench.record()
    bench.until(lambda: not fake.pods)


def test_outputs_that_are_there_are_believed_before_the_pod_says_so(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    bench.succeed(assignment)
    fake.end(fake.only(), phase="Running")
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED


def test_submitting_twice_makes_one_pod(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    bench.until(lambda: bench.of(Accepted))
    assert sum(call.startswith("POST") and call.endswith("/pods") for call in fake.calls) == 1


def test_a_pod_whose_creation_was_answered_to_nobody_is_found(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    bench.restart()
    bench.executor.submit(bench.assignment())
    bench.until(lambda: bench.of(Accepted))
    assert len(fake.pods) == 1


def test_a_pod_of_somebody_else_is_not_taken(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    fake.named(fake.only())["metadata"]["labels"][names.OWNER] = "other"
    bench.restart()
    bench.executor.submit(bench.assignment())
    assert error_of(bench.outcome()).code == "PodNameTaken"


def test_what_ran_while_nobody_looked_is_adopted(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    bench.executor.stop()
    bench.succeed(assignment)
    fake.end(fake.only())
    bench.restart()
    bench.executor.adopt(replace(assignment, handle=f"p-d/{fake.only()}"))
    bench.executor.settle()
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED


def test_an_adopted_attempt_that_never_had_a_pod_gets_one(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.adopt(bench.assignment())
    fake.wait_for_pod()


def test_an_adopted_attempt_whose_pod_is_gone_is_judged_by_its_files(bench: Bench, fake: FakeCluster) -> None:
    there, not_there = bench.assignment(1, handle="p-d/x"), bench.assignment(2, handle="p-d/y")
    bench.succeed(there)
    bench.executor.adopt(there)
    bench.executor.adopt(not_there)
    assert bench.outcome(1).phase == AttemptPhase.SUCCEEDED
    error = error_of(bench.outcome(2))
    assert (error.code, error.kind) == ("PodLost", SYSTEM)
    assert not fake.pods


def test_a_cancelled_attempt_is_aborted_when_its_pod_has_ended(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    name = fake.only()
    fake.run(name)
    bench.until(lambda: bench.of(Running))
    bench.executor.cancel(1)
    bench.executor.cancel(1)
    bench.until(lambda: "deletionTimestamp" in fake.named(name)["metadata"])
    assert not bench.ends()
    fake.end(name, 137)
    assert bench.outcome().phase == AttemptPhase.ABORTED
    assert sum(call.startswith("DELETE") for call in fake.calls) == 1


def test_a_cancelled_pod_that_no_node_took_is_over_at_once(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    bench.until(lambda: bench.of(Accepted))
    bench.executor.cancel(1)
    assert bench.outcome().phase == AttemptPhase.ABORTED


def test_an_attempt_cancelled_before_it_had_a_pod_gets_none(bench: Bench, fake: FakeCluster) -> None:
    said = "exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"
    fake.refuse += [(403, said)] * 1000
    bench.executor.submit(bench.assignment())
    bench.until(lambda: bench.of(Waiting))
    bench.executor.cancel(1)
    assert bench.outcome().phase == AttemptPhase.ABORTED
    fake.refuse.clear()
    bench.executor.tick()
    time.sleep(0.2)
    assert not fake.pods


@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 137)])
def test_a_pod_that_others_deleted_is_retried(bench: Bench, fake: FakeCluster, phase: str, code: int) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    fake.run(fake.only())
    fake.delete(fake.only())
    fake.end(fake.only(), code)
    outcome = bench.outcome()
    assert (error_of(outcome).code, error_of(outcome).kind, outcome.retryable) == ("DeletedByOthers", SYSTEM, True)


def test_a_timeout_counts_from_when_its_container_runs(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment(timeout_seconds=60.0))
    fake.wait_for_pod()
    name = fake.only()
    assert "activeDeadlineSeconds" not in fake.named(name)["spec"]
    fake.run(name, {"running": {"startedAt": now()}})
    bench.until(lambda: fake.named(name)["spec"].get("activeDeadlineSeconds") == 60)
    fake.end(name, 137, reason="DeadlineExceeded")
    error = error_of(bench.outcome())
    assert (error.code, error.kind) == ("TimeoutExpired", USER)


def test_a_task_without_a_timeout_has_the_one_of_the_settings(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.task_seconds = 30.0
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    fake.run(fake.only(), {"running": {"startedAt": now()}})
    bench.until(lambda: fake.named(fake.only())["spec"].get("activeDeadlineSeconds") == 30)


def test_a_task_that_its_node_does_not_end_in_time_is_ended(bench: Bench, fake: FakeCluster) -> None:
    """As one whose pod may take an hour to end."""
    bench.executor.submit(bench.assignment(timeout_seconds=1.0))
    fake.wait_for_pod()
    name = fake.only()
    fake.run(name, {"running": {"startedAt": now(-2 - OVERDUE_SECONDS)}})
    bench.until(lambda: "deletionTimestamp" in fake.named(name)["metadata"])
    fake.end(name, 137)
    error = error_of(bench.outcome())
    assert (error.code, error.kind) == ("TimeoutExpired", USER)
    assert "1 s" in error.message


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
    error = error_of(bench.outcome(2))
    assert (error.code, error.kind) == ("PodLost", SYSTEM)
    bench.succeed(before)
    fake.end(first)
    assert bench.outcome(1).phase == AttemptPhase.SUCCEEDED


def test_logs_of_more_pods_than_are_followed_are_kept(
    bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follows, "FOLLOWERS", 1)
    long = "".join(f"2026-11-28T12:00:00.{number:09d}Z line {number}\n" for number in range(TAIL_LINES + 1000))
    for number in range(1, 4):
        bench.executor.submit(bench.assignment(number))
    fake.wait_for_pod(3)
    names_ = [name for _, name in fake.pods]
    for name in names_:
        fake.logs[name, "main"] = long.encode()
        fake.run(name)
    bench.until(lambda: len(bench.of(Running)) == 3)
    for name in names_:
        fake.end(name, 1)
    for number in range(1, 4):
        bench.outcome(number)
    bench.record()
    bench.until(lambda: not fake.pods)
    for number in range(1, 4):
        kept = bench.store.get(bench.assignment(number).log_uri).decode()
        assert kept.splitlines() == [f"line {number}" for number in range(TAIL_LINES + 1000)]


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
    error = error_of(bench.outcome())
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


def test_a_pod_that_is_to_be_kept_is_nobodys_stray(bench: Bench, fake: FakeCluster) -> None:
    bench.settings = replace(bench.settings, keep_ended_seconds=2)
    bench.restart()
    bench.executor.strays.patience = 0.0
    bench.executor.settle()
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    bench.succeed(assignment)
    fake.end(fake.only())
    bench.outcome()
    bench.record()
    bench.until(lambda: not fake.named(fake.only())["metadata"]["finalizers"])
    with fake._changed:
        fake._commit("MODIFIED", fake.named(fake.only()))
    began = time.monotonic()
    bench.until(lambda: not fake.pods)
    assert time.monotonic() - began > 1


def test_outputs_count_even_if_the_pod_was_deleted_afterwards(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    bench.succeed(assignment)
    fake.delete(fake.only())
    fake.end(fake.only())
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED


def test_what_a_task_told_before_it_was_cut_off_is_not_its_own_error(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    told = errors_pb2.ErrorDocument(error=errors_pb2.ContainerError(code="USER", message="interrupted"))
    bench.store.put(f"{assignment.spec.addresses.output_prefix}/error.pb", told.SerializeToString())
    fake.delete(fake.only())
    fake.end(fake.only(), 1)
    assert error_of(bench.outcome()).code == "DeletedByOthers"


def test_a_pod_that_vanished_is_asked_for_and_lost(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    fake.run(fake.only())
    bench.until(lambda: bench.of(Running))
    fake.vanish(fake.only())
    fake.forget_history()
    fake.cut()
    assert error_of(bench.outcome()).code == "PodLost"


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
    outcome = bench.outcome()
    assert (error_of(outcome).code, error_of(outcome).kind) == ("ImagePull", USER)
    assert "no such host" in error_of(outcome).message
    assert "have an administrator let the cluster pull it" in error_of(outcome).message
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
    assert error_of(bench.outcome()).code == "Unschedulable"


def test_a_name_that_no_image_has_fails_at_once(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    fake.change(fake.only(), "Pending", waits("InvalidImageName", "invalid reference format"))
    assert not bench.outcome().retryable


def test_what_the_cluster_refuses_fails_with_its_words(bench: Bench, fake: FakeCluster) -> None:
    fake.refuse.append((422, "Pod is invalid: spec.containers[0].resources: not even"))
    bench.executor.submit(bench.assignment())
    outcome = bench.outcome()
    assert (error_of(outcome).kind, outcome.retryable) == (USER, False)
    assert "not even" in error_of(outcome).message


def test_a_right_that_is_missing_is_told_with_who_gives_it(bench: Bench, fake: FakeCluster) -> None:
    fake.refuse.append((403, 'pods is forbidden: User "c" cannot create resource "pods" in the namespace "p-d"'))
    bench.executor.submit(bench.assignment())
    error = error_of(bench.outcome())
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
    error = error_of(bench.outcome())
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
    assert "kubectl create namespace p-d" in error_of(bench.outcome()).message


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
    outcome = bench.outcome()
    assert not outcome.retryable
    assert "than the quota q of its namespace has in all" in error_of(outcome).message


def test_secrets_lie_in_an_object_of_the_pods_own(bench: Bench, fake: FakeCluster) -> None:
    bench.mounts = Mounts(env={"_FSEC_A": "hidden-value"}, hidden=("hidden-value",))
    bench.executor.submit(bench.assignment(secrets=(Request(Name("a")),)))
    bench.until(lambda: bench.of(Accepted))
    (secret,) = fake.secrets.values()
    assert secret["metadata"]["ownerReferences"][0]["uid"] == fake.named(fake.only())["metadata"]["uid"]
    assert "hidden-value" not in str(fake.pods)
    fake.end(fake.only(), 1, said="it was hidden-value")
    assert "hidden-value" not in error_of(bench.outcome()).message


def test_a_log_is_kept_before_the_pod_may_go(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    name = fake.only()
    fake.logs[name, "main"] = b"2026-11-28T12:00:01.000000001Z one\n2026-11-28T12:00:01.000000002Z two\n"
    fake.run(name)
    bench.until(lambda: bench.of(Running))
    fake.logs[name, "main"] += b"2026-11-28T12:00:02.000000000Z last words\n"
    fake.end(name, 1)
    assert "last words" in error_of(bench.outcome()).message
    bench.record()
    bench.until(lambda: not fake.pods)
    assert bench.store.get(assignment.log_uri) == b"one\ntwo\nlast words\n"


def test_a_pod_that_no_attempt_needs_is_removed(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    bench.restart()
    bench.executor.strays.patience = 0.1
    bench.executor.settle()
    bench.until(lambda: not fake.pods)


def test_a_log_that_nobody_kept_before_the_process_died_is_kept_before_its_pod_goes(
    bench: Bench, fake: FakeCluster
) -> None:
    first, second = bench.assignment(1), bench.assignment(2)
    for one in (first, second):
        bench.executor.submit(one)
    fake.wait_for_pod(2)
    for _, name in list(fake.pods):
        fake.logs[name, "main"] = b"2026-11-28T12:00:00.000000001Z all of it\n"
        fake.end(name, 1)
    bench.store.put(second.log_uri, b"what was followed, and is longer than this\n")
    bench.restart()
    bench.logs_of_ended = {1: first.log_uri, 2: second.log_uri}
    bench.executor.strays.patience = 0.0
    bench.executor.settle()
    bench.until(lambda: not fake.pods)
    assert bench.store.get(first.log_uri) == b"all of it\n"
    assert bench.store.get(second.log_uri).startswith(b"what was followed")


def test_an_echo_needs_no_pod(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment(argv=(), echo={"in": "out"})
    given = literals_pb2.LiteralMap(literals={"in": literals_pb2.Literal(hash="h")})
    bench.store.put(assignment.spec.addresses.inputs, given.SerializeToString())
    bench.executor.submit(assignment)
    outcome = bench.outcome()
    assert literals_pb2.LiteralMap.FromString(bench.store.get(outcome.output_uri)).literals["out"].hash == "h"
    assert not fake.pods


def test_a_task_without_a_container_is_refused(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment(argv=(), task_type="sensor"))
    assert "'sensor'" in error_of(bench.outcome()).message


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
