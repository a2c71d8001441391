"""One bad assignment, call or report costs itself and nothing else; a thread that dies takes the process along."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection
from flyteidl.core import execution_pb2

from scheduler.attempts import claims, reports
from scheduler.attempts.observations import Ended, Running
from scheduler.attempts.outcomes import Outcome
from scheduler.executors import vital
from scheduler.executors.base import Assignment
from scheduler.executors.daemon import Daemon
from scheduler.executors.fake import FakeExecutor
from scheduler.models import PhaseEvent, Quota, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, AttemptPhase
from tests.scheduler.attempts import make_attempt

database = pytest.mark.django_db(transaction=True)
SUCCEEDED = Outcome(AttemptPhase.SUCCEEDED)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.executors.daemon.HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr("scheduler.executors.daemon.TRY_AGAIN_SECONDS", 0.0)


@contextmanager
def running(fake: FakeExecutor) -> Iterator[Daemon]:
    daemon = Daemon(fake, "this-machine")

    def work() -> None:
        daemon.run()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.stop()
        thread.join()


def wait_until(done: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def wait_for(row: TaskExecution, phase: AttemptPhase) -> TaskExecution:
    until = time.monotonic() + 60
    while row.phase != phase:
        assert time.monotonic() < until and row.phase not in ATTEMPT_TERMINAL, (row.phase, row.reason)
        time.sleep(0.02)
        row.refresh_from_db()
    return row


def told(row: TaskExecution) -> execution_pb2.ExecutionError:
    assert row.error is not None
    return execution_pb2.ExecutionError.FromString(bytes(row.error))


@database
def test_a_report_that_the_database_refuses_is_set_aside_and_holds_up_no_other(
    valkey: object, caplog: pytest.LogCaptureFixture
) -> None:
    poison, good = make_attempt(), make_attempt()
    fake = FakeExecutor(lambda assignment: None)
    with running(fake):
        for row in (poison, good):
            wait_for(row, AttemptPhase.RUNNING)
        fake.finish(poison.pk, Outcome(AttemptPhase.SUCCEEDED, output_uri="no text column takes \0"))
        fake.finish(good.pk, SUCCEEDED)
        wait_for(good, AttemptPhase.SUCCEEDED)
        wait_for(poison, AttemptPhase.FAILED)
        later = make_attempt()
        wait_for(later, AttemptPhase.RUNNING)
        fake.finish(later.pk, SUCCEEDED)
        wait_for(later, AttemptPhase.SUCCEEDED)
    error = told(poison)
    assert (error.code, error.kind) == ("ReportRefused", execution_pb2.ExecutionError.SYSTEM)
    assert "NUL" in error.message and poison.error_retryable
    assert "no text column takes" in caplog.text  # the report itself


@database
def test_a_start_that_cannot_be_written_does_not_keep_the_end_from_it(valkey: object) -> None:
    class Odd(FakeExecutor):
        def submit(self, assignment: Assignment) -> None:
            self.running[assignment.attempt_id] = assignment
            self.emit(Running(assignment.attempt_id, "\0", datetime.now(timezone.utc)))

    row, fake = make_attempt(), Odd(lambda assignment: None)
    with running(fake):
        wait_until(lambda: row.pk in fake.running)
        fake.finish(row.pk, SUCCEEDED)
        wait_for(row, AttemptPhase.SUCCEEDED)


@database
def test_a_database_that_is_full_or_away_is_asked_until_it_takes_the_reports(
    valkey: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.executors.daemon.TRIES", 1)
    real, calls = reports.report_ends, 0

    def fails_at_first(ends: Sequence[Ended], *, actor: str) -> int:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise OperationalError("could not extend file: No space left on device")
        return real(ends, actor=actor)

    monkeypatch.setattr(reports, "report_ends", fails_at_first)
    row, fake = make_attempt(), FakeExecutor(lambda assignment: SUCCEEDED)
    with running(fake):
        wait_for(row, AttemptPhase.SUCCEEDED)
    assert calls >= 3


class Choosy(FakeExecutor):
    """Cannot take what is named so."""

    def __init__(self, refused: str, times: int) -> None:
        super().__init__(lambda assignment: SUCCEEDED)
        self.refused, self.left = refused, times

    def submit(self, assignment: Assignment) -> None:
        if assignment.name == self.refused and self.left > 0:
            self.left -= 1
            raise RuntimeError("out of sorts")
        super().submit(assignment)


@database
def test_an_assignment_that_cannot_be_handed_over_ends_and_the_others_run(valkey: object) -> None:
    doomed, good = make_attempt(), make_attempt()
    with running(Choosy(doomed.name, 1000)):
        wait_for(good, AttemptPhase.SUCCEEDED)
        wait_for(doomed, AttemptPhase.FAILED)
    assert told(doomed).code == "StartFailed" and "out of sorts" in told(doomed).message
    assert told(doomed).kind == execution_pb2.ExecutionError.SYSTEM and doomed.error_retryable


@database
def test_an_assignment_that_is_refused_once_is_handed_over_again(valkey: object) -> None:
    row = make_attempt()
    with running(Choosy(row.name, 1)):
        wait_for(row, AttemptPhase.SUCCEEDED)


@database
def test_a_queued_attempt_whose_resources_cannot_be_read_does_not_block_the_queue(valkey: object) -> None:
    broken, good = make_attempt(resources={"cpu": "a few"}), make_attempt()
    with running(FakeExecutor(lambda assignment: SUCCEEDED)):
        wait_for(good, AttemptPhase.SUCCEEDED)
        wait_for(broken, AttemptPhase.FAILED)
    assert told(broken).kind == execution_pb2.ExecutionError.SYSTEM and "a few" in told(broken).message


@database
def test_a_tick_that_fails_ends_nothing(valkey: object) -> None:
    class Hidden(FakeExecutor):
        ticks = 0

        def tick(self) -> None:
            self.ticks += 1
            raise PermissionError("/proc/1/stat")

    fake = Hidden(lambda assignment: SUCCEEDED)
    with running(fake):
        wait_until(lambda: fake.ticks)
        wait_for(make_attempt(), AttemptPhase.SUCCEEDED)
        wait_until(lambda: fake.ticks > 1)


@database
def test_what_an_executor_ends_is_recorded_once_even_if_it_says_so_twice(valkey: object) -> None:
    class Repeats(FakeExecutor):
        def finish(self, attempt_id: int, outcome: Outcome) -> None:
            if self.running.pop(attempt_id, None) is not None:
                for _ in range(2):
                    self.emit(Ended(attempt_id, outcome, datetime.now(timezone.utc)))

    row, marker = make_attempt(), make_attempt()
    with running(Repeats(lambda assignment: SUCCEEDED)):
        wait_for(row, AttemptPhase.SUCCEEDED)
        wait_for(marker, AttemptPhase.SUCCEEDED)
    assert PhaseEvent.objects.filter(object_id=row.pk, to_phase=AttemptPhase.SUCCEEDED).count() == 1


class Refusal(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "sqlstate", "passes"),
    [
        (OperationalError, "", True),
        (OperationalError, "53100", True),  # the disk is full
        (OperationalError, "40P01", True),  # a deadlock
        (OperationalError, "54000", False),  # more than a row or an index can hold
        (DataError, "22021", False),
        (ValueError, "", False),
    ],
)
def test_it_tells_a_database_in_trouble_from_a_report_it_will_never_take(
    error: type[Exception], sqlstate: str, passes: bool
) -> None:
    raised = error("...")
    raised.__cause__ = Refusal(sqlstate)
    assert vital.may_pass(raised) is passes


def test_a_vital_thread_that_dies_ends_the_process() -> None:
    program = """
