"""Running tasks outlive what started them, and are found again; cancelled ones leave nothing behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment
from scheduler.executors.local.rundir import Process, RunDirectory
from scheduler.executors.local.zygote.child import leave_result
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, crash, error

pytestmark = pytest.mark.e2e  # real processes


def kill_zygotes(bench: Bench) -> None:
    zygotes = bench.executor.pools.own
    for zygote in [zygotes.base, *zygotes.clones.values()]:
        assert zygote is not None
        if zygote.process is not None:
            os.kill(zygote.process.pid, signal.SIGKILL)


def wait_until(done: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def run_directory(bench: Bench, attempt: Assignment) -> RunDirectory:
    return RunDirectory.of(bench.home / "run", attempt.attempt_id, attempt.name)


def test_it_adopts_a_task_that_still_runs(own_bench: Bench, tmp_path: Path) -> None:
    attempt = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")})
    own_bench.executor.submit(attempt)
    before = own_bench.wait_start(attempt)
    crash(own_bench)
    own_bench.starts.clear()
    own_bench.new_executor()
    own_bench.executor.adopt(attempt)
    assert own_bench.wait_start(attempt).handle == before.handle
    (tmp_path / "go").touch()
    assert own_bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED


def test_an_adopted_task_keeps_its_gpu(own_bench: Bench, tmp_path: Path) -> None:
    own_bench.executor.stop()
    own_bench.new_executor(gpu=2)
    needs = Resources(cpu=0.5, gpu=1)
    first, second = (
        own_bench.task("waits_for", inputs={"marker": str(tmp_path / name)}, resources=needs) for name in "ab"
    )
    for submitted in (first, second):
        own_bench.executor.submit(submitted)
        own_bench.wait_start(submitted)
    (tmp_path / "a").touch()
    own_bench.wait_end(first)
    crash(own_bench)
    own_bench.new_executor(gpu=2)
    third = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "b")}, resources=needs)
    own_bench.executor.submit(third)  # before the other is adopted
    own_bench.executor.adopt(second)
    gpus = {run.assignment.attempt_id: run.gpus for run in own_bench.executor.runs.by_id.values()}
    assert gpus == {second.attempt_id: (1,), third.attempt_id: (0,)}
    (tmp_path / "b").touch()
    for waited in (second, third):
        assert own_bench.wait_end(waited).outcome.phase == AttemptPhase.SUCCEEDED


def test_it_picks_up_a_task_that_ended_meanwhile(own_bench: Bench, tmp_path: Path) -> None:
    attempt = own_bench.task("exits", inputs={"code": 5})
    waiting = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")})
    for submitted in (attempt, waiting):
        own_bench.executor.submit(submitted)
    own_bench.wait_start(waiting)
    crash(own_bench)
    (tmp_path / "go").touch()
    wait_until(lambda: all(run_directory(own_bench, one).result() is not None for one in (attempt, waiting)))
    own_bench.ends.clear()
    own_bench.new_executor()
    for submitted in (attempt, waiting):
        own_bench.executor.adopt(submitted)
    assert own_bench.wait_end(waiting).outcome.phase == AttemptPhase.SUCCEEDED
    assert "exit code 5" in error(own_bench.wait_end(attempt)).message


def test_it_starts_a_task_that_was_claimed_and_never_started(own_bench: Bench) -> None:
    attempt = own_bench.task("add", inputs={"a": 1, "b": 2})
    own_bench.executor.adopt(attempt)
    assert own_bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED


def test_it_reports_a_task_that_vanished_as_a_system_failure(own_bench: Bench) -> None:
    attempt = own_bench.task("sleeps", inputs={"seconds": 300})
    own_bench.executor.submit(attempt)
    handle = own_bench.wait_start(attempt).handle
    crash(own_bench)
    process = Process.parse(handle)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.alive())
    own_bench.new_executor()
    own_bench.executor.adopt(attempt)
    ended = own_bench.wait_end(attempt)
    assert error(ended).code in {"ProcessLost", "Interrupted"}
    assert error(ended).kind == 2
    assert ended.outcome.retryable


def test_a_process_id_used_again_is_not_mistaken_for_the_task() -> None:
    me = Process.parse(f"{os.getpid()}:1")
    assert me is not None
    assert not me.alive()


def test_it_runs_an_attempt_once_however_often_it_is_submitted(own_bench: Bench, tmp_path: Path) -> None:
    attempt = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")})
    own_bench.executor.submit(attempt)
    first = own_bench.wait_start(attempt).handle
    first_run = own_bench.executor.runs.by_id[attempt.attempt_id]
    own_bench.executor.submit(attempt)
    second = own_bench.executor.runs.by_id[attempt.attempt_id]
    wait_until(lambda: second.orphaned)  # its process has said that another runs the attempt
    assert second is not first_run and second.process == first_run.process
    (tmp_path / "go").touch()
    own_bench.wait_end(attempt)
    assert own_bench.starts[attempt.attempt_id].handle == first


def test_tasks_survive_their_zygotes_and_new_ones_are_started(own_bench: Bench, tmp_path: Path) -> None:
    attempt = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")})
    own_bench.executor.submit(attempt)
    own_bench.wait_start(attempt)
    kill_zygotes(own_bench)
    later = own_bench.task("add", inputs={"a": 1, "b": 2})
    assert own_bench.run(later).outcome.phase == AttemptPhase.SUCCEEDED
    (tmp_path / "go").touch()
    assert own_bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED


def test_zygotes_go_when_the_executor_goes(own_bench: Bench) -> None:
    own_bench.run(own_bench.task("add", inputs={"a": 1, "b": 2}))
    zygotes = own_bench.executor.pools.own
    processes = [zygote.process for zygote in (zygotes.base, *zygotes.clones.values()) if zygote is not None]
    assert len(processes) == 2
    crash(own_bench)
    wait_until(lambda: not any(process is not None and process.alive() for process in processes))


def test_cancelling_ends_the_whole_process_group(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.executors.local.stopping.GRACE_SECONDS", 300)  # nothing has to be killed
    marker = tmp_path / "child"
    attempt = bench.task("sleeps_with_child", inputs={"marker": str(marker)})
    bench.executor.submit(attempt)
    bench.wait_start(attempt)
    wait_until(lambda: marker.exists() and marker.read_text())
    bench.executor.cancel(attempt.attempt_id)
    ended = bench.wait_end(attempt)
    assert ended.outcome.phase == AttemptPhase.ABORTED
    wait_until(lambda: not is_running(int(marker.read_text())))


def test_what_a_killed_process_had_started_goes_with_it(bench: Bench, tmp_path: Path) -> None:
    """Otherwise it would go on beside the next attempt."""
    marker = tmp_path / "child"
    attempt = bench.task("sleeps_with_child", inputs={"marker": str(marker)})
    bench.executor.submit(attempt)
    process = Process.parse(bench.wait_start(attempt).handle)
    wait_until(lambda: marker.exists() and marker.read_text())
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert error(bench.wait_end(attempt)).code == "Interrupted"
    wait_until(lambda: not is_running(int(marker.read_text())))


@pytest.mark.parametrize("kept", [0, 7])
def test_outputs_that_were_not_written_to_their_end_are_none(bench: Bench, kept: int) -> None:
    ended = bench.run(bench.task("leaves_half_of_its_outputs", inputs={"kept": kept}))
    assert error(ended).code == "Interrupted"


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_cancelling_kills_what_does_not_listen(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.executors.local.stopping.GRACE_SECONDS", 0.5)
    marker = tmp_path / "ready"
    attempt = bench.task("ignores_term", inputs={"marker": str(marker)})
    bench.executor.submit(attempt)
    wait_until(marker.exists)
    bench.wait_start(attempt)
    bench.executor.cancel(attempt.attempt_id)
    assert bench.wait_end(attempt).outcome.phase == AttemptPhase.ABORTED


def test_it_stops_what_no_attempt_needs_any_more(own_bench: Bench) -> None:
    attempt = own_bench.task("sleeps", inputs={"seconds": 300})
    own_bench.executor.submit(attempt)
    process = Process.parse(own_bench.wait_start(attempt).handle)
    crash(own_bench)
    own_bench.new_executor()
    own_bench.executor.settle()
    assert process is not None
    wait_until(lambda: not process.alive())
    wait_until(lambda: list((own_bench.home / "run").iterdir()) == [])


def test_it_leaves_no_temporary_files(own_bench: Bench) -> None:
    """The next process, which is made ready meanwhile, may have one of its own for a moment."""
    own_bench.run(own_bench.task("add", inputs={"a": 1, "b": 2}))
    temporary = own_bench.home / "tmp"
    # os.walk goes on where a folder is removed meanwhile
    wait_until(
        lambda: (
            not [
                name
                for _, folders, files in os.walk(temporary)
                for name in files + [one for one in folders if len(one) == 32]
            ]
        )
    )


def test_it_removes_the_run_directory_once_the_end_is_recorded(bench: Bench) -> None:
    attempt = bench.task("add", inputs={"a": 1, "b": 2})
    bench.run(attempt)
    wait_until(lambda: not run_directory(bench, attempt).path.exists())


def test_a_result_that_is_left_meanwhile_does_not_keep_the_run_directory(tmp_path: Path) -> None:
    """As a zygote does that collects the process while the executor removes its traces."""
    stop = threading.Event()
    directories = [RunDirectory(tmp_path / str(number)) for number in range(50)]

    def leave_results() -> None:
        while not stop.is_set():
            for directory in directories:
                leave_result(str(directory.path), 0)

    for directory in directories:
        directory.prepare({}, None)
    thread = threading.Thread(target=leave_results)
    thread.start()
    try:
        for directory in directories:
            directory.remove()
    finally:
        stop.set()
        thread.join()
    assert list(tmp_path.iterdir()) == []
