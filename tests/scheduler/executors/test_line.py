"""Small steps one after the other, in as few threads as keep up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduler.executors.local import line
from scheduler.executors.local.line import Line


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def test_one_thread_takes_all_that_come_while_it_is_at_it(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "LATE_SECONDS", 60.0)
    steps, go, done = Line(pool), threading.Event(), list[tuple[int, int]]()
    steps.put(lambda: go.wait(10))
    for number in range(20):
        steps.put(lambda number=number: done.append((number, threading.get_ident())))  # type: ignore[misc]
    go.set()
    pool.shutdown()
    assert [number for number, _ in done] == list(range(20))
    assert len({thread for _, thread in done}) == 1


def test_more_threads_come_where_one_is_held_up(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "LATE_SECONDS", 0.0)
    steps, go, done = Line(pool, most=3), threading.Event(), threading.Semaphore(0)

    def step() -> None:
        done.release()
        go.wait(10)

    for _ in range(8):
        steps.put(step)
        time.sleep(0.01)
    assert all(done.acquire(timeout=10) for _ in range(3))
    assert not done.acquire(timeout=0.1)
    go.set()
    assert all(done.acquire(timeout=10) for _ in range(5))


def test_one_that_hangs_holds_up_none_of_those_that_came_with_it(pool: ThreadPoolExecutor) -> None:
    steps, go, done = Line(pool), threading.Event(), threading.Semaphore(0)
    steps.put(lambda: go.wait(10))
    for _ in range(3):
        steps.put(done.release)
    time.sleep(2 * line.LATE_SECONDS)
    steps.tick()
    assert all(done.acquire(timeout=5) for _ in range(3))
    go.set()


def test_those_that_come_at_once_and_take_long_get_more_threads(pool: ThreadPoolExecutor) -> None:
    steps, both, done = Line(pool), threading.Barrier(2), threading.Semaphore(0)

    def together() -> None:
        both.wait(10)
        done.release()

    steps.put(lambda: time.sleep(2 * line.LATE_SECONDS))
    for _ in range(2):
        steps.put(together)
    assert all(done.acquire(timeout=5) for _ in range(2))


def test_one_that_ends_its_thread_leaves_the_others_to_the_next(pool: ThreadPoolExecutor) -> None:
    steps, done = Line(pool, most=1), threading.Event()

    def leave() -> None:
        raise SystemExit

    steps.put(leave)
    pool.submit(lambda: None).result(5)
    steps.put(done.set)
    steps.tick()
    assert done.wait(5)


def test_what_fails_keeps_none_of_the_others(pool: ThreadPoolExecutor) -> None:
    steps, done = Line(pool), list[int]()
    steps.put(lambda: 1 / 0)
    steps.put(lambda: done.append(1))
    pool.shutdown()
    assert done == [1]


def test_where_there_is_no_thread_it_is_not_taken(pool: ThreadPoolExecutor) -> None:
    steps, done = Line(pool), list[int]()
    pool.shutdown()
    with pytest.raises(RuntimeError):
        steps.put(lambda: done.append(1))
    assert not steps._steps and not done
