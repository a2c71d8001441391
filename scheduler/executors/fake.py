"""An executor for tests of what lies above: attempts end as a function says, at once or when told to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from scheduler.attempts.observations import Ended, Running
from scheduler.attempts.outcomes import Outcome, aborted
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Emit, Executor


class FakeExecutor(Executor):
    """`decide` gets each assignment and returns its outcome, or None to leave it running until `finish`."""

    name = "local"

    def __init__(self, decide: Callable[[Assignment], Outcome | None], *, total: Resources | None = None) -> None:
        self.decide = decide
        self.total = total or Resources(cpu=1000, memory=1 << 50)
        self.running: dict[int, Assignment] = {}
        self.submitted: list[Assignment] = []

    def capacity(self) -> Resources:
        return self.total

    def start(self, emit: Emit) -> None:
        self.emit = emit

    def submit(self, assignment: Assignment) -> None:
        self.submitted.append(assignment)
        if assignment.attempt_id in self.running:
            return
        self.running[assignment.attempt_id] = assignment
        self._tell_start(assignment)
        if (outcome := self.decide(assignment)) is not None:
            self.finish(assignment.attempt_id, outcome)

    def _tell_start(self, assignment: Assignment) -> None:
        self.emit(Running(assignment.attempt_id, f"fake:{assignment.attempt_id}", datetime.now(timezone.utc)))

    def finish(self, attempt_id: int, outcome: Outcome) -> None:
        if self.running.pop(attempt_id, None) is not None:
            self.emit(Ended(attempt_id, outcome, datetime.now(timezone.utc)))

    def adopt(self, assignment: Assignment) -> None:
        if assignment.attempt_id in self.running:
            self._tell_start(assignment)
        else:
            self.submit(assignment)

    def settle(self) -> None:
        """Nothing is left of earlier processes."""

    def cancel(self, attempt_id: int) -> None:
        self.finish(attempt_id, aborted("cancelled"))

    def tick(self) -> None:
        """Nothing happens by itself."""

    def stop(self) -> None:
        """What runs goes on, as the port says: an executor that is given the same `running` finds it again."""
