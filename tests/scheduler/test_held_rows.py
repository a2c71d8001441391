"""An execution's row is held for other reasons than its evaluation: what happens meanwhile is not left to the sweep."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from django.db import connection, transaction
from django.utils import timezone
from flytekit import workflow

from scheduler import advance as advancing
from scheduler import statements, wake
from scheduler.actions.executions import archive
from scheduler.advance import advance
from scheduler.models import Execution, TaskExecution
from scheduler.phases import ExecutionPhase
from scheduler.statements import lock
from tests.scheduler.driving import Driver, start, workflow_of
from tests.scheduler.test_advance import add, plus
from tests.transactions import held

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("object_store")]


@workflow
def single(a: int, b: int) -> int:
    return add(a=a, b=b)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No wake-ups at all: what is not done by the one call is not done."""
    monkeypatch.setattr(wake, "_after_commit", lambda send, what: None)
    yield


def running() -> Execution:
    execution = start(workflow_of(single), {"a": 1, "b": 2})
    advance(execution.pk)
    Driver({"add": plus}).answer_all()
    return execution


def phase_of(execution: Execution) -> int:
    return int(Execution.objects.values_list("phase", flat=True).get(pk=execution.pk))


def test_an_end_is_seen_although_somebody_archives_the_execution_meanwhile() -> None:
    execution = running()
    with held(lambda: archive(execution, actor="ada")) as let_go:
        threading.Timer(0.3, let_go.set).start()
        advance(execution.pk)
        assert phase_of(execution) == ExecutionPhase.SUCCEEDED
    assert not TaskExecution.objects.filter(execution_id=execution.pk, handled=False).exists()
    assert Execution.objects.get(pk=execution.pk).archived


def test_an_end_is_seen_although_the_door_that_held_the_row_rolled_back() -> None:
    execution = running()

    def refuse() -> None:
        archive(execution, actor="ada")
        transaction.set_rollback(True)

    with held(refuse) as let_go:
        threading.Timer(0.3, let_go.set).start()
        advance(execution.pk)
    assert not Execution.objects.get(pk=execution.pk).archived
    assert phase_of(execution) == ExecutionPhase.SUCCEEDED


def test_who_only_refers_to_the_execution_is_not_waited_for() -> None:
    execution = running()

    def refer() -> None:  # as a relaunch does, by its foreign key
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM scheduler_execution WHERE id = %s FOR KEY SHARE", [execution.pk])

    with held(refer):
        before = time.monotonic()
        advance(execution.pk)
        assert time.monotonic() - before < 2
        assert phase_of(execution) == ExecutionPhase.SUCCEEDED


def test_who_finds_it_being_evaluated_leaves_at_once() -> None:
    execution = running()
    with held(lambda: lock(Execution, execution.pk)):
        before = time.monotonic()
        advance(execution.pk)
        assert time.monotonic() - before < 1.5
        assert phase_of(execution) == ExecutionPhase.RUNNING
    advance(execution.pk)
    assert phase_of(execution) == ExecutionPhase.SUCCEEDED


def test_who_holds_it_for_long_holds_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    execution = running()
    monkeypatch.setattr(statements, "WAIT", "200ms")
    again: list[tuple[int, datetime]] = []
    monkeypatch.setattr(advancing, "wake_execution_at", lambda pk, at: again.append((pk, at)))
    with held(lambda: archive(execution, actor="ada")):
        before = time.monotonic()
        advance(execution.pk)
        assert time.monotonic() - before < 5
        assert phase_of(execution) == ExecutionPhase.RUNNING
    ((pk, at),) = again
    assert pk == execution.pk and at <= timezone.now() + advancing.HELD_PAUSE


def test_the_patience_of_an_evaluation_does_not_outlast_its_lock() -> None:
    execution = running()
    with transaction.atomic(), connection.cursor() as cursor:
        assert lock(Execution, execution.pk) is not None
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
