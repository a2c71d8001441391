"""What a task started does not outlive it, however it detached itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, crash, error
from tests.scheduler.executors.test_local_survival import is_running, kill_zygotes, wait_until

pytestmark = pytest.mark.e2e  # real processes


def pids(folder: Path) -> dict[str, int]:
    return {path.name: int(path.read_text()) for path in folder.iterdir()}


@pytest.mark.parametrize("reuse", [False, True], ids=["own process", "shared process"])
@pytest.mark.parametrize("then", ["returns", "killed", "exits"])
def test_what_a_task_left_running_ends_with_it(bench: Bench, tmp_path: Path, then: str, reuse: bool) -> None:
    attempt = bench.task("leaves_running", inputs={"folder": str(tmp_path), "then": then}, reuse=reuse)
    ended = bench.run(attempt)
    assert (ended.outcome.phase == AttemptPhase.SUCCEEDED) == (then == "returns")
    left = pids(tmp_path)
    assert sorted(left) == ["background", "daemon", "session"]
    wait_until(lambda: not any(map(is_running, left.values())))
    if then == "returns":
        assert "[Causeway ended 3 processes that the task had left running:" in bench.log(attempt)


def test_what_a_command_left_running_ends_with_it(bench: Bench, tmp_path: Path) -> None:
    """It takes the place of the process that was forked for it."""
    note = f"setsid sh -c 'echo $$ > {tmp_path}/session; exec sleep 300' &"
    wait = f"until test -s {tmp_path}/session; do sleep 0.01; done"
    ended = bench.run(bench.task("", args=["sh", "-c", f"{note} {wait}; exit 7"]))
    assert "exit code 7" in error(ended).message
    wait_until(lambda: not is_running(pids(tmp_path)["session"]))


def test_other_tasks_and_those_of_a_zygote_that_died_are_none_of_that(own_bench: Bench, tmp_path: Path) -> None:
    """They fall to the zygote above, like strays; a task that ends there takes only its own along."""
    folder, go = tmp_path / "left", tmp_path / "go"
    folder.mkdir()
    clones = own_bench.executor.pools.own.clones
    waiting = own_bench.task("waits_for", inputs={"marker": str(go)})
    own_bench.executor.submit(waiting)
    own_bench.wait_start(waiting)
    (clone,) = clones.values()
    assert clone.process is not None
    os.kill(clone.process.pid, signal.SIGKILL)
    wait_until(lambda: clone.process is not None and not clone.process.alive())
    # One in the zygote above, without a clone, whose end makes it look for strays.
    own_bench.run(own_bench.task("", args=["true"]))
    own_bench.run(own_bench.task("leaves_running", inputs={"folder": str(folder), "then": "killed"}))
    own_bench.run(own_bench.task("", args=["true"]))
    wait_until(lambda: not any(map(is_running, pids(folder).values())))
    assert own_bench.executor.runs.by_id[waiting.attempt_id].process is not None
    go.touch()
    assert own_bench.wait_end(waiting).outcome.phase == AttemptPhase.SUCCEEDED


def test_without_any_zygote_the_process_itself_ends_what_it_left(own_bench: Bench, tmp_path: Path) -> None:
    go, folder = tmp_path / "go", tmp_path / "left"
    folder.mkdir()
    attempt = own_bench.task("leaves_running_later", inputs={"marker": str(go), "folder": str(folder)})
    own_bench.executor.submit(attempt)
    own_bench.wait_start(attempt)
    kill_zygotes(own_bench)
    crash(own_bench)
    own_bench.new_executor()
    own_bench.executor.adopt(attempt)
    go.touch()
    assert own_bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED
    wait_until(lambda: not any(map(is_running, pids(folder).values())))


def test_shared_memory_is_tidied_up_and_not_counted(bench: Bench) -> None:
    attempt = bench.task("forgets_shared_memory")
    ended = bench.run(attempt)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
    name = bench.outputs(ended).literals["o0"].scalar.primitive.string_value
    assert name and not Path("/dev/shm", name).exists()  # noqa: S108 - where Linux has it
    assert "Causeway ended" not in bench.log(attempt)
