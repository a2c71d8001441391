"""What the port promises, of every executor: the same tests over the one for tests and the local one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scheduler.attempts.observations import Ended, Observation, Running
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import AttemptSpec, Identity
from scheduler.executors.base import Assignment, Executor
from scheduler.executors.fake import FakeExecutor
from scheduler.executors.local.executor import LocalExecutor
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench

pytestmark = pytest.mark.e2e  # real processes, for one of them

PROMPT_SECONDS = 2.0  # what may pass in a call that does not block, on a busy machine


class Subject:
    """An executor, how to give it work that waits to be told to end, and what it reports."""

    def __init__(self, make: Callable[[], Executor], work: Callable[[], tuple[Assignment, Callable[[], None]]]) -> None:
        self.make, self.work = make, work
        self.events: list[Observation] = []
        self.executor = make()
        self.executor.start(self.events.append)

    def restart(self) -> None:
        """A new process in place of the old one, which stopped."""
        self.executor.stop()
        self.events.clear()
        self.executor = self.make()
        self.executor.start(self.events.append)

    def wait(self, kind: type[Observation], assignment: Assignment) -> Observation:
        until = time.monotonic() + 60
        while True:
            for event in list(self.events):
                if isinstance(event, kind) and event.attempt_id == assignment.attempt_id:
                    return event
            assert time.monotonic() < until, f"no {kind.__name__} came"
            self.executor.tick()
            time.sleep(0.02)

    def ends(self, assignment: Assignment) -> list[Outcome]:
        ends = [event for event in self.events if isinstance(event, Ended)]
        return [event.outcome for event in ends if event.attempt_id == assignment.attempt_id]


@pytest.fixture(params=["fake", "local"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    made = fake_subject() if request.param == "fake" else local_subject(tmp_path)
    yield made
    made.executor.stop()


def fake_subject() -> Subject:
    """What it runs outlives it, as processes do: the next one finds it."""
    numbers = iter(range(1, 1000))
    left: dict[int, Assignment] = {}
    subject: Subject

    def make() -> Executor:
        fake = FakeExecutor(lambda assignment: None, total=Resources(cpu=4))
        fake.running = left
        return fake

    def work() -> tuple[Assignment, Callable[[], None]]:
        assignment = Assignment(number := next(numbers), AttemptSpec(Identity(f"attempt-{number}")), Resources(cpu=0.5))

        def finish() -> None:
            assert isinstance(subject.executor, FakeExecutor)
            subject.executor.finish(assignment.attempt_id, Outcome(AttemptPhase.SUCCEEDED))

        return assignment, finish

    subject = Subject(make, work)
    return subject


def local_subject(home: Path) -> Subject:
    bench = Bench(home, start=False)

    def make() -> Executor:
        return LocalExecutor(home, bench.store, total=Resources(cpu=4, memory=1 << 40))

    def work() -> tuple[Assignment, Callable[[], None]]:
        marker = home / f"go-{next(Bench.numbers)}"
        return bench.task("waits_for", inputs={"marker": str(marker)}), marker.touch

    return Subject(make, work)


def test_it_reports_a_start_and_then_one_end(subject: Subject) -> None:
    assignment, finish = subject.work()
    subject.executor.submit(assignment)
    started = subject.wait(Running, assignment)
    assert isinstance(started, Running) and started.handle and started.at.tzinfo is not None
    assert subject.ends(assignment) == []
    finish()
    ended = subject.wait(Ended, assignment)
    assert isinstance(ended, Ended) and ended.outcome.phase == AttemptPhase.SUCCEEDED
    assert [type(event) for event in subject.events] == [Running, Ended]


def test_submitting_what_runs_finds_it(subject: Subject) -> None:
    assignment, finish = subject.work()
    subject.executor.submit(assignment)
    first = subject.wait(Running, assignment)
    subject.executor.submit(assignment)
    finish()
    subject.wait(Ended, assignment)
    starts = {event.handle for event in subject.events if isinstance(event, Running)}
    assert isinstance(first, Running) and starts == {first.handle}
    assert [outcome.phase for outcome in subject.ends(assignment)] == [AttemptPhase.SUCCEEDED]


def test_it_adopts_what_an_earlier_process_started(subject: Subject) -> None:
    assignment, finish = subject.work()
    subject.executor.submit(assignment)
    before = subject.wait(Running, assignment)
    subject.restart()
    subject.executor.adopt(assignment)
    subject.executor.settle()
    after = subject.wait(Running, assignment)
    assert isinstance(before, Running) and isinstance(after, Running) and before.handle == after.handle
    finish()
    subject.wait(Ended, assignment)
    assert [outcome.phase for outcome in subject.ends(assignment)] == [AttemptPhase.SUCCEEDED]


def test_it_starts_what_was_claimed_and_never_started(subject: Subject) -> None:
    assignment, finish = subject.work()
    subject.executor.adopt(assignment)
    subject.wait(Running, assignment)
    finish()
    subject.wait(Ended, assignment)
    assert [outcome.phase for outcome in subject.ends(assignment)] == [AttemptPhase.SUCCEEDED]


def test_cancelling_ends_it_as_aborted(subject: Subject) -> None:
    assignment, _ = subject.work()
    subject.executor.submit(assignment)
    subject.wait(Running, assignment)
    for _ in range(2):
        subject.executor.cancel(assignment.attempt_id)
    subject.wait(Ended, assignment)
    assert [outcome.phase for outcome in subject.ends(assignment)] == [AttemptPhase.ABORTED]


def test_cancelling_what_it_does_not_have_does_nothing(subject: Subject) -> None:
    assignment, finish = subject.work()
    subject.executor.cancel(123_456)
    subject.executor.submit(assignment)
    subject.wait(Running, assignment)
    finish()
    subject.wait(Ended, assignment)
    subject.executor.cancel(assignment.attempt_id)
    assert [outcome.phase for outcome in subject.ends(assignment)] == [AttemptPhase.SUCCEEDED]


def test_no_call_blocks(subject: Subject) -> None:
    """The daemon has one thread for all of them."""
    assignment, finish = subject.work()
    longest = 0.0
    for call in (
        subject.executor.capacity,
        lambda: subject.executor.submit(assignment),
        subject.executor.tick,
        lambda: subject.executor.cancel(123_456),
        subject.executor.settle,
    ):
        begin = time.monotonic()
        call()
        longest = max(longest, time.monotonic() - begin)
    assert longest < PROMPT_SECONDS
    subject.wait(Running, assignment)
    finish()
    subject.wait(Ended, assignment)


def test_events_may_come_from_any_thread_and_calls_may_be_made_meanwhile(subject: Subject) -> None:
    many = [subject.work() for _ in range(4)]
    for assignment, _ in many:
        subject.executor.submit(assignment)
    for assignment, _ in many:
        subject.wait(Running, assignment)
    thread = threading.Thread(target=lambda: [finish() for _, finish in many])
    thread.start()
    for assignment, _ in many:
        subject.wait(Ended, assignment)
    thread.join()
    assert all(len(subject.ends(assignment)) == 1 for assignment, _ in many)
