"""What the port promises, of every executor: the same tests over the one for tests and each that is registered.

A new executor joins with a fixture `<name>_subject` (subjects.py); without one these tests fail.
"""

from __future__ import annotations

import threading
import time

import pytest
from flyteidl.core import execution_pb2

from scheduler.attempts.observations import Accepted, Ended, Progress, Running, Waiting
from scheduler.executors.registry import REGISTRY
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.connectors.subject import connector_service, connectors_subject  # noqa: F401 - fixtures
from tests.scheduler.executors.kubernetes.subject import kubernetes_subject  # noqa: F401 - fixture
from tests.scheduler.executors.subjects import Subject, fake_subject, local_subject  # noqa: F401 - fixtures

PROMPT_SECONDS = 2.0  # what may pass in a call that does not block, on a busy machine
REAL = [pytest.param(name, marks=pytest.mark.e2e) for name in REGISTRY]  # real processes, or a real cluster


@pytest.fixture(params=["fake", *REAL])
def subject(request: pytest.FixtureRequest) -> Subject:
    made: Subject = request.getfixturevalue(f"{request.param}_subject")
    return made


def test_it_reports_a_start_and_then_one_end(subject: Subject) -> None:
    work = subject.submitted()
    started = subject.wait(Running, work.assignment)
    assert 0 < len(started.handle) <= 255
    assert subject.ends(work.assignment) == []
    work.finish()
    ended = subject.wait(Ended, work.assignment)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED
    seen = subject.of(work.assignment)
    assert [type(event) for event in seen if isinstance(event, Running | Ended)] == [Running, Ended]
    assert seen[-1] is ended, "nothing comes after the end"


def test_what_it_says_before_the_start_is_no_end_and_has_words(subject: Subject) -> None:
    work = subject.submitted()
    subject.wait(Running, work.assignment)
    seen = subject.of(work.assignment)
    before = seen[: next(at for at, event in enumerate(seen) if isinstance(event, Running))]
    assert all(isinstance(event, Accepted | Waiting | Progress) for event in before)
    assert all(event.code and not event.code.count(" ") for event in before if isinstance(event, Waiting))
    assert all(event.handle for event in before if isinstance(event, Accepted))
    work.finish()
    subject.wait(Ended, work.assignment)


def test_moments_are_in_order_and_say_their_time_zone(subject: Subject) -> None:
    work = subject.submitted()
    started = subject.wait(Running, work.assignment)
    work.finish()
    ended = subject.wait(Ended, work.assignment)
    assert started.at.tzinfo is not None and ended.at.tzinfo is not None
    assert started.at <= ended.at and (ended.started_at is None or ended.started_at <= ended.at)


def test_a_program_that_fails_has_failed_and_says_why(subject: Subject) -> None:
    assignment = subject.failing()
    subject.executor.submit(assignment)
    ended = subject.wait(Ended, assignment)
    assert ended.outcome.phase == AttemptPhase.FAILED and ended.outcome.reason and ended.outcome.error
    error = execution_pb2.ExecutionError.FromString(ended.outcome.error)
    assert error.code and error.message and error.kind == execution_pb2.ExecutionError.USER


def test_submitting_what_runs_finds_it(subject: Subject) -> None:
    work = subject.submitted()
    first = subject.wait(Running, work.assignment)
    subject.executor.submit(work.assignment)
    work.finish()
    subject.wait(Ended, work.assignment)
    starts = {event.handle for event in subject.events if isinstance(event, Running)}
    assert starts == {first.handle}
    assert subject.ends(work.assignment) == [AttemptPhase.SUCCEEDED]


def test_it_adopts_what_an_earlier_process_started(subject: Subject) -> None:
    work = subject.submitted()
    before = subject.wait(Running, work.assignment)
    subject.restart()
    subject.executor.adopt(work.assignment)
    subject.executor.settle()
    after = subject.wait(Running, work.assignment)
    assert before.handle == after.handle
    work.finish()
    subject.wait(Ended, work.assignment)
    assert subject.ends(work.assignment) == [AttemptPhase.SUCCEEDED]


def test_an_end_that_nobody_recorded_is_told_again(subject: Subject) -> None:
    """The process died between seeing it and writing it down."""
    work = subject.submitted()
    work.finish()
    subject.wait(Ended, work.assignment)
    subject.restart()
    subject.executor.adopt(work.assignment)
    subject.executor.settle()
    ended = subject.wait(Ended, work.assignment)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED
    if ended.on_recorded is not None:
        ended.on_recorded()


def test_it_starts_what_was_claimed_and_never_started(subject: Subject) -> None:
    work = subject.work()
    subject.executor.adopt(work.assignment)
    subject.wait(Running, work.assignment)
    work.finish()
    subject.wait(Ended, work.assignment)
    assert subject.ends(work.assignment) == [AttemptPhase.SUCCEEDED]


def test_cancelling_ends_it_as_aborted(subject: Subject) -> None:
    work = subject.submitted()
    subject.wait(Running, work.assignment)
    for _ in range(2):
        subject.executor.cancel(work.assignment.attempt_id)
    subject.wait(Ended, work.assignment)
    assert subject.ends(work.assignment) == [AttemptPhase.ABORTED]


def test_cancelling_what_was_only_just_submitted_ends_it_as_aborted(subject: Subject) -> None:
    work = subject.submitted()
    subject.executor.cancel(work.assignment.attempt_id)
    subject.wait(Ended, work.assignment)
    assert subject.ends(work.assignment) == [AttemptPhase.ABORTED]


def test_cancelling_what_it_does_not_have_does_nothing(subject: Subject) -> None:
    subject.executor.cancel(123_456)
    work = subject.submitted()
    subject.wait(Running, work.assignment)
    work.finish()
    subject.wait(Ended, work.assignment)
    subject.executor.cancel(work.assignment.attempt_id)
    assert subject.ends(work.assignment) == [AttemptPhase.SUCCEEDED]


def test_it_says_what_it_has_or_that_it_has_no_bounds(subject: Subject) -> None:
    assert subject.executor.name
    assert subject.executor.most > 0 or subject.executor.capacity().cpu > 0


def test_no_call_blocks(subject: Subject) -> None:
    """The daemon has one thread for all of them."""
    work = subject.work()
    longest = 0.0
    for call in (
        subject.executor.capacity,
        lambda: subject.executor.submit(work.assignment),
        subject.executor.tick,
        lambda: subject.executor.cancel(123_456),
        subject.executor.settle,
    ):
        begin = time.monotonic()
        call()
        longest = max(longest, time.monotonic() - begin)
    assert longest < PROMPT_SECONDS
    subject.wait(Running, work.assignment)
    work.finish()
    subject.wait(Ended, work.assignment)


def test_events_may_come_from_any_thread_and_calls_may_be_made_meanwhile(subject: Subject) -> None:
    many = [subject.submitted() for _ in range(4)]
    for work in many:
        subject.wait(Running, work.assignment)

    def finish_all() -> None:
        for work in many:
            work.finish()

    thread = threading.Thread(target=finish_all)
    thread.start()
    for work in many:
        subject.wait(Ended, work.assignment)
    thread.join()
    assert all(subject.ends(work.assignment) == [AttemptPhase.SUCCEEDED] for work in many)
