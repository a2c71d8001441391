from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from console.fair.pool import Pool
from console.fair.turns import Caller

ANN = Caller("user 1")


def test_who_was_idle_for_the_shortest_time_goes_on() -> None:
    pool, names = Pool(4, "test"), []
    for _ in range(5):
        done = threading.Event()

        def work(done: threading.Event = done) -> None:
            names.append(threading.current_thread().name)
            done.set()

        pool.add(ANN, work)
        assert done.wait(5)
        time.sleep(0.05)  # it is idle again
    assert len(set(names)) == 1


def test_as_many_work_at_once_as_there_are_threads() -> None:
    pool, meet = Pool(3, "test"), threading.Barrier(4)
    for number in range(3):
        pool.add(Caller(f"user {number}"), lambda: meet.wait(10))
    meet.wait(10)


def test_threads_end_with_their_pool() -> None:
    pool = Pool(3, "ending")
    threads = [each for each in threading.enumerate() if each.name.startswith("ending-")]
    del pool
    for each in threads:
        each.join(5)
    assert not any(each.is_alive() for each in threads)


def test_a_thread_gives_back_what_it_keeps_once_it_had_no_work_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.fair.pool.REST_SECONDS", 0.2)
    rested: list[str] = []
    pool = Pool(3, "test", lambda: rested.append(threading.current_thread().name))
    names: list[str] = []
    for _ in range(3):
        _do(pool, names)
        _until(lambda: len(rested) == len(names))
        time.sleep(0.4)
        assert rested == names, "once, and none that had nothing to do"


def test_work_goes_to_a_thread_that_has_not_given_back_what_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.fair.pool.REST_SECONDS", 1.0)
    rested: list[str] = []
    pool = Pool(2, "test", lambda: rested.append(threading.current_thread().name))
    names: list[str] = []
    meet = threading.Barrier(3)
    for _ in range(2):
        pool.add(ANN, lambda: meet.wait(10))
    meet.wait(10)
    time.sleep(0.6)
    _do(pool, names)
    _until(lambda: bool(rested))  # the other one, and a moment ago
    _do(pool, names)
    assert names[0] == names[1] != rested[0]


def test_what_cannot_be_given_back_ends_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.fair.pool.REST_SECONDS", 0.1)
    pool = Pool(1, "test", lambda: 1 / 0)
    names: list[str] = []
    for _ in range(2):
        _do(pool, names)
        time.sleep(0.3)
    assert len(names) == 2


def _do(pool: Pool, names: list[str]) -> None:
    done = threading.Event()

    def work() -> None:
        names.append(threading.current_thread().name)
        done.set()

    pool.add(ANN, work)
    assert done.wait(5)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
