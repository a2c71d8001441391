"""A process for each cluster, and what becomes of it when settings change or it ends."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from scheduler.executors.keeper import FIRST_PAUSE, Keeper, Which

SLEEPS = ["sleep", "600"]
A, B = ("kubernetes", "a"), ("connectors", "")


class Bench:
    def __init__(self) -> None:
        self.wanted: dict[Which, str] = {}
        self.started: list[subprocess.Popen[bytes]] = []
        self.command = SLEEPS
        self.keeper = Keeper(lambda: self.wanted, self._start)

    def _start(self, which: Which) -> subprocess.Popen[bytes]:
        self.started.append(subprocess.Popen(self.command))
        return self.started[-1]

    def step(self, later: float = 0.0) -> None:
        self.keeper.step(self.wanted, time.monotonic() + later)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for process in made.started:
        process.kill()
        process.wait()


def until(happened: Callable[[], bool], seconds: float = 10) -> None:
    due = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < due, "it did not happen"
        time.sleep(0.01)


def test_each_has_one_process_and_keeps_it_while_nothing_changes(bench: Bench) -> None:
    bench.wanted = {A: "1", B: "1"}
    bench.step()
    bench.step()
    assert len(bench.started) == 2 and all(process.poll() is None for process in bench.started)


def test_one_with_other_settings_starts_when_the_old_one_has_ended(bench: Bench) -> None:
    bench.wanted = {A: "1"}
    bench.step()
    bench.wanted = {A: "2"}
    bench.step()
    assert len(bench.started) == 1
    bench.started[0].wait(10)
    bench.step()
    assert len(bench.started) == 2 and bench.started[1].poll() is None


def test_one_that_is_not_wanted_any_more_ends(bench: Bench) -> None:
    bench.wanted = {A: "1"}
    bench.step()
    bench.wanted = {}
    bench.step()
    bench.started[0].wait(10)
    bench.step()
    assert not bench.keeper.kept and len(bench.started) == 1


def test_one_that_ends_by_itself_is_started_again_slower_each_time(bench: Bench) -> None:
    bench.wanted, bench.command = {A: "1"}, ["false"]
    bench.step()
    pauses = []
    for _ in range(3):
        bench.started[-1].wait(10)
        count = len(bench.started)
        bench.step()
        assert len(bench.started) == count
        pauses.append(bench.keeper.kept[A].pause)
        bench.step(later=pauses[-1] + 0.1)
        assert len(bench.started) == count + 1
    assert pauses == sorted(pauses) and pauses[0] > FIRST_PAUSE and pauses[-1] > pauses[0]


def test_settings_that_come_back_keep_it_stoppable(bench: Bench) -> None:
    bench.wanted = {A: "1"}
    bench.step()
    bench.wanted = {A: "2"}
    bench.step()
    bench.wanted = {A: "1"}
    bench.started[0].wait(10)
    bench.step()
    bench.step(later=100)
    bench.wanted = {}
    bench.step(later=100)
    bench.started[-1].wait(10)
    assert len(bench.started) == 2


def test_all_end_with_it_and_a_database_that_is_away_ends_none(bench: Bench) -> None:
    bench.wanted = {A: "1"}
    thread = threading.Thread(target=bench.keeper.run)
    thread.start()
    until(lambda: len(bench.started) == 1)
    bench.keeper.wanted = lambda: 1 / 0  # type: ignore[assignment,return-value]
    bench.keeper.stop()
    thread.join(10)
    assert not thread.is_alive() and bench.started[0].poll() is not None
