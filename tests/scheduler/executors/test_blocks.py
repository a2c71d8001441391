"""Small tasks that one process is handed several of at a time."""

from __future__ import annotations

import copy
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.attempts.observations import Ended
from scheduler.executors.base import Assignment
from scheduler.executors.local import blocks, machine
from scheduler.executors.local.blocks import Gathering, Order, Pace, shares
from scheduler.executors.local.rundir import Process
from scheduler.executors.local.untold import Untold
from scheduler.executors.local.warm import Worker, Zygote
from scheduler.executors.local.wires import Wires
from scheduler.executors.local.workers import TIMES, Workers
from scheduler.executors.local.zygote.child import DUPLICATE
from scheduler.executors.local.zygote.mapped import Literals
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, crash, error

# --- rules ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 100), st.lists(st.integers(1, blocks.MOST), max_size=4), st.integers(-2, 8))
def test_shares_go_where_least_is_at_hand_and_to_few_places(count: int, lengths: list[int], places: int) -> None:
    given_ = shares(count, lengths, places)
    rows = [*lengths, *[0] * (len(given_) - len(lengths))]
    after = [length + more for length, more in zip(rows, given_, strict=True)]
    assert sum(given_) == count and all(length <= blocks.MOST for length in after)
    usual = len(lengths) + max(places, 0 if lengths else 1)
    assert len(given_) >= usual
    if len(given_) > usual:  # more places, for all were full
        assert all(length == blocks.MOST for length in after[:-1])
        return
    for row, more in zip(after, given_, strict=True):
        if more:  # nobody had less at hand when it got its last
            assert row - 1 <= min(after)


def test_a_kind_is_quick_once_a_few_of_it_were_and_while_few_are_slow() -> None:
    pace = Pace()
    assert not pace.is_quick("add")
    for _ in range(blocks.SAMPLES):
        pace.note("add", 0.002)
    assert pace.is_quick("add") and not pace.is_quick("train") and not pace.is_quick("")
    pace.note("add", 3.0)
    assert not pace.is_quick("add")  # one of four
    for _ in range(4):
        pace.note("add", 0.002)
    assert pace.is_quick("add")
    for _ in range(blocks.SEEN):
        pace.note("add", 0.05)
    assert not pace.is_quick("add")


def test_what_a_thread_hands_over_is_gathered_and_others_go_at_once() -> None:
    gathering, dealt, unused, at_once = Gathering(), list[list[str]](), list[list[Order]](), list[bool]()
    first, second = object(), object()
    with gathering.together():
        for number, to in enumerate((first, second, first)):
            assert gathering.add(
                to, Order(Path(str(number))), lambda orders: dealt.append([str(o.run) for o in orders])
            )
        other = threading.Thread(target=lambda: at_once.append(gathering.add(first, Order(Path("x")), unused.append)))
        other.start()
        other.join()
        assert not dealt
    assert dealt == [["0", "2"], ["1"]]
    assert at_once == [False] and not unused
    assert not gathering.add(first, Order(Path("3")), unused.append)


ALL: dict[str, Callable[[list[str]], object]] = {
    "list": list,
    "sum": lambda literals: [*literals, "x"],
    "eq": lambda literals: literals == ["1"],
    "copy": lambda literals: literals.copy(),
    "added": lambda literals: ["x"] + literals,  # noqa: RUF005
    "pickled": lambda literals: pickle.loads(pickle.dumps(literals)),  # noqa: S301
    "deep": copy.deepcopy,
    "text": str,
}


@given(st.lists(st.integers()), st.lists(st.integers(-12, 12), max_size=5), st.sampled_from(sorted(ALL)))
def test_literals_made_when_asked_for_are_a_list(messages: list[int], asked: list[int], then: str) -> None:
    made: list[int] = []

    def make(message: int) -> str:
        made.append(message)
        return str(message)

    lazy, plain = Literals(messages, make), [str(one) for one in messages]
    for at in asked:
        if -len(plain) <= at < len(plain):
            assert lazy[at] == plain[at]
    if asked and all(0 <= at < len(plain) for at in asked):
        assert len(made) == len(set(asked))  # no more than those
    assert ALL[then](lazy) == ALL[then](plain)
    assert len(made) == len(messages)  # each once
    assert isinstance(lazy, list) and lazy[1:3] == plain[1:3] and len(lazy) == len(plain)


