"""Pods that Kueue holds back: why each waits is said in Kueue's words, and what it evicts is tried again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.attempts.observations import Accepted, Running, Waiting
from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.attempts.spec import Identity
from scheduler.executors.kubernetes import kueue, queues
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.ending import verdict
from scheduler.quotas.why import CODES, SAID
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster
from tests.scheduler.executors.kubernetes.pods import at, condition, ended, pod

Json = dict[str, Any]
NONE_FREE = (
    "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor a, 1 more needed"
)
TOO_LARGE = (
    "insufficient quota for cpu in flavor a, previously considered podsets requests (0) "
    "+ current podset request (9) > maximum capacity (2)"
)
NOT_COVERED = "couldn't assign flavors to pod set main: resource ephemeral-storage unavailable in ClusterQueue"


def workload(uid: str = "u-1", *conditions: Json, queue: str = "team", made: int = 0, **over: Any) -> Json:
    """Of the pod of that uid."""
    metadata = {
        "uid": f"w-{uid}",
        "creationTimestamp": at(made),
        "ownerReferences": [{"kind": "Pod", "uid": uid}],
        "labels": {"kueue.x-k8s.io/job-uid": uid},
    }
    spec = {"queueName": queue, "priority": over.pop("priority", 0), **over.pop("spec", {})}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": list(conditions), **over}}


def unreserved(reason: str, message: str) -> Json:
    return condition("QuotaReserved", "False", reason, message)


RESERVED = condition("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue all")
ADMITTED = condition("Admitted", "True", "Admitted", "The workload is admitted")


def waits(*found: Json, waited: float = 0.0) -> Any:
    return kueue.wait(kueue.line(found), "u-1", waited, Graces(queue=77.0, impossible=5.0))


@pytest.mark.parametrize(
    ("given", "code", "words", "grace"),
    [
        (workload("u-1", unreserved("Pending", NONE_FREE)), "QueueFull", f"(number 1 of 1 in it): {NONE_FREE}", 77.0),
        (workload("u-1", unreserved("Pending", TOO_LARGE)), "QueueTooSmall", TOO_LARGE, 5.0),
        (workload("u-1", unreserved("Pending", NOT_COVERED)), "QueueTooSmall", NOT_COVERED, 5.0),
        (
            workload("u-1", unreserved("Inadmissible", "LocalQueue team doesn't exist")),
            "QueueMissing",
            "Kueue says: LocalQueue team doesn't exist",
            5.0,
        ),
        (
            workload("u-1", unreserved("Inadmissible", "ClusterQueue all is inactive")),
            "QueueStopped",
            "the queue team takes nothing: ClusterQueue all is inactive",
            77.0,
        ),
        (
            workload("u-1", unreserved("Inadmissible", "ClusterQueue all doesn't exist")),
            "QueueClosed",
            "ClusterQueue all doesn't exist",
            77.0,
        ),
        (
            workload("u-1", RESERVED, admissionChecks=[{"name": "budget", "state": "Pending", "message": "asked"}]),
            "KueueChecks",
            "admission checks are not done: budget is Pending asked",
            0.0,
        ),
        (
            workload("u-1", condition("Evicted", "True", "Deactivated", "by an admin"), spec={"active": False}),
            "KueueDeactivated",
            "spec.active: false): by an admin",
            0.0,
        ),
    ],
)
def test_what_kueue_says_is_the_reason(given: Json, code: str, words: str, grace: float) -> None:
    found = waits(given)
    assert (found.code, found.grace, found.queued, found.short) == (code, grace, True, True)
    assert words in found.message


def test_only_what_can_never_run_is_its_authors_fault() -> None:
    never = waits(workload("u-1", unreserved("Pending", TOO_LARGE)))
    missing = waits(workload("u-1", unreserved("Inadmissible", "LocalQueue team doesn't exist")))
    assert (never.kind, never.retryable) == (USER, False)
    assert (missing.kind, missing.retryable) == (SYSTEM, False)


def test_one_that_is_admitted_waits_for_nothing_of_kueue() -> None:
    assert waits(workload("u-1", RESERVED, ADMITTED), waited=1000) is None


@pytest.mark.parametrize("found", [(), (workload("u-1"),), (workload("u-2", unreserved("Pending", NONE_FREE)),)])
def test_silence_counts_only_after_a_while(found: tuple[Json, ...]) -> None:
    assert waits(*found, waited=kueue.SILENT_SECONDS) is None
    silent = waits(*found, waited=kueue.SILENT_SECONDS + 1)
    assert (silent.code, silent.grace) == ("KueueSilent", 0.0)


def test_its_place_is_by_priority_then_age_among_those_of_its_queue_that_wait() -> None:
    full = unreserved("Pending", NONE_FREE)
    found = kueue.line(
        [
            workload("u-1", full, made=3),
            workload("u-2", full, made=9, priority=5),
            workload("u-3", full, made=1),
            workload("u-4", full, made=0, queue="other"),
            workload("u-5", RESERVED, ADMITTED, made=0),
            workload("u-6", condition("Finished"), made=0),
            workload("u-7", full, made=0, spec={"active": False}),
        ]
    )
    assert {uid: found.places.get(f"w-{uid}") for uid in ("u-2", "u-3", "u-1", "u-4", "u-5", "u-6", "u-7")} == {
        "u-2": (1, 3),
        "u-3": (2, 3),
        "u-1": (3, 3),
        "u-4": (1, 1),
        "u-5": None,
        "u-6": None,
        "u-7": None,
    }


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [
        ("WorkloadEvictedDueToClusterQueueStopped", "The ClusterQueue is stopped", "Evicted"),
        ("WorkloadEvictedDueToPreempted", "Preempted to accommodate a workload", "Preempted"),
    ],
)
@pytest.mark.parametrize("exit_code", [0, 143])
def test_an_evicted_pod_is_a_system_failure_in_kueues_words_however_it_left(
    reason: str, message: str, code: str, exit_code: int
) -> None:
    told = condition("TerminationTarget", "True", reason, message)
    gone = pod("Succeeded" if exit_code == 0 else "Failed", ended(exit_code), conditions=[told], deleted=at(9))
    found = verdict(gone, gone=True)
    assert (found.code, found.kind, found.retryable, found.cut_off) == (code, SYSTEM, True, True)
    assert message in found.message


def test_every_code_is_one_of_the_closed_list() -> None:
    codes = {"Queued", "QueueFull", "QueueTooSmall", "QueueMissing", "QueueStopped", "QueueClosed", "QueueUnseen"}
    codes |= {"KueueChecks", "KueueDeactivated", "KueueSilent", "WebhookAway"}
    assert {SAID[code] for code in codes} <= set(CODES)


# --- on the fake API ---


@pytest.fixture
def queued(bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With a Kueue, and a queue for every project."""
    monkeypatch.setattr(queues, "PAUSE_SECONDS", 0.1)
    fake.workloads = []
    bench.settings = replace(bench.settings, queues={"*": "team"})
    bench.restart()
    return bench


