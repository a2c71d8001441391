"""The executor over real connections to an API server for tests: one pod for an attempt, one end, nothing lost."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from flyteidl.core import errors_pb2, execution_pb2, literals_pb2

from scheduler.attempts.observations import Accepted, Running, Waiting
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.held import OVERDUE_SECONDS
from scheduler.executors.kubernetes.logs import TAIL_LINES
from scheduler.executors.kubernetes.single import follows
from scheduler.phases import AttemptPhase
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Name, Request
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster
from tests.scheduler.executors.kubernetes.pods import now

USER, SYSTEM = execution_pb2.ExecutionError.USER, execution_pb2.ExecutionError.SYSTEM


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
    assert bench.error().code == "PodNameTaken"


def test_two_descriptions_of_one_cluster_leave_each_others_pods_alone(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment())
    fake.wait_for_pod()
    bench.settings = replace(bench.settings, name="the-same-again")
    other = bench.make()
    other.start(lambda seen: None)
    other.strays.patience = 0.0
    other.settle()
    bench.until(lambda: [watcher.connected_at for watcher in other.watches.watchers.values()] > [0.0])
    other.tick()
    other.stop()
    fake.run(fake.only())
    bench.until(lambda: bench.of(Running))


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


def test_a_pod_that_was_told_before_its_attempt_was_adopted_is_no_stray(bench: Bench, fake: FakeCluster) -> None:
    assignment = bench.assignment()
    bench.executor.submit(assignment)
    fake.wait_for_pod()
    fake.run(fake.only())
    bench.restart()
    bench.executor.strays.patience = 0.0
    bench.until(lambda: bench.executor.strays._found)
    bench.executor.adopt(replace(assignment, handle=f"p-d/{fake.only()}"))
    bench.executor.settle()
    bench.until(lambda: bench.of(Running) and not bench.executor.strays._found)
    bench.succeed(assignment)
    fake.end(fake.only())
    assert bench.outcome().phase == AttemptPhase.SUCCEEDED
    assert not any(call.startswith("DELETE") for call in fake.calls)


def test_an_adopted_attempt_that_never_had_a_pod_gets_one(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.adopt(bench.assignment())
    fake.wait_for_pod()


def test_an_adopted_attempt_whose_pod_is_gone_is_judged_by_its_files(bench: Bench, fake: FakeCluster) -> None:
    there, not_there = bench.assignment(1, handle="p-d/x"), bench.assignment(2, handle="p-d/y")
    bench.succeed(there)
    bench.executor.adopt(there)
    bench.executor.adopt(not_there)
    assert bench.outcome(1).phase == AttemptPhase.SUCCEEDED
    error = bench.error(2)
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
    error = bench.error()
    assert (error.code, error.kind, bench.outcome().retryable) == ("DeletedByOthers", SYSTEM, True)


def test_a_timeout_counts_from_when_its_container_runs(bench: Bench, fake: FakeCluster) -> None:
    bench.executor.submit(bench.assignment(timeout_seconds=60.0))
    fake.wait_for_pod()
    name = fake.only()
    assert "activeDeadlineSeconds" not in fake.named(name)["spec"]
    fake.run(name, {"running": {"startedAt": now()}})
    bench.until(lambda: fake.named(name)["spec"].get("activeDeadlineSeconds") == 60)
    fake.end(name, 137, reason="DeadlineExceeded")
    error = bench.error()
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
    error = bench.error()
    assert (error.code, error.kind) == ("TimeoutExpired", USER)
    assert "1 s" in error.message


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
    assert bench.error().code == "DeletedByOthers"


def test_secrets_lie_in_an_object_of_the_pods_own(bench: Bench, fake: FakeCluster) -> None:
    bench.mounts = Mounts(env={"_FSEC_A": "hidden-value"}, hidden=("hidden-value",))
    bench.executor.submit(bench.assignment(secrets=(Request(Name("a")),)))
    bench.until(lambda: bench.of(Accepted))
    (secret,) = fake.secrets.values()
    assert secret["metadata"]["ownerReferences"][0]["uid"] == fake.named(fake.only())["metadata"]["uid"]
    assert "hidden-value" not in str(fake.pods)
    fake.end(fake.only(), 1, said="it was hidden-value")
    assert "hidden-value" not in bench.error().message


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
    assert "last words" in bench.error().message
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
    assert "'sensor'" in bench.error().message