# --- what processes say -----------------------------------------------------------------------------------------------


@pytest.fixture
def workers() -> tuple[Workers, list[dict[str, Any]], list[Path]]:
    told: list[dict[str, Any]] = []
    lost: list[Path] = []
    return Workers(Wires(print, print), Untold(), threading.RLock(), told.append, lost.extend), told, lost


def at_work(workers: Workers, *runs: Path) -> Worker:
    """A process that was handed them, with its zygote."""
    ours, theirs = socket.socketpair()
    worker = Worker(ours, Zygote(theirs), Process(4, 5))
    worker.zygote.workers.add(worker)
    workers.numbered[1] = worker
    workers._give(worker, [Order(run, "k") for run in runs], last=False)
    return worker


def end_of(run: Path, **said: object) -> dict[str, Any]:
    return {"is": "ended", "dir": str(run), "status": 0, **said}


def quick_worker(workers: Workers, *runs: Path) -> Worker:
    worker = at_work(workers, *runs)
    for _ in range(blocks.SAMPLES):
        worker.zygote.pace.note("k", 0.002)
    return worker


def orders(*names: str) -> list[Order]:
    return [Order(Path(name), "k") for name in names]


@pytest.fixture
def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "processors", lambda: 1)


@pytest.mark.usefixtures("one_processor")
def test_what_comes_later_goes_behind_what_a_process_is_at(
    workers: tuple[Workers, list[dict[str, Any]], list[Path]],
) -> None:
    of, told, _ = workers
    worker = quick_worker(of, Path("a"))
    of.deal_out(worker.zygote, orders("b", "c"))
    of.deal_out(worker.zygote, orders("d"))
    assert [str(order.run) for order in worker.orders] == ["a", "b", "c", "d"]
    assert worker.zygote.workers == {worker} and len(worker.zygote.runs) == 4
    for name in "abcd":
        of.take(worker, end_of(Path(name)))
    assert [one["dir"] for one in told if one["is"] == "ended"] == ["a", "b", "c", "d"]
    assert [one["dir"] for one in told if one["is"] == "started"] == ["a"]  # of others it would be told with their ends
    assert worker.zygote.idle == [worker]


@pytest.mark.usefixtures("one_processor")
@pytest.mark.parametrize("why", ["not heard of", "its last", "taken back", "a slow one", "full"])
def test_nothing_goes_behind_what_may_take_long(
    workers: tuple[Workers, list[dict[str, Any]], list[Path]], why: str
) -> None:
    of, _, _ = workers
    worker = quick_worker(of, Path("a"))
    match why:
        case "not heard of":
            worker.moved_at -= 1
        case "its last":
            worker.last = True
        case "taken back":
            worker.before = {Path("x")}
        case "a slow one":
            worker.orders = [Order(Path("a"), "slow")]
        case "full":
            worker.orders = orders(*(f"a{n}" for n in range(blocks.MOST)))
    had = list(worker.orders)
    of.deal_out(worker.zygote, orders("b"))
    assert worker.orders == had
    assert [str(order.run) for other in worker.zygote.workers - {worker} for order in other.orders] == ["b"]


NONSENSE: tuple[Any, ...] = ("x", None, [], {}, float("nan"), float("inf"), -1, 5e9, 1 << 70)


@pytest.mark.parametrize("taken_back", [False, True])
@pytest.mark.parametrize("said", [{"pid": 1, "born": 1}, *({name: one} for name in TIMES for one in NONSENSE)])
def test_of_an_end_counts_what_can_be(
    workers: tuple[Workers, list[dict[str, Any]], list[Path]], tmp_path: Path, taken_back: bool, said: dict[str, Any]
) -> None:
    of, told, _ = workers
    worker = at_work(of, tmp_path)
    if taken_back:
        worker.orders, worker.before = [], {tmp_path}
    told.clear()
    took = {"seconds": 1.0, "waited": 0.5, "until": 2.0}
    of.take(worker, end_of(tmp_path, **{**took, "more": 1, **said}))
    times = took if "pid" in said else {}
    assert told == [{**end_of(tmp_path), "full": False, "pid": 4, "born": 5, **times}]
    assert worker.zygote.idle == [worker]


