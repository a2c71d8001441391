"""Attempts in pods that stay, with pods that say what a test has them say: none is lost, none is run twice."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from scheduler.attempts.observations import Running, Waiting
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.client import Api
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.reuse import pools
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster
from tests.scheduler.executors.kubernetes.pods import waits

Json = dict[str, Any]


class Pod:
    """What runs in a pod, which outlives the lines to it."""

    def __init__(self) -> None:
        self.runs: dict[int, float] = {}
        self.ended: dict[int, Json] = {}
        self.orders: list[Json] = []
        self.stopped: list[int] = []
        self.logs: dict[int, bytes] = {}
        self.heard: Callable[[Json], None] = lambda told: None
        self.deaf = False  # what is said to it is lost

    def take(self, told: Json) -> None:
        number = int(told.get("id") or 0)
        if self.deaf:
            return
        if told["do"] == "state":
            self.heard({"is": "state", "runs": list(self.runs.items()), "ended": list(self.ended.values())})
        elif told["do"] == "run" and number not in self.runs:
            self.orders.append(told)
            self.runs[number] = time.time()
            self.heard({"is": "started", "id": number, "at": self.runs[number]})
        elif told["do"] == "stop":
            self.stopped.append(number)
        elif told["do"] == "log":
            at = int(told["from"])
            if data := self.logs.get(number, b"")[at:]:
                self.heard({"is": "log", "id": number, "at": at, "data": base64.b64encode(data).decode()})
        elif told["do"] == "forget":
            self.ended.pop(number, None)

    def end(self, number: int, code: int = 0, *, log: bytes = b"", tell: bool = True, **over: Any) -> None:
        self.logs[number] = log
        end = {"is": "ended", "id": number, "code": code, "why": "", "log": len(log)}
        self.ended[number] = {**end, "began": self.runs.pop(number), "at": time.time(), **over}
        if tell:
            self.heard(self.ended[number])


class Lines:
    """Stands in for the lines to pods."""

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}
        self.refuses = ""

    def __call__(self, api: Api, namespace: str, pod: str, container: str, **calls: Any) -> Any:
        mine, lines = self.pods.setdefault(pod, Pod()), self

        class Line:
            heard_at = time.monotonic()

            def start(self) -> None:
                if lines.refuses:
                    calls["refused"](lines.refuses)
                    return
                mine.heard = calls["heard"]
                calls["connected"]()

            def say(self, message: Any) -> None:
                told = message() if callable(message) else message
                if told is not None:
                    mine.take(told)

            def stop(self) -> None:
                mine.heard = lambda told: None

        return Line()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, fake: FakeCluster) -> Lines:
    """Pods end once they are deleted, as a kubelet sees to it."""
    made = Lines()

    def kubelet(what: str, pod: Json) -> None:
        if what == "deleted":
            fake.end(pod["metadata"]["name"], 137)

    fake.kubelet = kubelet
    monkeypatch.setattr(pools, "Link", made)
    return made


@pytest.fixture
def shared(bench: Bench, lines: Lines) -> Iterator[Bench]:
    begin_with(bench, {"replicas": 2})
    yield bench


def begin_with(bench: Bench, reuse: Json, **settings: Any) -> None:
    bench.settings = replace(bench.settings, reuse={"*": reuse}, **settings)
    bench.restart()
    bench.executor.settle()


def attempt(bench: Bench, number: int, **over: Any) -> Assignment:
    given: Json = {"argv": ("pyflyte-execute", "--inputs", "x"), "reuse": True}
    return bench.assignment(number, **{**given, **over})


def submit(bench: Bench, *numbers: int) -> list[Assignment]:
    made = [attempt(bench, number) for number in numbers]
    for one in made:
        bench.executor.submit(one)
    return made


def a_pod(bench: Bench, fake: FakeCluster, lines: Lines, count: int = 1) -> list[Pod]:
    """Those that were made, which run now."""
    bench.until(lambda: len(fake.pods) >= count)
    for _, name in list(fake.pods):
        assert name.startswith(names.POOL_POD)
        if name not in lines.pods:
            fake.run(name)
    bench.until(lambda: len(lines.pods) >= count)
    return list(lines.pods.values())


def test_tasks_go_to_a_pod_one_after_the_other(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    (first,) = submit(shared, 1)
    (pod,) = a_pod(shared, fake, lines)
    shared.until(lambda: shared.of(Running))
    (running,) = shared.of(Running)
    assert isinstance(running, Running) and names.is_shared(running.handle)
    (order,) = pod.orders
    assert order["argv"] == list(first.spec.argv) and order["env"]["FLYTE_PLATFORM_URL"] == "here"
    for number in (1, 2):
        assignment = first if number == 1 else submit(shared, 2)[0]
        shared.until(lambda number=number: number in pod.runs)
        shared.succeed(assignment)
        pod.end(number, log=b"said\n")
        assert shared.outcome(number).phase == AttemptPhase.SUCCEEDED
    shared.record()
    shared.until(lambda: not pod.ended)
    assert shared.store.get(first.log_uri) == b"said\n"
    assert len(fake.pods) == 1


def test_there_are_no_more_pods_than_allowed(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    submit(shared, 1, 2, 3, 4)
    found = a_pod(shared, fake, lines, 2)
    shared.until(lambda: sum(len(pod.runs) for pod in found) == 2)
    assert len(fake.pods) == 2 and [len(pod.runs) for pod in found] == [1, 1]


def test_a_task_that_fails_is_judged_as_in_a_pod_of_its_own(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    submit(shared, 1)
    (pod,) = a_pod(shared, fake, lines)
    shared.until(lambda: pod.runs)
    pod.end(1, 3, log=b"sorry\n")
    error = shared.error(1)
    assert error.code == "NonZeroExit" and "sorry" in error.message


def test_tasks_of_a_lost_pod_are_the_systems_failures(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    submit(shared, 1)
    (pod,) = a_pod(shared, fake, lines)
    shared.until(lambda: pod.runs)
    fake.delete(fake.only())
    outcome = shared.outcome(1)
    assert outcome.retryable and shared.error(1).kind == shared.error(1).SYSTEM


def test_outputs_count_whatever_becomes_of_the_pod(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    (first,) = submit(shared, 1)
    (pod,) = a_pod(shared, fake, lines)
    shared.until(lambda: pod.runs)
    shared.succeed(first)
    fake.delete(fake.only())
    assert shared.outcome(1).phase == AttemptPhase.SUCCEEDED


def test_a_next_process_finds_what_runs_and_what_ended(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    first, second = submit(shared, 1, 2)
    found = a_pod(shared, fake, lines, 2)
    shared.until(lambda: len(shared.of(Running)) == 2)
    of = {number: pod for pod in found for number in pod.runs}
    shared.executor.stop()
    shared.succeed(first)
    of[1].end(1, log=b"unheard\n", tell=False)
    shared.seen.clear()
    shared.executor = shared.begin()
    for one in (first, second):
        shared.executor.adopt(one)  # that it had begun was not written down
    shared.executor.settle()
    assert shared.outcome(1).phase == AttemptPhase.SUCCEEDED
    shared.succeed(second)
    of[2].end(2)
    assert shared.outcome(2).phase == AttemptPhase.SUCCEEDED
    shared.record()
    shared.until(lambda: not of[1].ended)
    assert shared.store.get(first.log_uri) == b"unheard\n"
    assert sum(len(pod.orders) for pod in found) == 2, "nothing was begun twice"


def test_one_that_no_pod_has_heard_of_is_begun_by_the_next_process(
    shared: Bench, fake: FakeCluster, lines: Lines
) -> None:
    submit(shared, 1)
    (pod,) = a_pod(shared, fake, lines)
    shared.until(lambda: pod.runs)
    shared.executor.stop()
    pod.runs.clear()
    shared.executor = shared.begin()
    shared.executor.adopt(attempt(shared, 2))
    shared.executor.settle()
    shared.until(lambda: 2 in pod.runs)


def test_one_whose_pod_is_gone_is_not_begun_again(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    shared.executor.adopt(attempt(shared, 1, handle="p-d/pool-gone-1"))
    shared.executor.settle()
    assert shared.error(1).code == "PodLost"
    assert not fake.pods


def test_what_nobody_claims_is_stopped(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    submit(shared, 1)
    (pod,) = a_pod(shared, fake, lines)
    shared.until(lambda: pod.runs)
    shared.restart()
    shared.executor.settle()
    shared.until(lambda: 1 in pod.stopped)


def test_an_order_that_was_lost_is_given_again(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    submit(shared, 1)
    (pod,) = a_pod(shared, fake, lines)
    shared.until(lambda: pod.runs)
    pod.end(1)
    pod.deaf = True
    submit(shared, 2)
    shared.until(lambda: 1 in {end.attempt_id for end in shared.ends()})
    pod.deaf = False
    pod.take({"do": "state"})  # as after the line is there again
    shared.until(lambda: 2 in pod.runs)


def test_a_task_is_aborted_where_it_waits_and_where_it_runs(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    begin_with(shared, {"replicas": 1})
    submit(shared, 1)
    (pod,) = a_pod(shared, fake, lines)
    shared.until(lambda: pod.runs)
    submit(shared, 2)
    time.sleep(0.2)
    shared.executor.cancel(2)
    assert shared.outcome(2).phase == AttemptPhase.ABORTED
    shared.executor.cancel(1)
    shared.until(lambda: 1 in pod.stopped)
    pod.end(1, 143, why="stopped")
    assert shared.outcome(1).phase == AttemptPhase.ABORTED
    assert len(fake.pods) == 1, "its pod goes on"


def test_idle_pods_go_and_old_ones_take_nothing(bench: Bench, fake: FakeCluster, lines: Lines) -> None:
    begin_with(bench, {"idle_seconds": 1})
    submit(bench, 1)
    (pod,) = a_pod(bench, fake, lines)
    bench.until(lambda: pod.runs)
    pod.end(1, 1)
    assert bench.outcome(1).phase == AttemptPhase.FAILED
    bench.until(lambda: not fake.pods)


def test_without_the_right_every_task_has_its_own_pod(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    lines.refuses = "pods/attach is forbidden"
    (first,) = submit(shared, 1)
    shared.until(lambda: fake.pods)
    fake.run(fake.only())
    own = names.pod_name(first.spec.identity, "me")
    shared.until(lambda: any(name == own for _, name in fake.pods))


def test_where_no_pod_can_be_made_its_own_says_why(shared: Bench, fake: FakeCluster, lines: Lines) -> None:
    fake.refuse_in["p-d"] = (403, "pods is forbidden: violates PodSecurity")
    submit(shared, 1)
    assert "violates PodSecurity" in shared.error(1).message


def test_an_image_that_cannot_be_pulled_ends_the_wait(bench: Bench, fake: FakeCluster, lines: Lines) -> None:
    begin_with(bench, {}, graces=Graces(image=0.5))
    submit(bench, 1)
    bench.until(lambda: fake.pods)
    fake.change(fake.only(), "Pending", waits("ErrImagePull", "no such image"))
    bench.until(lambda: bench.of(Waiting))
    assert "no such image" in bench.error(1).message
