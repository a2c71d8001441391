"""What thousands of pods at a time ask for: logs followed in turn, few looks at once, little kept of each."""

from __future__ import annotations

import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest

from scheduler.attempts.observations import Running
from scheduler.executors.kubernetes import executor as executors
from scheduler.executors.kubernetes import follows
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.waiting import Wait
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster

STAMP = b"2026-11-28T12:00:0%d.000000001Z "


def test_logs_are_followed_in_turn_and_none_is_lost(
    bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follows, "FOLLOWERS", 1)
    begun: list[str] = []
    may_end = threading.Event()

    def follow(self: LogKeeper) -> None:
        begun.append(self.pod)
        may_end.wait(10)
        self.followed.set()

    monkeypatch.setattr(LogKeeper, "follow", follow)
    given = [bench.assignment(number) for number in (1, 2, 3)]
    for one in given:
        bench.executor.submit(one)
    fake.wait_for_pod(3)
    for _, name in list(fake.pods):
        fake.logs[name, "main"] = STAMP % 1 + name.encode() + b"\n"
        fake.run(name)
    bench.until(lambda: len(bench.of(Running)) == 3 and begun)
    assert len(begun) == len(bench.executor.follows.followed) == 1
    (last,) = [name for _, name in fake.pods if name.startswith("f1-n0-3-")]
    if last != begun[0]:
        fake.end(last, 1)  # before its turn has come: it is read at its end
        bench.outcome(3)
    may_end.set()
    for _, name in list(fake.pods):
        if name != last:
            fake.end(name, 1)
    bench.until(lambda: len(bench.ends()) == 3)
    bench.record()
    bench.until(lambda: not fake.pods)
    assert len(set(begun)) == len(begun) <= 3
    for one in given:
        assert bench.store.get(one.log_uri).startswith(f"f1-n0-{one.attempt_id}-".encode())


def test_a_log_that_cannot_be_had_yet_is_forgotten_until_the_end(
    bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogKeeper, "follow", lambda self: self.followed.set())
    bench.executor.submit(assignment := bench.assignment())
    fake.wait_for_pod()
    fake.logs[fake.only(), "main"] = STAMP % 1 + b"said\n"
    fake.run(fake.only())
    bench.until(lambda: bench.of(Running) and not bench.executor.follows.followed)
    assert bench.executor.board.held[1].log is None
    fake.end(fake.only(), 1)
    bench.outcome()
    bench.record()
    bench.until(lambda: not fake.pods)
    assert bench.store.get(assignment.log_uri) == b"said\n"


def test_pods_that_wait_are_looked_at_a_few_at_a_time_and_each_in_its_turn(
    bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 3 * executors.LOOKS
    for number in range(1, count + 1):
        bench.executor.submit(bench.assignment(number))
    fake.wait_for_pod(count)
    executor, looked = bench.executor, list[int]()
    bench.until(lambda: all(held.uid for held in executor.board.held.values()))
    monkeypatch.setattr(executor, "_look", lambda held: looked.append(held.id))
    since = datetime.now(timezone.utc) - timedelta(seconds=1)
    with executor.board.lock:
        for held in executor.board.held.values():
            held.wait, held.wait_since = Wait("ContainerCreating", looks_at_events=True), since
            held.look_at = float(held.id)
        executor.tick()
        assert executor.board.looking <= executors.LOOKS
    bench.until(lambda: len(looked) >= count)
    assert looked[: executors.LOOKS] == list(range(1, executors.LOOKS + 1))
    assert sorted(looked[:count]) == list(range(1, count + 1))


def test_what_is_kept_of_a_pod_that_runs_is_small(bench: Bench, fake: FakeCluster) -> None:
    fake.log_status = 404  # as nodes that are none say
    words = tuple(f"word-{number}" for number in range(200))
    for number in (1, 2):
        bench.executor.submit(bench.assignment(number, argv=words))
    fake.wait_for_pod(2)
    for _, name in list(fake.pods):
        fake.run(name)
    bench.until(lambda: len(bench.of(Running)) == 2 and not bench.executor.follows.followed)
    held = bench.executor.board.held[2]
    kept = [held, *(getattr(held, name) for name in held.__slots__), held.packed.body]
    assert held.spec.argv == words
    assert sum(sys.getsizeof(one) for one in kept) < 2000
