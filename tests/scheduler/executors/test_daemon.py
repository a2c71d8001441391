"""`manage.py executor` as a real process, with a database, with and without a broker, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from scheduler.attempts import reports, wire
from scheduler.executors.local.rundir import RunDirectory
from scheduler.models import ExecutorInstance, PhaseEvent, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, AttemptPhase
from tests.scheduler.attempts import make_attempt
from tests.scheduler.executors.conftest import Bench

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.e2e]  # real processes
ROOT = Path(__file__).parents[3]


class Daemon:
    """The executor process of one home. The broker is out of reach: it must find everything by itself."""

    def __init__(self, home: Path) -> None:
        self.home = home
        database = connection.settings_dict
        self.env = {
            **os.environ,
            "CAUSEWAY_HOME": str(home),
            "CAUSEWAY_STORE_URL": f"{home}/objects",
            "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
            "REDIS_URL": f"unix://{home}/no-broker.sock",
        }
        self.start()

    def start(self) -> None:
        command = [sys.executable, "manage.py", "executor"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, start_new_session=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(15)


def queue(bench: Bench, task: str, *, cpu: float = 0, **options: Any) -> TaskExecution:
    assignment = bench.task(task, **options)
    command = wire.to_json(assignment.spec)
    return make_attempt(name=assignment.name, command=command, resources={"cpu": cpu} if cpu else {})


def wait_for(row: TaskExecution, reached: Callable[[TaskExecution], bool], timeout: float = 60) -> TaskExecution:
    until = time.monotonic() + timeout
    while not reached(row):
        assert time.monotonic() < until, f"{row} is {AttemptPhase(row.phase).label}: {row.reason}"
        time.sleep(0.05)
        row.refresh_from_db()
    return row


def ended(row: TaskExecution) -> bool:
    return row.phase in ATTEMPT_TERMINAL


def running(row: TaskExecution) -> bool:
    return row.phase == AttemptPhase.RUNNING


@pytest.fixture
def files(tmp_path: Path, settings: Settings) -> Bench:
    """Only the store and the commands of a bench; the executor is the daemon's."""
    settings.CAUSEWAY_STORE_URL = f"{tmp_path}/objects"
    return Bench(tmp_path, start=False)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.kill()


def test_it_runs_attempts_and_outlives_kills(daemon: Daemon, files: Bench, tmp_path: Path) -> None:
    quick = queue(files, "add", inputs={"a": 1, "b": 2})
    wait_for(quick, ended)
    assert quick.phase == AttemptPhase.SUCCEEDED
    assert quick.output_uri.endswith("/outputs.pb")
    assert "adding 1 and 2" in files.store.get(quick.log_uri).decode()
    assert not quick.handled

    surviving = queue(files, "waits_for", inputs={"marker": str(tmp_path / "go")})
    finishing = queue(files, "waits_for", inputs={"marker": str(tmp_path / "early")})
    for row in (surviving, finishing):
        wait_for(row, running)
    handle = surviving.handle
    daemon.kill()
    (tmp_path / "early").touch()
    meanwhile = queue(files, "add", inputs={"a": 3, "b": 4})
    left = RunDirectory.of(tmp_path / "run", finishing.pk, finishing.name)
    until = time.monotonic() + 60
    while left.result() is None:  # it ended while nobody was there to hear of it
        assert time.monotonic() < until
        time.sleep(0.02)
    daemon.start()
    assert wait_for(finishing, ended).phase == AttemptPhase.SUCCEEDED
    assert wait_for(meanwhile, ended).phase == AttemptPhase.SUCCEEDED
    surviving.refresh_from_db()
    assert (surviving.phase, surviving.handle) == (AttemptPhase.RUNNING, handle)
    (tmp_path / "go").touch()
    assert wait_for(surviving, ended).phase == AttemptPhase.SUCCEEDED
    ends = PhaseEvent.objects.filter(to_phase__in=sorted(ATTEMPT_TERMINAL)).values_list("object_id", flat=True)
    assert sorted(ends) == sorted(row.pk for row in (quick, surviving, finishing, meanwhile))

    beats = ExecutorInstance.objects.get()
    assert beats.name == quick.claimed_by == meanwhile.claimed_by

    doomed = queue(files, "sleeps", inputs={"seconds": 300})
    wait_for(doomed, running)
    reports.request_cancel([doomed], cause="not needed", actor="ann", now=datetime.now(timezone.utc))
    assert wait_for(doomed, ended).phase == AttemptPhase.ABORTED

    second = subprocess.run(
        [sys.executable, "manage.py", "executor"], cwd=ROOT, env=daemon.env, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert "an executor runs already" in second.stderr
    assert daemon.stop() == 0


def test_it_keeps_within_the_machine(daemon: Daemon, files: Bench, tmp_path: Path) -> None:
    daemon.kill()
    daemon.env |= {"CAUSEWAY_EXECUTOR_CPU": "2"}
    daemon.start()
    inputs = {"marker": str(tmp_path / "go")}
    rows = [queue(files, "waits_for", inputs=inputs, cpu=1) for _ in range(4)]
    giant = queue(files, "add", inputs={"a": 1, "b": 1}, cpu=64)
    wait_for(rows[1], running)
    wait_for(rows[2], lambda row: bool(row.reason))
    assert rows[2].reason == "waiting for cpu 1"
    assert wait_for(giant, ended).reason == "the task asks for more than this machine has: cpu 64 of 2"
    assert TaskExecution.objects.filter(phase=AttemptPhase.RUNNING).count() == 2
    (tmp_path / "go").touch()
    for row in rows:
        assert wait_for(row, ended).phase == AttemptPhase.SUCCEEDED


def test_a_process_that_dies_with_everything_else_is_a_system_failure(daemon: Daemon, files: Bench) -> None:
    row = queue(files, "sleeps", inputs={"seconds": 300})
    wait_for(row, running)
    daemon.kill()
    os.kill(int(row.handle.partition(":")[0]), signal.SIGKILL)
    daemon.start()
    wait_for(row, ended)
    assert (row.phase, row.error_retryable) == (AttemptPhase.FAILED, True)
