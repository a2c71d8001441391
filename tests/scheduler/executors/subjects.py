"""An executor under test by the port alone, and how to give it work. Each executor has a fixture `<name>_subject`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from scheduler.attempts.observations import Ended, Observation
from scheduler.attempts.outcomes import USER, Outcome, failure
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import AttemptSpec, Identity
from scheduler.executors.base import Assignment, Executor
from scheduler.executors.fake import FakeExecutor
from scheduler.executors.local.executor import LocalExecutor
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench

Seen = TypeVar("Seen", bound=Observation)


@dataclass(frozen=True)
class Work:
    """An attempt that runs until `finish`, and then ends well."""

    assignment: Assignment
    finish: Callable[[], None]


@dataclass
class Subject:
    make: Callable[[], Executor]  # as a new process makes it: it finds what an earlier one left
    work: Callable[[], Work]
    failing: Callable[[], Assignment]  # an attempt whose program fails at once
    patience: float = 60.0  # seconds until anything has come
    events: list[Observation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.executor = self.make()
        self.executor.start(self.events.append)

    def restart(self) -> None:
        """A new process in place of the old one, which stopped."""
        self.executor.stop()
        self.events.clear()
        self.executor = self.make()
        self.executor.start(self.events.append)

    def submitted(self) -> Work:
        work = self.work()
        self.executor.submit(work.assignment)
        return work

    def wait(self, kind: type[Seen], assignment: Assignment) -> Seen:
        until = time.monotonic() + self.patience
        while True:
            for event in list(self.events):
                if isinstance(event, kind) and event.attempt_id == assignment.attempt_id:
                    return event
            assert time.monotonic() < until, f"no {kind.__name__} came"
            self.executor.tick()
            time.sleep(0.02)

    def of(self, assignment: Assignment) -> list[Observation]:
        return [event for event in list(self.events) if event.attempt_id == assignment.attempt_id]

    def ends(self, assignment: Assignment) -> list[AttemptPhase]:
        return [event.outcome.phase for event in self.of(assignment) if isinstance(event, Ended)]


@pytest.fixture
def fake_subject() -> Iterator[Subject]:
    """What it runs outlives it, as processes do: the next one finds it."""
    numbers = iter(range(1, 1000))
    place = FakeExecutor(lambda assignment: None)

    def decide(assignment: Assignment) -> Outcome | None:
        return failure("Broken", "no good", USER, retryable=False) if assignment.name.startswith("fails") else None

    def make() -> Executor:
        fake = FakeExecutor(decide, total=Resources(cpu=4))
        fake.running, fake.waiting, fake.ended = place.running, place.waiting, place.ended
        return fake

    def assignment(name: str) -> Assignment:
        number = next(numbers)
        return Assignment(number, AttemptSpec(Identity(f"{name}-{number}")), Resources(cpu=0.5))

    def work() -> Work:
        made = assignment("waits")

        def finish() -> None:
            assert isinstance(subject.executor, FakeExecutor)
            subject.executor.finish(made.attempt_id, Outcome(AttemptPhase.SUCCEEDED))

        return Work(made, finish)

    subject = Subject(make, work, lambda: assignment("fails"))
    yield subject
    subject.executor.stop()


@pytest.fixture
def local_subject(tmp_path: Path) -> Iterator[Subject]:
    bench = Bench(tmp_path, start=False)

    def make() -> Executor:
        return LocalExecutor(tmp_path, bench.store, total=Resources(cpu=4, memory=1 << 40))

    def work() -> Work:
        marker = tmp_path / f"go-{next(Bench.numbers)}"
        return Work(bench.task("waits_for", inputs={"marker": str(marker)}), marker.touch)

    subject = Subject(make, work, lambda: bench.task("", args=["sh", "-c", "exit 7"]))
    yield subject
    subject.executor.stop()
