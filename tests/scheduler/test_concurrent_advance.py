"""Several workers at one execution: nothing is lost, nothing is done twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from scheduler import wake
from scheduler.advance import advance
from scheduler.models import NodeExecution, TaskExecution
from scheduler.phases import ExecutionPhase, NodePhase
from tests.scheduler.driving import Driver, start, store_workflow
from tests.scheduler.test_advance_cost import chains

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("object_store")]


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No wake-ups at all: the workers of this test look by themselves."""
    monkeypatch.setattr(wake, "_after_commit", lambda send, what: None)
    yield


def test_it_loses_no_end_and_starts_nothing_twice() -> None:
    execution = start(store_workflow(chains(length=3, width=12)))
    advance(execution.pk)
    over = threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while not over.is_set():
                advance(execution.pk)
                over.wait(0.01)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            problems.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    driver = Driver({"step": lambda a: a})
    try:
        for _ in range(600):
            driver.answer_all(limit=None)
            execution.refresh_from_db()
            if execution.phase == ExecutionPhase.SUCCEEDED or problems:
                break
            over.wait(0.02)
    finally:
        over.set()
        for worker in workers:
            worker.join()
    assert not problems
    assert execution.phase == ExecutionPhase.SUCCEEDED
    assert TaskExecution.objects.filter(execution_id=execution.pk).count() == 36
    assert NodeExecution.objects.filter(execution=execution).exclude(phase=NodePhase.SUCCEEDED).count() == 0
    assert len(driver.ran) == len(set(driver.ran)) == 36


def test_it_sees_what_was_reported_while_it_held_the_lock() -> None:
    """The one that finds the lock taken leaves; the holder looks again after its commit."""
    execution = start(store_workflow(chains(length=2, width=2)))
    advance(execution.pk)
    driver = Driver({"step": lambda a: a})
    driver.answer_all()

    def advance_in_a_thread() -> None:
        advance(execution.pk)
        connection.close()

    threads = [threading.Thread(target=advance_in_a_thread) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not TaskExecution.objects.filter(execution_id=execution.pk, phase=3, handled=False).exists()
