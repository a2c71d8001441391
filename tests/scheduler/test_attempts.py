from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from django.db import connection
from flyteidl.core import execution_pb2
from pytest_django import Settings

from scheduler.attempts import claims, reports
from scheduler.attempts.observations import Ended, Running
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.executors.daemon import assignment
from scheduler.executors.packing import MachinePacking
from scheduler.models import PhaseEvent, TaskExecution
from scheduler.phases import AttemptPhase
from tests.scheduler.attempts import make_attempt, make_node

MACHINE = Resources(cpu=4, memory=8 << 30)
SUCCEEDED = Outcome(AttemptPhase.SUCCEEDED, output_uri="file:///o/outputs.pb", deck_uri="file:///o/deck.html")


def now() -> datetime:
    return datetime.now(timezone.utc)


def claim(free: Resources = MACHINE, total: Resources = MACHINE, instance: str = "one") -> list[str]:
    packing = MachinePacking(free, total, now=now(), default_cpu=0.5)
    return [row.name for row in claims.claim("local", instance, packing, now=now()).rows]


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    calls: list[object] = []
    monkeypatch.setattr(reports, "wake_execution", calls.append)
    monkeypatch.setattr(reports, "wake_executor", lambda executor, cluster: calls.append(executor))
    return calls


pytestmark = pytest.mark.django_db


def test_it_claims_by_priority_and_age_what_fits() -> None:
    old, young = make_attempt(resources={"cpu": 2}), make_attempt(resources={"cpu": 2})
    urgent = make_attempt(priority=5, resources={"cpu": 1})
    make_attempt(executor="kubernetes")
    assert claim() == [urgent.name, old.name]
    old.refresh_from_db()
    assert (old.phase, old.claimed_by) == (AttemptPhase.INITIALIZING, "one")
    young.refresh_from_db()
    assert (young.phase, young.reason) == (AttemptPhase.QUEUED, "")
    event = PhaseEvent.objects.get(object_id=old.pk)
    assert (event.from_phase, event.to_phase, event.actor) == (AttemptPhase.QUEUED, AttemptPhase.INITIALIZING, "one")


def test_what_has_waited_for_a_second_says_what_for() -> None:
    row = make_attempt(resources={"cpu": 2, "memory": 1 << 30})
    TaskExecution.objects.filter(pk=row.pk).update(created_at=now() - timedelta(seconds=2))
    assert claim(Resources(cpu=1, memory=8 << 30)) == []
    row.refresh_from_db()
    assert (row.phase, row.reason) == (AttemptPhase.QUEUED, "waiting for cpu 2")


def test_it_says_where_the_log_will_be(settings: Settings) -> None:
    root = settings.CAUSEWAY_STORE_URL
    plain = make_attempt(command={"output_prefix": f"{root}/metadata/p/d/e/n0/0"})
    item = make_attempt(command={"output_prefix": f"{root}/metadata/p/d/e/n1/2/7"}, index=7)
    bare = make_attempt()
    claim()
    for row in (plain, item, bare):
        row.refresh_from_db()
    assert plain.log_uri == f"{root}/logs/p/d/e/n0.0.log"
    assert item.log_uri == f"{root}/logs/p/d/e/n1.2-7.log"
    assert bare.log_uri == f"{root}/logs/{bare.name}.log"


def test_it_lets_small_attempts_pass_but_not_for_ever() -> None:
    large = make_attempt(resources={"cpu": 4})
    first = make_attempt(resources={"cpu": 1})
    half = Resources(cpu=2, memory=8 << 30)
    assert claim(half) == [first.name]
    make_attempt(resources={"cpu": 1})
    TaskExecution.objects.filter(pk=large.pk).update(created_at=now() - timedelta(minutes=2))
    assert claim(half) == []
    assert claim() == [large.name]


def waits(row: TaskExecution, minutes: float = 2) -> None:
    TaskExecution.objects.filter(pk=row.pk).update(created_at=now() - timedelta(minutes=minutes))