import threading
from scheduler.executors.vital import vital

def work():
    raise OSError(24, "Too many open files")

vital(work, name="reading").start()
threading.Event().wait(60)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert done.returncode == vital.EXIT_CODE
    assert "'reading' died" in done.stderr and "Too many open files" in done.stderr


def test_a_vital_thread_that_has_done_its_work_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[bool] = []
    monkeypatch.setattr(vital, "end_process", lambda: died.append(True))
    works: list[Callable[[], object]] = [lambda: None, lambda: 1 / 0]
    for work in works:
        thread = vital.vital(work, name="short")
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    assert died == [True]  # of the second


@database
def test_a_place_that_a_quota_counts_is_taken_as_soon_as_the_end_before_is_recorded(
    valkey: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.executors.daemon.POLL_SECONDS", 1e9)  # nobody looks without being told
    rows = [make_attempt() for _ in range(6)]
    now = datetime.now(timezone.utc)
    Quota.objects.create(
        scope="everything", resource="attempts", limit=1, created_by="root", created_at=now, updated_by="root",
        updated_at=now,
    )  # fmt: skip
    fake = FakeExecutor(lambda assignment: None)
    with running(fake) as daemon:
        daemon._work.set()
        for row in rows:
            wait_for(row, AttemptPhase.RUNNING)
            fake.finish(row.pk, SUCCEEDED)
            wait_for(row, AttemptPhase.SUCCEEDED)


@database
def test_it_beats_while_it_goes_round_and_while_it_cannot_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, fails = tmp_path / "pulse", [True]
    monkeypatch.setenv("CAUSEWAY_PULSE", str(place))
    heartbeat = claims.heartbeat

    def answer(*args: Any, **kwargs: Any) -> None:
        if fails:
            raise OperationalError("the database does not answer")
        heartbeat(*args, **kwargs)

    monkeypatch.setattr(claims, "heartbeat", answer)
    with running(FakeExecutor(lambda assignment: None)):
        wait_until(place.exists)
        fails.clear()
        place.unlink()
        wait_until(place.exists)
        place.unlink()
        wait_until(place.exists)
