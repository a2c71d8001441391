"""What an executor's crash leaves behind still counts, until it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.executors.daemon import Daemon
from scheduler.executors.fake import FakeExecutor
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase
from tests.scheduler.attempts import make_attempt

pytestmark = pytest.mark.e2e  # real processes

TOTAL = Resources(cpu=2, memory=1 << 30, gpu=1)


@contextmanager
def running() -> Iterator[FakeExecutor]:
    """An executor whose attempts run until they are told to end; leaving it ends none of them, as a crash."""
    fake = FakeExecutor(lambda assignment: None, total=TOTAL)
    daemon = Daemon(fake, "this-machine")

    def work() -> None:
        daemon.run()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield fake
    daemon.stop()
    thread.join()


def wait_until(done: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def phase(row: TaskExecution) -> int:
    return TaskExecution.objects.values_list("phase", flat=True).get(pk=row.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("resources", [{"cpu": 1.5}, {"cpu": 0.1, "memory": 1 << 30}, {"cpu": 0.1, "gpu": 1}])
def test_what_a_crashed_executor_held_is_held_by_the_next_until_it_ends(
    valkey: object, resources: dict[str, float]
) -> None:
    held, waiting = make_attempt(resources=resources), make_attempt(resources=resources)
    with running():
        wait_until(lambda: phase(held) == AttemptPhase.RUNNING)
    with running() as fake:
        wait_until(lambda: held.pk in fake.running)
        other = make_attempt(resources={"cpu": 0.1})
        wait_until(lambda: phase(other) == AttemptPhase.RUNNING)
        assert phase(waiting) == AttemptPhase.QUEUED
        fake.finish(held.pk, Outcome(AttemptPhase.SUCCEEDED))
        wait_until(lambda: phase(waiting) == AttemptPhase.RUNNING)
    assert phase(held) == AttemptPhase.SUCCEEDED