@pytest.mark.parametrize("short", ["cpu", "memory", "gpu", "ephemeral_storage"])
def test_what_a_patient_attempt_is_short_of_is_kept_for_it_as_others_end(short: str) -> None:
    total = Resources(cpu=8, memory=8, gpu=8, ephemeral_storage=8)
    large = make_attempt(resources={"cpu": 1, short: 6})
    waits(large)
    for _ in range(10):
        make_attempt(resources={"cpu": 1, short: 2})
    taken: list[str] = []
    for held in (6, 4, 3):  # others end, and what is freed adds up
        taken += claim(total - Resources(**{"cpu": 1, short: held}), total)
    assert taken == []
    assert claim(total - Resources(**{"cpu": 1, short: 2}), total) == [large.name]


def test_what_a_patient_attempt_does_not_need_goes_to_others() -> None:
    """One that waits for a GPU keeps the cores it will need, and lets others have the rest."""
    total = Resources(cpu=4, memory=8 << 30, gpu=1)
    busy = Resources(cpu=4, memory=8 << 30)
    patient = make_attempt(resources={"cpu": 2, "gpu": 1})
    waits(patient)
    others = [make_attempt(resources={"cpu": 1}) for _ in range(4)]
    assert claim(busy, total) == [row.name for row in others[:2]]
    patient.refresh_from_db()
    assert patient.reason == "waiting for gpu 1"
    assert claim(Resources(cpu=2, memory=8 << 30, gpu=1), total) == [patient.name]


def test_many_that_wait_for_the_same_do_not_hide_those_behind_them() -> None:
    total = Resources(cpu=4, memory=8 << 30, gpu=1)
    node = make_node()
    for _ in range(claims.LOOK_AHEAD + 10):
        make_attempt(node, resources={"cpu": 0.5, "gpu": 1})
    behind = [make_attempt(node, resources={"cpu": 1}) for _ in range(2)]
    assert claim(Resources(cpu=4, memory=8 << 30), total) == [row.name for row in behind]


@pytest.mark.parametrize(
    ("resource", "asked", "words"),
    [("gpu", 2, "gpu 2 of 1"), ("ephemeral_storage", 64 << 30, "ephemeral storage 64.0 GiB of 8.0 GiB")],
)
def test_gpus_and_ephemeral_storage_are_counted(resource: str, asked: int, words: str) -> None:
    total = Resources(cpu=4, memory=8 << 30, gpu=1, ephemeral_storage=8 << 30)
    rows = [make_attempt(resources={"cpu": 1, resource: 1 if resource == "gpu" else 5 << 30}) for _ in range(2)]
    giant = make_attempt(resources={"cpu": 1, resource: asked})
    assert claim(total, total) == [rows[0].name]
    giant.refresh_from_db()
    assert giant.phase == AttemptPhase.FAILED and words in giant.reason


def test_it_fails_what_the_machine_can_never_run(woken: list[object]) -> None:
    row = make_attempt(resources={"cpu": 1, "memory": 64 << 30, "gpu": 1})
    assert claim() == []
    row.refresh_from_db()
    error = execution_pb2.ExecutionError.FromString(bytes(row.error or b""))
    assert row.phase == AttemptPhase.FAILED
    assert error.kind == execution_pb2.ExecutionError.USER
    assert "memory 64.0 GiB of 8.0 GiB, gpu 1 of 0" in error.message
    assert not row.error_retryable
    assert not row.handled
    assert woken == [row.execution_id]


@pytest.mark.django_db(transaction=True)
def test_two_executors_never_claim_the_same_attempt() -> None:
    """Nor do they wait for each other: of those that waited for a while it is said what for."""
    names = {make_attempt().name for _ in range(40)}
    TaskExecution.objects.update(created_at=now() - timedelta(seconds=10))

    def work(instance: str) -> list[str]:
        taken: list[str] = []
        while got := claim(Resources(cpu=1, memory=1), instance=instance):
            taken.extend(got)
        connection.close()
        return taken

    with ThreadPoolExecutor(4) as threads:
        taken = [name for share in threads.map(work, "abcd") for name in share]
    taken += claim()
    assert sorted(taken) == sorted(names)


