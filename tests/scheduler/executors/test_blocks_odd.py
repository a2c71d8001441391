"""Tasks in a row that do what few do, and an executor that is short of something: none is lost, none is shown wrong."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core import literals_pb2, types_pb2

from scheduler.attempts.observations import Ended, Running
from scheduler.executors.base import Assignment
from scheduler.executors.local import blocks, machine
from scheduler.executors.local.workers import Workers
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import RESOLVER, Bench, error, literal_map
from tests.scheduler.executors.test_blocks import end_all, known_as_quick, quick, submit, succeeded
from tests.scheduler.executors.test_local_outcomes import with_argv

pytestmark = pytest.mark.e2e  # real processes


@pytest.fixture
def row(own_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An executor that hands what is submitted together to one process, however busy the machine is."""
    monkeypatch.setattr(machine, "processors", lambda: 1)
    monkeypatch.setattr(blocks, "QUICK_SECONDS", 100.0)
    known_as_quick(own_bench)
    assert own_bench.run(odd(own_bench, "inode")).outcome.phase == AttemptPhase.SUCCEEDED
    return own_bench


def odd(bench: Bench, name: str, **options: Any) -> Assignment:
    return bench.task(name, module="workflows.odd", reuse=True, kind="k", **options)


def waiting(bench: Bench, marker: Path, **options: Any) -> Assignment:
    return bench.task("waits_for", inputs={"marker": str(marker)}, reuse=True, kind="k", **options)


def submit_in_a_row(bench: Bench, attempts: Sequence[Assignment]) -> None:
    submit(bench, attempts)
    (zygote,) = bench.executor.pools.own.clones.values()
    assert any(worker.in_a_row for worker in zygote.workers)


def look(bench: Bench, seconds: float) -> None:
    """As the daemon does for so long, whatever comes."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        bench.executor.tick()
        time.sleep(0.1)


def test_one_that_turns_out_slow_is_shown_once_as_of_its_start_and_one_before_it_as_of_its_end(
    row: Bench, tmp_path: Path
) -> None:
    slow, before = waiting(row, tmp_path / "go"), quick(row, 1)
    submit_in_a_row(row, [*before, slow, *quick(row, 1)])
    runs = {run.assignment.attempt_id: run.directory for run in row.executor.runs.held()}
    look(row, 2.5)
    seen = [row.events.get() for _ in range(row.events.qsize())]
    (shown,) = [one for one in seen if isinstance(one, Running) and one.attempt_id == slow.attempt_id]
    assert shown.at.timestamp() == pytest.approx(runs[slow.attempt_id].started_at(), abs=0.001)
    (end,) = [one for one in seen if isinstance(one, Ended) and one.attempt_id == before[0].attempt_id]
    assert end.at.timestamp() == pytest.approx(runs[before[0].attempt_id].ended_at(), abs=0.05)


def test_one_that_turns_out_slow_has_its_time(row: Bench, tmp_path: Path) -> None:
    slow = waiting(row, tmp_path / "never", timeout=2)
    submit_in_a_row(row, [*quick(row, 1), slow])
    ended = row.wait_end(slow, timeout=15)
    assert error(ended).code == "TimeoutExpired"


def test_those_behind_one_that_is_not_heard_any_more_do_not_wait_for_it(row: Bench, tmp_path: Path) -> None:
    other = odd(row, "closes_its_sockets", inputs={"marker": str(tmp_path / "go")})
    before, behind = quick(row, 2), quick(row, 3)
    submit_in_a_row(row, [*before, other, *behind])
    assert all(succeeded(end_all(row, [*before, *behind])))
    assert other.attempt_id not in row.ends
    (tmp_path / "go").touch()
    assert error(row.wait_end(other)).code == "NonZeroExit"


def test_those_behind_one_that_says_it_is_done_do_not_wait_for_it(row: Bench, tmp_path: Path) -> None:
    liar, behind = odd(row, "says_it_is_done", inputs={"marker": str(tmp_path / "go")}), quick(row, 3)
    submit_in_a_row(row, [liar, *behind])
    assert all(succeeded(end_all(row, behind)))
    (tmp_path / "go").touch()
    row.wait_end(liar)


def test_one_behind_a_process_that_stands_still_can_be_cancelled(row: Bench, tmp_path: Path) -> None:
    liar, behind = odd(row, "says_it_is_done", inputs={"marker": str(tmp_path / "never")}), quick(row, 1)
    submit_in_a_row(row, [liar, *behind])
    row.wait_end(liar)
    row.executor.cancel(behind[0].attempt_id)
    row.wait_end(behind[0])


def scarce(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Every other new process cannot be had, six times; whether it could, each time."""
    asked: list[bool] = []
    new = Workers._new

    def new_if_there_is_one(self: Workers, *args: Any) -> Any:
        asked.append(len(asked) % 2 == 1 or len(asked) > 5)
        if not asked[-1]:
            raise OSError(errno.EMFILE, "Too many open files")
        return new(self, *args)

    monkeypatch.setattr(Workers, "_new", new_if_there_is_one)
    return asked