@pytest.mark.parametrize("taken_back", [False, True])
@pytest.mark.parametrize("status", [one for one in NONSENSE if one != -1])
def test_an_end_without_an_exit_code_is_none(
    workers: tuple[Workers, list[dict[str, Any]], list[Path]], tmp_path: Path, taken_back: bool, status: object
) -> None:
    of, told, _ = workers
    worker = at_work(of, tmp_path)
    if taken_back:
        worker.orders, worker.before = [], {tmp_path}
    told.clear()
    with pytest.raises(ValueError, match="no exit code"):
        of.take(worker, end_of(tmp_path, status=status))
    assert not told and not worker.zygote.idle
    of.take(worker, end_of(tmp_path, status=3))
    assert [one["status"] for one in told] == [3]


def test_one_process_rests_once_however_often_it_says_so(
    workers: tuple[Workers, list[dict[str, Any]], list[Path]], tmp_path: Path
) -> None:
    of, _, _ = workers
    worker = at_work(of, tmp_path)
    of.take(worker, end_of(tmp_path))
    of.take(worker, {"is": "idle"})
    assert worker.zygote.idle == [worker]


def test_a_process_rests_only_when_it_has_spoken_of_all_that_was_taken_back(
    workers: tuple[Workers, list[dict[str, Any]], list[Path]], tmp_path: Path
) -> None:
    """It may be at one of those."""
    of, told, _ = workers
    worker = at_work(of, tmp_path / "a")
    worker.before = {tmp_path / "b", tmp_path / "c"}
    of.take(worker, end_of(tmp_path / "a"))
    assert not worker.zygote.idle
    of.take(worker, end_of(tmp_path / "b"))
    assert not worker.zygote.idle
    told.clear()
    of.take(worker, end_of(tmp_path / "c", status=DUPLICATE))
    assert worker.zygote.idle == [worker] and not told


def test_of_one_that_was_taken_back_and_begun_all_the_same_it_is_told_how_its_process_ended(
    workers: tuple[Workers, list[dict[str, Any]], list[Path]], tmp_path: Path
) -> None:
    of, told, lost = workers
    begun, not_begun = tmp_path / "begun", tmp_path / "not"
    worker = at_work(of, tmp_path / "a")
    worker.before, worker.orders = {begun, not_begun}, []
    for run in worker.before:
        run.mkdir()
    (begun / "started").write_text("4:5:6.0")
    told.clear()
    of.gone({"is": "gone", "id": 1, "status": -9})
    assert [(one["dir"], one["status"]) for one in told] == [(str(begun), -9)]
    assert not lost


# --- real processes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def own_bench(own_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """One for which all kinds are quick, however busy the machine is."""
    monkeypatch.setattr(blocks, "QUICK_SECONDS", 100.0)
    return own_bench


def quick(bench: Bench, count: int = 1) -> list[Assignment]:
    return [bench.task("add", inputs={"a": n, "b": 1}, reuse=True, kind="k") for n in range(count)]


def known_as_quick(bench: Bench) -> None:
    for one in quick(bench, blocks.SAMPLES + 2):
        assert bench.run(one).outcome.phase == AttemptPhase.SUCCEEDED


def submit(bench: Bench, attempts: Sequence[Assignment]) -> None:
    with bench.executor.together():
        for one in attempts:
            bench.executor.submit(one)


def end_all(bench: Bench, attempts: Sequence[Assignment]) -> list[Ended]:
    return [bench.wait_end(one) for one in attempts]


def succeeded(ended: Sequence[Ended]) -> list[bool]:
    return [one.outcome.phase == AttemptPhase.SUCCEEDED for one in ended]


