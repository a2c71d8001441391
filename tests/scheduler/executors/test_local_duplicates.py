"""An attempt handed over twice, as after a kill at an unlucky moment, runs once and ends as that one run ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scheduler.executors.base import Assignment
from scheduler.executors.local.rundir import Process, RunDirectory
from scheduler.executors.local.zygote.child import DUPLICATE, leave_result
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, crash, error
from tests.scheduler.executors.test_local_survival import run_directory, wait_until

pytestmark = pytest.mark.e2e  # real processes

NOBODY = {"pid": 1 << 22, "born": 1}  # no process has such a number


def waiting(bench: Bench, go: Path) -> tuple[Assignment, RunDirectory]:
    """An attempt that runs until there is `go`."""
    attempt = bench.task("waits_for", inputs={"marker": str(go)})
    bench.executor.submit(attempt)
    bench.wait_start(attempt)
    directory = run_directory(bench, attempt)
    wait_until(directory.process)
    return attempt, directory


def tick_for(bench: Bench, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        bench.executor.tick()
        time.sleep(0.05)


def end_of(bench: Bench, attempt: Assignment, go: Path) -> None:
    handle = bench.starts[attempt.attempt_id].handle
    assert bench.events.empty() or attempt.attempt_id not in bench.ends
    go.touch()
    ended = bench.wait_end(attempt)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
    assert bench.starts[attempt.attempt_id].handle == handle


def test_the_end_of_a_second_process_is_not_the_end_of_the_attempt(own_bench: Bench, tmp_path: Path) -> None:
    attempt, directory = waiting(own_bench, tmp_path / "go")
    (zygote,) = own_bench.executor.pools.own.clones.values()
    own_bench.executor.pools.own._hand_over(zygote, directory.path)
    tick_for(own_bench, 1.5)
    assert directory.result() is None
    own_bench._pump(own_bench.events.empty, 5)  # the start may have been told twice
    end_of(own_bench, attempt, tmp_path / "go")


def test_a_second_process_that_is_killed_is_not_the_end_of_the_attempt(own_bench: Bench, tmp_path: Path) -> None:
    """A process that waits for attempts, given one that runs already, dies before it has looked."""
    attempt, directory = waiting(own_bench, tmp_path / "go")
    own_bench.executor.pools.own.on_lost([directory.path])
    tick_for(own_bench, 0.2)
    end_of(own_bench, attempt, tmp_path / "go")


def test_what_is_said_late_of_a_second_process_does_not_replace_the_first(own_bench: Bench, tmp_path: Path) -> None:
    """It says itself that it is one too many; that it was forked may be read after that."""
    attempt, directory = waiting(own_bench, tmp_path / "go")
    own_bench.executor.following.on_message({"is": "ended", "dir": str(directory.path), "status": DUPLICATE})
    own_bench.executor.following.on_message({"is": "started", "dir": str(directory.path), **NOBODY})
    tick_for(own_bench, 0.2)
    end_of(own_bench, attempt, tmp_path / "go")


def test_a_result_left_in_the_last_moment_is_read(
    own_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adopted process exits between the two looks at it."""
    attempt, directory = waiting(own_bench, tmp_path / "go")
    crash(own_bench)
    own_bench.new_executor()
    own_bench.executor.adopt(attempt)
    own_bench.wait_start(attempt)

    def exits(process: Process) -> bool:
        leave_result(str(directory.path), 5)
        return False

    monkeypatch.setattr(Process, "alive", exits)
    assert "exit code 5" in error(own_bench.wait_end(attempt)).message
    (tmp_path / "go").touch()  # the process itself still waits, and nobody else ends it