def said(bench: Bench, number: int = 1) -> list[Waiting]:
    return [seen for seen in bench.of(Waiting) if isinstance(seen, Waiting) and seen.attempt_id == number]


def submit(bench: Bench, fake: FakeCluster, number: int = 1) -> tuple[str, str]:
    """The name and the uid of its pod."""
    before = set(fake.pods)
    bench.executor.submit(bench.assignment(number))
    fake.wait_for_pod(len(before) + 1)
    ((_, name),) = set(fake.pods) - before
    return name, fake.named(name)["metadata"]["uid"]


def test_a_queued_pod_tells_kueues_reason_until_it_runs(queued: Bench, fake: FakeCluster) -> None:
    name, uid = submit(queued, fake)
    fake.workloads = [workload(uid, unreserved("Pending", NONE_FREE))]
    queued.until(lambda: said(queued))
    (first,) = said(queued)
    assert (first.code, first.short) == ("QueueFull", True)
    assert NONE_FREE in first.message and "queue team" in first.message
    fake.workloads = [workload(uid, unreserved("Inadmissible", "ClusterQueue all is inactive"))]
    queued.until(lambda: said(queued)[-1].code == "QueueStopped")
    fake.workloads = [workload(uid, RESERVED, ADMITTED)]
    fake.admit(name)
    fake.run(name)
    queued.until(lambda: queued.of(Running))


