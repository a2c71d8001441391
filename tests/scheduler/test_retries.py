"""Attempts that are repeated: when, how often, where, and when time is up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone
from flytekit import map_task, task, workflow
from pytest_django import Settings

from scheduler.advance import advance
from scheduler.models import Execution, NodeExecution, TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.scheduler.driving import Driver, TaskFailed, error_of, outputs, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task(retries=2)
def flaky(a: int) -> int:
    return a


@task(retries=1, interruptible=True)
def spot(a: int) -> int:
    return a


@task(timeout=timedelta(minutes=10), retries=5)
def slow(a: int) -> int:
    return a


@workflow
def patient(a: int) -> int:
    return flaky(a=a)


@workflow
def mapped(a: list[int]) -> list[int]:
    return map_task(flaky)(a=a)


@workflow
def on_spot(a: int) -> int:
    return spot(a=a)


@workflow
def mapped_on_spot(a: list[int]) -> list[int]:
    return map_task(spot)(a=a)


@workflow
def timed(a: int) -> int:
    return slow(a=a)


@contextmanager
def later(seconds: float, since: datetime) -> Iterator[None]:
    moment = since + timedelta(seconds=seconds)
    with patch("django.utils.timezone.now", lambda: moment):
        yield


def queued(execution: Execution) -> int:
    return TaskExecution.objects.filter(execution_id=execution.pk, phase=AttemptPhase.QUEUED).count()


def fail(a: int) -> int:
    raise TaskFailed("not yet", retryable=True)


@pytest.mark.parametrize("system", [False, True])
def test_it_waits_twice_as_long_before_each_repetition(settings: Settings, system: bool) -> None:
    settings.CAUSEWAY_RETRY_BACKOFF_SECONDS = 10

    def answer(a: int) -> int:
        raise TaskFailed("not yet", retryable=True, system=system)

    execution, driver, began = start(workflow_of(patient), {"a": 5}), Driver({"flaky": answer}), timezone.now()
    with later(0, began):
        driver.run(execution)
        assert execution.wake_at == began + timedelta(seconds=10)
    with later(9, began):
        assert driver.run(execution).phase == ExecutionPhase.RUNNING and len(driver.ran) == 1
    with later(10, began):
        driver.run(execution)
        assert len(driver.ran) == 2
        assert execution.wake_at == began + timedelta(seconds=30)
    with later(30, began):
        driver.answers = {"flaky": lambda a: a}
        assert outputs(driver.run(execution)) == {"o0": 5}


def test_items_of_a_map_wait_by_themselves(settings: Settings) -> None:
    settings.CAUSEWAY_RETRY_BACKOFF_SECONDS = 10
    began, tries = timezone.now(), {1: 0, 2: 0, 3: 0}

    def answer(a: int) -> int:
        tries[a] += 1
        if tries[a] < a:
            raise TaskFailed("not yet", retryable=True)
        return a

    execution, driver = start(workflow_of(mapped), {"a": [1, 2, 3]}), Driver({"flaky": answer})
    with later(0, began):
        driver.run(execution)
        assert tries == {1: 1, 2: 1, 3: 1} and execution.wake_at == began + timedelta(seconds=10)
    with later(10, began):
        driver.run(execution)
        assert tries == {1: 1, 2: 2, 3: 2} and execution.phase == ExecutionPhase.RUNNING
    with later(30, began):
        assert outputs(driver.run(execution)) == {"o0": [1, 2, 3]}


@pytest.mark.parametrize(("program", "given"), [(on_spot, 1), (mapped_on_spot, [1])])
def test_the_last_attempt_that_the_system_fails_is_not_on_spot(program: object, given: object) -> None:
    def answer(a: int) -> int:
        raise TaskFailed("the machine was taken away", retryable=True, system=True)

    for launch_says in (None, True):
        spec = {} if launch_says is None else {"interruptible": {"value": launch_says}}
        execution = start(workflow_of(program), {"a": given}, **spec)
        Driver({"spot": answer}).run(execution)
        rows = TaskExecution.objects.filter(execution_id=execution.pk).order_by("attempt")
        assert [row.interruptible for row in rows] == [True, True, True, False]
        assert error_of(execution).code == ("RetriesExhausted|TaskFailed")


def test_all_attempts_with_their_waits_have_twice_the_timeout() -> None:
    execution, began = start(workflow_of(timed), {"a": 1}), timezone.now()
    with later(0, began):
        advance(execution.pk)
    assert TaskExecution.objects.get(execution_id=execution.pk).command["timeout_seconds"] == 600
    with later(1199, began):
        advance(execution.pk)
        assert queued(execution) == 1
    with later(1201, began):
        advance(execution.pk)
    assert NodeExecution.objects.get(execution=execution, node_id="n0").phase == NodePhase.TIMED_OUT
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.FAILED and queued(execution) == 0
    assert error_of(execution).code == "TimeoutExpired"
    assert "0:20:00" in error_of(execution).message


def test_user_and_system_failures_have_budgets_of_their_own() -> None:
    failures = [TaskFailed("x", retryable=True, system=system) for system in (True, False, True, False, True)]

    def answer(a: int) -> int:
        if failures:
            raise failures.pop(0)
        return a

    driver = Driver({"flaky": answer})
    execution = driver.run(start(workflow_of(patient), {"a": 5}))
    assert outputs(execution) == {"o0": 5} and len(driver.ran) == 6


def test_what_is_not_recoverable_is_not_repeated() -> None:
    def answer(a: int) -> int:
        raise TaskFailed("never")

    driver = Driver({"flaky": answer})
    execution = driver.run(start(workflow_of(patient), {"a": 5}))
    assert error_of(execution).code == "TaskFailed" and len(driver.ran) == 1


def test_an_error_says_where_to_look() -> None:
    def answer(a: int) -> int:
        raise TaskFailed("never")

    execution = Driver({"flaky": answer}).run(start(workflow_of(patient), {"a": 5}))
    row = TaskExecution.objects.get(execution_id=execution.pk)
    assert row.log_uri and error_of(execution).error_uri == row.log_uri
