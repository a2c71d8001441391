"""Processes forked ahead of their attempt, and those that run one attempt after the other."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.executors.base import Assignment
from scheduler.executors.local.rundir import RunDirectory
from scheduler.executors.local.warm import Zygote
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, crash, error
from tests.scheduler.executors.test_local_outcomes import unpack

pytestmark = pytest.mark.e2e  # real processes


def clone(bench: Bench) -> Zygote:
    """The zygote of the project's code without variables of its own."""
    bench.run(bench.task("add", inputs={"a": 1, "b": 1}))
    keys = {run.key for run in bench.executor.pools.own.clones.values() if "workflows.tasks" in run.modules}
    return next(bench.executor.pools.own.clones[key] for key in sorted(keys))


def wait_for_worker(zygote: Zygote) -> int:
    until = time.monotonic() + 60
    while True:
        # The worker says that it is ready, its zygote which process it is: on a busy machine in either order.
        for process in [worker.process for worker in zygote.idle if worker.process is not None]:
            return process.pid
        assert time.monotonic() < until
        time.sleep(0.02)


def pid_of(bench: Bench, attempt: Assignment) -> int:
    return int(bench.starts[attempt.attempt_id].handle.partition(":")[0])


def test_an_attempt_goes_to_the_process_that_waits_for_it(own_bench: Bench) -> None:
    zygote = clone(own_bench)
    waiting = wait_for_worker(zygote)
    first = own_bench.task("surroundings", env={})
    ended = own_bench.run(first)
    assert pid_of(own_bench, first) == waiting
    assert unpack(own_bench.outputs(ended).literals["o0"].scalar)["files"] == ["data.txt", "workflows", "written.txt"]
    second = wait_for_worker(zygote)
    assert second != waiting  # a process runs one attempt, unless the attempt allows more


def test_attempts_that_allow_it_share_a_process_and_nothing_else(own_bench: Bench) -> None:
    seen, pids = [], set()
    for number in range(3):
        env = {"FLYTE_INTERNAL_EXECUTION_ID": f"exec-{number}"}
        attempt = own_bench.task("surroundings", reuse=True, env=env)
        ended = own_bench.run(attempt)
        assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
        seen.append(unpack(own_bench.outputs(ended).literals["o0"].scalar))
        pids.add(pid_of(own_bench, attempt))
    assert len(pids) == 1
    assert [fields["execution"] for fields in seen] == ["exec-0", "exec-1", "exec-2"]
    for different in ("cwd", "random", "remote"):
        assert len({fields[different] for fields in seen}) == 3
    first, second = own_bench.task("nothing", reuse=True), own_bench.task("add", inputs={"a": 1, "b": 1}, reuse=True)
    own_bench.run(first)
    own_bench.run(second)
    assert "smörgåsbord" in own_bench.log(first)
    assert "smörgåsbord" not in own_bench.log(second)


def test_a_failing_attempt_leaves_the_shared_process_usable(own_bench: Bench) -> None:
    failing = own_bench.task("fails", reuse=True)
    assert "the data is wrong" in error(own_bench.run(failing)).message
    after = own_bench.task("add", inputs={"a": 1, "b": 1}, reuse=True)
    assert own_bench.run(after).outcome.phase == AttemptPhase.SUCCEEDED
    assert pid_of(own_bench, failing) == pid_of(own_bench, after)


def test_an_attempt_that_dies_takes_only_its_own_process_along(own_bench: Bench) -> None:
    doomed = own_bench.task("kills_itself", inputs={"number": int(signal.SIGKILL)}, reuse=True)
    assert "SIGKILL" in error(own_bench.run(doomed)).message
    gone = own_bench.task("exits_hard", inputs={"code": 9}, reuse=True)
    assert "exit code 9" in error(own_bench.run(gone)).message
    after = own_bench.task("add", inputs={"a": 1, "b": 1}, reuse=True)
    assert own_bench.run(after).outcome.phase == AttemptPhase.SUCCEEDED


def test_a_waiting_process_that_was_killed_is_not_used(own_bench: Bench) -> None:
    zygote = clone(own_bench)
    os.kill(wait_for_worker(zygote), signal.SIGKILL)
    after = own_bench.task("add", inputs={"a": 1, "b": 1})
    assert own_bench.run(after).outcome.phase == AttemptPhase.SUCCEEDED


def test_a_shared_process_is_adopted_with_its_attempt(own_bench: Bench, tmp_path: Path) -> None:
    attempt = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")}, reuse=True)
    own_bench.executor.submit(attempt)
    own_bench.wait_start(attempt)
    crash(own_bench)
    own_bench.new_executor()
    own_bench.executor.adopt(attempt)
    (tmp_path / "go").touch()
    assert own_bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED


def breaks_off(directory: RunDirectory) -> None:
    """The executor is killed while it removes a run directory, which begins with any of its files."""
    directory.path.rename(directory.path.with_name(f"{directory.path.name}.gone")).joinpath("done").unlink()


@pytest.mark.parametrize("remove", [lambda directory: None, breaks_off], ids=["before", "during"])
def test_a_shared_process_is_not_stopped_for_an_attempt_it_is_done_with(
    own_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remove: Callable[[RunDirectory], None]
) -> None:
    first = own_bench.task("add", reuse=True, inputs={"a": 1, "b": 1})
    second = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")})
    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "remove", remove)  # the executor is killed before or while it comes to that
        own_bench.run(first)
        own_bench.executor.submit(second)
        own_bench.wait_start(second)
        crash(own_bench)
    assert pid_of(own_bench, second) == pid_of(own_bench, first)
    own_bench.new_executor()
    own_bench.executor.adopt(second)
    own_bench.executor.settle()
    (tmp_path / "go").touch()
    ended = own_bench.wait_end(second)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)


def test_a_module_whose_import_used_flytekits_event_loop_is_kept_warm(own_bench: Bench) -> None:
    """Default inputs of a workflow or launch plan do so; `clone` finds only a module that was kept."""
    assert wait_for_worker(clone(own_bench))