def test_many_queued_pods_cost_one_list_at_a_time(queued: Bench, fake: FakeCluster) -> None:
    for number in range(1, 21):
        queued.executor.submit(queued.assignment(number))
    fake.wait_for_pod(20)
    fake.workloads = [
        workload(one["metadata"]["uid"], unreserved("Pending", NONE_FREE), made=number)
        for number, one in enumerate(fake.pods.values())
    ]
    fake.calls.clear()
    queued.until(lambda: all(said(queued, number) for number in range(1, 21)))
    lists = [call for call in fake.calls if "workloads" in call]
    assert len(lists) < 10
    assert not [call for call in fake.calls if call.startswith("GET /api/v1/namespaces/p-d/pods/")]


def test_where_kueue_is_silent_it_is_said(queued: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kueue, "SILENT_SECONDS", 0.3)
    submit(queued, fake)
    queued.until(lambda: said(queued) and said(queued)[-1].code == "KueueSilent")
    assert "its controller is away" in said(queued)[-1].message
    assert not queued.ends()


def test_where_kueue_was_taken_away_it_is_said(queued: Bench, fake: FakeCluster) -> None:
    submit(queued, fake)
    fake.workloads = None
    queued.until(lambda: said(queued) and said(queued)[-1].code == "KueueSilent")
    assert "does not have any more" in said(queued)[-1].message


def test_where_workloads_may_not_be_read_it_is_said(queued: Bench, fake: FakeCluster) -> None:
    fake.may_read_workloads = False
    submit(queued, fake)
    queued.until(lambda: said(queued) and said(queued)[-1].code == "QueueUnseen")
    assert "gives it the role" in said(queued)[-1].message


@pytest.mark.parametrize("running", [True, False])
def test_what_kueue_evicts_is_a_system_failure(queued: Bench, fake: FakeCluster, running: bool) -> None:
    name, uid = submit(queued, fake)
    fake.workloads = [workload(uid, RESERVED, ADMITTED)]
    reason, message = "WorkloadEvictedDueToPreempted", "Preempted to accommodate a workload of team blue"
    if running:
        fake.admit(name)
        fake.run(name)
        queued.until(lambda: queued.of(Running))
        told = [condition("TerminationTarget", "True", reason, message)]
        fake.kubelet = lambda what, one: fake.end(name, 0, conditions=told) if what == "deleted" else None
    fake.evict(name, reason, message)
    error = queued.error()
    assert (error.code, error.kind) == ("Preempted", SYSTEM)
    assert "team blue" in error.message
    assert queued.outcome().retryable


def test_what_never_fits_ends_with_the_numbers_after_its_grace(queued: Bench, fake: FakeCluster) -> None:
    queued.settings = replace(queued.settings, graces=Graces(impossible=0.2))
    queued.restart()
    _, uid = submit(queued, fake)
    fake.workloads = [workload(uid, unreserved("Pending", TOO_LARGE))]
    error = queued.error()
    assert (error.code, error.kind) == ("QueueTooSmall", USER)
    assert "maximum capacity (2)" in error.message


def test_a_webhook_that_is_away_keeps_only_its_namespace_waiting(bench: Bench, fake: FakeCluster) -> None:
    away = 'Internal error occurred: failed calling webhook "mpod.kb.io": failed to call webhook: connection refused'
    fake.refuse_in = {"p-d": (500, away)}
    bench.executor.submit(bench.assignment(1))
    bench.until(lambda: said(bench))
    assert (said(bench)[0].code, away in said(bench)[0].message) == ("WebhookAway", True)
    for number in range(2, 12):  # one at a time they would take a pause each
        place = Identity(f"g{number}-n0-0", project="q", domain="d", execution=f"g{number}", node="n0", task="t")
        bench.executor.submit(bench.assignment(number, identity=place))
    bench.until(lambda: len(fake.pods) == 10, seconds=5)
    fake.refuse_in = {}
    bench.until(lambda: len(fake.pods) == 11)
    assert not bench.ends()


def test_pods_that_no_kueue_holds_are_told_of_once(
    queued: Bench, fake: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    fake.workloads = None
    for number in (1, 2):
        submit(queued, fake, number)
    queued.until(lambda: len(queued.of(Accepted)) == 2)
    (said_once,) = [one.getMessage() for one in caplog.records if "wait in none" in one.getMessage()]
    assert "namespace p-d" in said_once and "queue team" in said_once
