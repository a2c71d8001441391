"""An executor for tests of what lies above: attempts wait, run and end as functions say, at once or when told to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from scheduler.attempts.observations import Accepted, Ended, Progress, Running, Waiting
from scheduler.attempts.outcomes import Outcome, aborted
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Emit, Executor


class FakeExecutor(Executor):
    """`decide` gets each assignment and returns its outcome, or None to leave it running until `finish`.

    `running`, `waiting` and `ended` are its place: an executor that is given those of another finds what is there.
    """

    name = "local"

    def __init__(
        self,
        decide: Callable[[Assignment], Outcome | None],
        *,
        total: Resources | None = None,
        holds: Callable[[Assignment], bool] = lambda assignment: False,
    ) -> None:
        """`holds`: whether an attempt waits until `release`."""
        self.decide, self.holds = decide, holds
        self.total = total or Resources(cpu=1000, memory=1 << 50)
        self.running: dict[int, Assignment] = {}
        self.waiting: dict[int, Assignment] = {}
        self.ended: dict[int, Outcome] = {}  # until their ends are recorded
        self.submitted: list[Assignment] = []

    def capacity(self) -> Resources:
        return self.total

    def start(self, emit: Emit) -> None:
        self.emit = emit

    def submit(self, assignment: Assignment) -> None:
        self.submitted.append(assignment)
        pk = assignment.attempt_id
        if pk in self.ended:
            self._tell_end(pk)
        elif pk not in self.running and pk not in self.waiting:
            self.emit(Accepted(pk, _handle(pk), _now()))
            if self.holds(assignment):
                self.waiting[pk] = assignment
                self.wait(pk, "NoRoom", "others are in the way", short=True)
            else:
                self._run(assignment)

    def _run(self, assignment: Assignment) -> None:
        self.running[assignment.attempt_id] = assignment
        self._tell_start(assignment.attempt_id)
        if (outcome := self.decide(assignment)) is not None:
            self.finish(assignment.attempt_id, outcome)

    def wait(self, attempt_id: int, code: str, message: str, *, short: bool = False) -> None:
        self.emit(Waiting(attempt_id, code, message, _now(), short=short))

    def release(self, attempt_id: int) -> None:
        """What waited runs."""
        if (assignment := self.waiting.pop(attempt_id, None)) is not None:
            self._run(assignment)

    def progress(self, attempt_id: int, message: str) -> None:
        self.emit(Progress(attempt_id, _now(), message))

    def finish(self, attempt_id: int, outcome: Outcome) -> None:
        if self.running.pop(attempt_id, None) or self.waiting.pop(attempt_id, None):
            self.ended[attempt_id] = outcome
            self._tell_end(attempt_id)

    def _tell_start(self, attempt_id: int) -> None:
        self.emit(Running(attempt_id, _handle(attempt_id), _now()))

    def _tell_end(self, attempt_id: int) -> None:
        outcome = self.ended[attempt_id]
        self.emit(Ended(attempt_id, outcome, _now(), on_recorded=lambda: self._forget(attempt_id)))

    def _forget(self, attempt_id: int) -> None:
        self.ended.pop(attempt_id, None)

    def adopt(self, assignment: Assignment) -> None:
        if assignment.attempt_id in self.running:
            self._tell_start(assignment.attempt_id)
        elif assignment.attempt_id not in self.waiting:
            self.submit(assignment)

    def settle(self) -> None:
        """Nothing is left of earlier processes that no attempt is for."""

    def cancel(self, attempt_id: int) -> None:
        self.finish(attempt_id, aborted("cancelled"))

    def tick(self) -> None:
        """Nothing happens by itself."""

    def stop(self) -> None:
        """What runs goes on, as the port says: an executor that is given the same `running` finds it again."""


def _handle(attempt_id: int) -> str:
    return f"fake:{attempt_id}"


def _now() -> datetime:
    return datetime.now(timezone.utc)