def test_none_is_lost_for_want_of_descriptors(row: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, behind = waiting(row, tmp_path / "go"), quick(row, 4)
    submit_in_a_row(row, [slow, *behind])
    asked = scarce(monkeypatch)
    assert all(succeeded(end_all(row, behind)))
    assert False in asked
    (tmp_path / "go").touch()
    assert all(succeeded(end_all(row, [slow])))


def test_what_cannot_be_dealt_out_for_want_of_descriptors_goes_later(
    row: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts, asked = quick(row, 4 * blocks.MOST), scarce(monkeypatch)
    submit(row, attempts)
    assert all(succeeded(end_all(row, attempts)))
    assert False in asked
    assert [row.log(one).count("adding") for one in attempts] == [1] * len(attempts)


SAID = [
    {"is": "idle"},
    {"is": "started", "dir": "/", "pid": 1, "born": 1},
    {"is": "ended"},
    {"is": "ended", "dir": ["x"], "status": 0},
    {"is": "ended", "dir": "/", "status": 0},
    {},
    [],
    7,
]


def test_what_a_task_says_for_its_process_does_not_count(row: Bench) -> None:
    text = "".join(json.dumps(one) + "\n" for one in [*SAID, *SAID])
    attempts = [odd(row, "says", inputs={"text": text}), *quick(row, 3)]
    submit_in_a_row(row, attempts)
    assert all(succeeded(end_all(row, attempts)))
    for _ in range(3):
        attempts = quick(row, 4)
        for one in attempts:
            row.executor.submit(one)
        assert all(succeeded(end_all(row, attempts)))


def item(bench: Bench, index: int, rows: list[list[int]], by: list[int], maybe: list[int] | None) -> Assignment:
    """Of a map over rows and dicts, to whose task `by` and `maybe` are bound."""
    variable = "FLYTE_K8S_ARRAY_INDEX"
    attempt = odd(bench, "described", env={"BATCH_JOB_ARRAY_INDEX_VAR_NAME": variable, variable: str(index)})
    literals = literal_map()
    for row in rows:
        _fill(literals.literals["row"].collection.literals.add(), row)
        names = literals.literals["names"].collection.literals.add().map.literals
        names["n"].scalar.primitive.string_value = str(row)
    _fill(literals.literals["by"], by)
    union = literals.literals["maybe"].scalar.union
    if maybe is None:
        union.value.scalar.none_type.SetInParent()
        union.type.simple, union.type.structure.tag = types_pb2.NONE, "none"
    else:
        _fill(union.value, maybe)
        union.type.collection_type.simple, union.type.structure.tag = types_pb2.INTEGER, "Typed List"
    args = list(attempt.spec.argv)
    bench.store.put(args[args.index("--inputs") + 1], literals.SerializeToString())
    args[args.index("pyflyte-execute")] = "pyflyte-map-execute"
    at = args.index("--resolver")
    bound = ["vars", "by,maybe", "resolver", RESOLVER, *args[at + 3 :]]
    args[at + 1 :] = ["flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver", "--", *bound]
    return with_argv(attempt, args)


def _fill(literal: literals_pb2.Literal, numbers: list[int]) -> None:
    literal.collection.SetInParent()
    for number in numbers:
        literal.collection.literals.add().scalar.primitive.integer = number


def test_items_of_maps_in_one_process_have_each_their_own_inputs(row: Bench) -> None:
    rows = [[1, 2], [], [3], list(range(50))]
    bound: list[tuple[list[int], list[int] | None]] = [([7, 8], None), ([], [5]), ([9], [])]
    asked = [(index, *values) for values in bound for index in (3, 0, 2, 1)]
    assert row.run(item(row, 0, rows, [1], None)).outcome.phase == AttemptPhase.SUCCEEDED
    items = [item(row, index, rows, by, maybe) for index, by, maybe in asked]
    submit_in_a_row(row, items)
    processes = set()
    for (index, by, maybe), ended in zip(asked, end_all(row, items), strict=True):
        assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended)
        said, _, pid = row.outputs(ended).literals["o0"].scalar.primitive.string_value.rpartition(" ")
        assert said == f"{rows[index]} { ({'n': str(rows[index])}) } {by} {by[-1:]} {maybe}"
        processes.add(pid)
    assert len(processes) < len(items)
