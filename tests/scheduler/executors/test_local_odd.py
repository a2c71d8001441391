"""Tasks that do to their process and to its files what few do; and what later tasks see of it: nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core import literals_pb2

from artifacts.store import LocalStore
from scheduler.executors.base import Assignment
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, error

pytestmark = pytest.mark.e2e  # real processes


def odd(bench: Bench, name: str, **options: Any) -> Assignment:
    return bench.task(name, module="workflows.odd", **options)


def kept(bench: Bench) -> set[int]:
    """Which directories are kept for later attempts, once there are no others."""
    executor, until = bench.executor, time.monotonic() + 20
    while (names := set(os.listdir(executor.runs.folder))) != {
        path.name for ones in executor.spares._kept.values() for _, path in ones
    }:
        assert time.monotonic() < until, names
        time.sleep(0.02)
    return {(executor.runs.folder / name).stat().st_ino for name in names}


def test_a_file_of_a_task_may_have_the_name_of_its_inputs(bench: Bench) -> None:
    assert isinstance(bench.store, LocalStore)
    bench.store.put(uri := f"{bench.store.root}/raw/p/d/x/inputs.pb", b"a file like others")
    attempt, inputs = odd(bench, "read"), literals_pb2.LiteralMap()
    inputs.literals["file"].scalar.blob.uri = uri
    bench.store.put(attempt.spec.addresses.inputs, inputs.SerializeToString())
    ended = bench.run(attempt)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
    assert bench.outputs(ended).literals["o0"].scalar.primitive.string_value == "a file like others"


@pytest.mark.parametrize("reuse", [False, True])
def test_a_fork_that_comes_back_from_the_task_says_nothing_for_it(bench: Bench, tmp_path: Path, reuse: bool) -> None:
    for number in range(2):
        attempt = odd(bench, "forks", inputs={"marker": f"{tmp_path}/{number}"}, reuse=reuse)
        ended = bench.run(attempt)
        assert (tmp_path / str(number)).exists(), "it ended before the task"
        assert ended.outcome.phase == AttemptPhase.SUCCEEDED
        assert bench.outputs(ended).literals["o0"].scalar.primitive.string_value == "parent"
    after = bench.run(bench.task("add", inputs={"a": 1, "b": 2}, reuse=reuse))
    assert bench.outputs(after).literals["o0"].scalar.primitive.integer == 3


def test_a_process_between_two_attempts_is_in_the_directory_of_neither(bench: Bench, tmp_path: Path) -> None:
    marker = tmp_path / "where"
    attempt = odd(bench, "where_a_thread_is", inputs={"marker": str(marker)}, reuse=True)
    bench.run(attempt)
    assert kept(bench)
    warm = {module for clone in bench.executor.pools.own.clones.values() for module in clone.modules}
    assert "workflows.odd" in warm, "the module was not kept warm, so the process ended with its task"
    (tmp_path / "where.ask").touch()
    until = time.monotonic() + 20
    while not marker.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert not Path(marker.read_text()).is_relative_to(bench.executor.runs.folder)


@pytest.mark.parametrize(
    ("module", "name", "inputs"),
    [("odd", "closes_its_folders", {}), ("tasks", "exits_hard", {"code": 0}), ("tasks", "exits_hard", {"code": 3})],
)
def test_a_directory_whose_task_did_not_leave_it_as_usual_is_nobody_elses(
    own_bench: Bench, module: str, name: str, inputs: dict[str, int | str]
) -> None:
    attempt = own_bench.task(name, module=f"workflows.{module}", inputs=inputs)
    own_bench.run(attempt)
    assert kept(own_bench) == set()
    usual = odd(own_bench, "inode")
    used = own_bench.outputs(own_bench.run(usual)).literals["o0"].scalar.primitive.integer
    assert kept(own_bench) == {used}


def test_no_task_keeps_a_zygote_from_going_on(own_bench: Bench) -> None:
    ended = own_bench.run(odd(own_bench, "lets_nobody_tell"), timeout=20)
    assert ended.outcome.phase == AttemptPhase.FAILED
    after = own_bench.run(own_bench.task("add", inputs={"a": 1, "b": 2}), timeout=20)
    assert after.outcome.phase == AttemptPhase.SUCCEEDED
