"""What thousands of pods at a time ask for: logs followed in turn, few looks at once, little kept of each."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.attempts.observations import Running
from scheduler.executors.kubernetes import logs, looks
from scheduler.executors.kubernetes.held import Stage
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.single import follows
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
    assert len(begun) == len(bench.executor.single.follows.followed) == 1
    waiting = next(one.attempt_id for one in given if one.attempt_id not in bench.executor.single.follows.followed)
    fake.end(bench.executor.board.held[waiting].name, 1)  # before its turn has come: it is read at its end
    bench.outcome(waiting)
    may_end.set()
    for one in given:
        if one.attempt_id != waiting:
            fake.end(bench.executor.board.held[one.attempt_id].name, 1)
    bench.until(lambda: len(bench.ends()) == 3)
    bench.record()
    bench.until(lambda: not fake.pods)
    assert len(set(begun)) == len(begun) <= 2
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
    bench.until(lambda: bench.of(Running) and not bench.executor.single.follows.followed)
    assert bench.executor.board.held[1].log is None
    fake.end(fake.only(), 1)
    bench.outcome()
    bench.record()
    bench.until(lambda: not fake.pods)
    assert bench.store.get(assignment.log_uri) == b"said\n"


def _counting(calls: list[str], name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*given: Any) -> Any:
        calls.append(name)
        return original(*given)

    return counted


def test_of_many_pods_that_wait_those_with_warnings_are_looked_at(
    bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 2 * looks.FEW
    for number in range(1, count + 1):
        bench.executor.submit(bench.assignment(number))
    fake.wait_for_pod(count)
    executor = bench.executor
    bench.until(lambda: all(held.stage == Stage.MADE for held in executor.board.held.values()))
    said = {"type": "Warning", "reason": "FailedMount", "message": "no such claim"}
    fake.events = [{**said, "involvedObject": {"kind": "Pod", "uid": executor.board.held[7].uid}}]
    for _, name in list(fake.pods):
        fake.change(name, "Pending", {"waiting": {"reason": "ContainerCreating"}})
    asked: list[str] = []
    for name in ("pod", "events", "warnings"):
        monkeypatch.setattr(executor.objects, name, _counting(asked, name, getattr(executor.objects, name)))

    def codes() -> dict[int, str | None]:
        return {held.id: held.wait.code if held.wait else None for held in executor.board.held.values()}

    bench.until(lambda: set(codes().values()) == {"ContainerCreating"})
    with executor.board.lock:
        for held in executor.board.held.values():
            held.look_at = 0.0
        executor.tick()
    bench.until(lambda: codes()[7] == "FailedMount")
    assert [number for number, code in codes().items() if code != "ContainerCreating"] == [7]
    assert asked == ["warnings", "pod"]


def test_what_is_kept_of_a_pod_that_runs_is_small(
    bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LONGEST", logs.SHORTEST)  # between a follow's tries
    fake.log_status = 404  # as nodes that are none say
    words = tuple(f"word-{number}" for number in range(200))
    for number in (1, 2):
        bench.executor.submit(bench.assignment(number, argv=words))
    fake.wait_for_pod(2)
    for _, name in list(fake.pods):
        fake.run(name)
    bench.until(lambda: len(bench.of(Running)) == 2 and not bench.executor.single.follows.followed)
    held = bench.executor.board.held[2]
    kept = [held, *(getattr(held, name) for name in held.__slots__), held.packed.body]
    assert held.spec.argv == words
    assert sum(sys.getsizeof(one) for one in kept) < 2000


def test_follows_begin_a_few_at_a_time(bench: Bench, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follows, "BEGUN_A_SECOND", 0.0)
    executor = bench.executor
    executor.single.follows._may = 2.0
    begun: list[str] = []

    def follow(self: LogKeeper) -> None:
        begun.append(self.pod)
        self.followed.set()

    monkeypatch.setattr(LogKeeper, "follow", follow)
    for number in range(1, 5):
        executor.submit(bench.assignment(number))
    fake.wait_for_pod(4)
    for _, name in list(fake.pods):
        fake.run(name)
    bench.until(lambda: len(bench.of(Running)) == 4 and len(begun) >= 2)
    assert len(begun) == 2
    executor.single.follows._may = 2.0
    bench.until(lambda: len(begun) == 4)