def test_it_reports_starts_and_ends_in_batches(woken: list[object]) -> None:
    rows = [make_attempt() for _ in range(3)]
    claim()
    assert reports.report_running([Running(row.pk, f"{row.pk}:1", now()) for row in rows], actor="one") == 3
    assert woken == []
    assert reports.report_ends([Ended(row.pk, SUCCEEDED, now()) for row in rows], actor="one") == 3
    for row in rows:
        row.refresh_from_db()
        assert (row.phase, row.handle, row.handled) == (AttemptPhase.SUCCEEDED, f"{row.pk}:1", False)
        assert row.output_uri == "file:///o/outputs.pb"
        assert row.started_at is not None
        assert row.ended_at is not None
        phases = list(PhaseEvent.objects.filter(object_id=row.pk).order_by("id").values_list("to_phase", flat=True))
        assert phases == [AttemptPhase.INITIALIZING, AttemptPhase.RUNNING, AttemptPhase.SUCCEEDED]
    assert woken == sorted(row.execution_id for row in rows)


def test_an_end_may_come_without_a_start() -> None:
    row = make_attempt()
    claim()
    began = now()
    assert reports.report_ends([Ended(row.pk, SUCCEEDED, now(), began)], actor="one") == 1
    row.refresh_from_db()
    assert row.started_at == began


def test_it_ignores_late_and_repeated_reports(woken: list[object]) -> None:
    row = make_attempt()
    claim()
    failed = Outcome(AttemptPhase.FAILED, reason="no", error=b"", retryable=True)
    assert reports.report_ends([Ended(row.pk, failed, now())], actor="one") == 1
    assert reports.report_ends([Ended(row.pk, SUCCEEDED, now())], actor="one") == 0
    assert reports.report_running([Running(row.pk, "1:1", now())], actor="one") == 0
    row.refresh_from_db()
    assert (row.phase, row.reason, row.handle) == (AttemptPhase.FAILED, "no", "")
    assert PhaseEvent.objects.filter(object_id=row.pk).count() == 2
    assert len(woken) == 1
    assert reports.report_ends([], actor="one") == 0


def test_it_cancels_waiting_attempts_at_once_and_asks_for_held_ones(woken: list[object]) -> None:
    node = make_node()
    held = make_attempt(node)
    claim()
    waiting, ended = make_attempt(node), make_attempt(node, phase=AttemptPhase.SUCCEEDED)
    reports.request_cancel([held, waiting, ended], cause="aborted by ann", actor="ann", now=now())
    for row in (held, waiting, ended):
        row.refresh_from_db()
    assert (waiting.phase, waiting.reason) == (AttemptPhase.ABORTED, "aborted by ann")
    assert (held.phase, held.cancel_requested) == (AttemptPhase.INITIALIZING, True)
    assert ended.phase == AttemptPhase.SUCCEEDED
    assert claims.cancelled("one") == [held.pk]
    assert list(claims.held_by("one")) == [held]
    assert woken == [node.execution_id, "local"]


def test_attempts_of_a_machine_that_is_gone_are_system_failures(woken: list[object]) -> None:
    lost, kept = make_attempt(resources={"cpu": 4}), make_attempt()
    claims.heartbeat("one", "local", MACHINE, now=now() - timedelta(hours=3))
    claims.heartbeat("two", "local", MACHINE, now=now())
    claim()
    claim(instance="two")
    hour = timedelta(hours=1)
    assert claims.expire_lost("local", now=now(), silent_for=hour, actor="two") == 1
    lost.refresh_from_db()
    kept.refresh_from_db()
    assert (lost.phase, lost.error_retryable) == (AttemptPhase.FAILED, True)
    assert kept.phase == AttemptPhase.INITIALIZING


def test_what_was_only_limited_gets_what_the_machine_has() -> None:
    limited = make_attempt(resources={"cpu": 64, "memory": 1 << 30, "at_most": ["cpu"]})
    requested = make_attempt(resources={"cpu": 64})
    assert claim(Resources(cpu=3, memory=8 << 30)) == []  # the limit takes all of the machine, and waits for it
    assert claim() == [limited.name]
    requested.refresh_from_db()
    assert (requested.phase, requested.reason) == (
        AttemptPhase.FAILED,
        "the task asks for more than this machine has: cpu 64 of 4",
    )
    given = assignment(TaskExecution.objects.get(pk=limited.pk), MACHINE)
    assert (given.resources.cpu, given.memory_limit) == (4, 1 << 30)