@pytest.mark.e2e
def test_quick_ones_run_in_a_row_in_few_processes_and_share_nothing_else(own_bench: Bench) -> None:
    known_as_quick(own_bench)
    began = time.time()
    attempts = quick(own_bench, 3 * blocks.MOST)
    submit(own_bench, attempts)
    workers = [one for each in own_bench.executor.pools.own.clones.values() for one in each.workers]
    assert len(workers) <= max(3, machine.processors()) + 1
    assert any(worker.in_a_row for worker in workers)
    ended = end_all(own_bench, attempts)
    assert all(succeeded(ended))
    for number, (attempt, end) in enumerate(zip(attempts, ended, strict=True)):
        assert own_bench.outputs(end).literals["o0"].scalar.primitive.integer == number + 1
        assert own_bench.log(attempt).strip() == f"adding {number} and 1"  # its own log
        assert end.handle.partition(":")[0].isdigit()  # where it ran, of which nobody was told before
        assert end.started_at is not None and began - 1 < end.started_at.timestamp() <= end.at.timestamp()


@pytest.mark.e2e
def test_one_that_turns_out_slow_is_shown_and_does_not_hold_up_those_behind_it(
    own_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "processors", lambda: 1)
    known_as_quick(own_bench)
    slow = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")}, reuse=True, kind="k")
    before, behind = quick(own_bench, 2), quick(own_bench, 4)
    submit(own_bench, [*before, slow, *behind])
    assert all(succeeded(end_all(own_bench, [*before, *behind])))
    assert own_bench.wait_start(slow).handle
    assert slow.attempt_id not in own_bench.ends
    (tmp_path / "go").touch()
    assert all(succeeded(end_all(own_bench, [slow])))
    again = quick(own_bench, 4)  # and its process is used again
    submit(own_bench, again)
    assert all(succeeded(end_all(own_bench, again)))


@pytest.mark.e2e
def test_one_that_dies_among_several_takes_none_of_the_others_along(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "processors", lambda: 1)
    known_as_quick(own_bench)
    doomed = own_bench.task("kills_itself", inputs={"number": int(signal.SIGKILL)}, reuse=True, kind="k")
    wrong = own_bench.task("fails", reuse=True, kind="k")
    before, behind = quick(own_bench, 2), quick(own_bench, 3)
    submit(own_bench, [*before, wrong, doomed, *behind])
    assert all(succeeded(end_all(own_bench, [*before, *behind])))
    assert "SIGKILL" in error(own_bench.wait_end(doomed)).message
    assert "the data is wrong" in error(own_bench.wait_end(wrong)).message


@pytest.mark.e2e
def test_what_a_dead_executor_had_handed_over_runs_once(
    own_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "processors", lambda: 1)
    known_as_quick(own_bench)
    slow = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")}, reuse=True, kind="k")
    before, behind = quick(own_bench, 2), quick(own_bench, 4)
    submit(own_bench, [*before, slow, *behind])
    own_bench.wait_start(slow)
    crash(own_bench)
    own_bench.new_executor()
    for one in [*before, slow, *behind]:
        if one.attempt_id not in own_bench.ends:
            own_bench.executor.adopt(one)
    own_bench.executor.settle()
    (tmp_path / "go").touch()
    assert all(succeeded(end_all(own_bench, [*before, slow, *behind])))
    for number, one in enumerate(behind):
        assert own_bench.log(one).strip() == f"adding {number} and 1"  # once


@pytest.mark.e2e
def test_one_that_is_cancelled_behind_another_is_aborted(
    own_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "processors", lambda: 1)
    known_as_quick(own_bench)
    slow = own_bench.task("waits_for", inputs={"marker": str(tmp_path / "go")}, reuse=True, kind="k")
    cancelled, other = quick(own_bench, 2)
    submit(own_bench, [slow, cancelled, other])
    own_bench.wait_start(slow)
    own_bench.executor.cancel(cancelled.attempt_id)
    own_bench.wait_end(other)
    (tmp_path / "go").touch()
    assert own_bench.wait_end(cancelled).outcome.phase == AttemptPhase.ABORTED
    assert all(succeeded(end_all(own_bench, [other, slow])))
