"""Outputs that are not computed again: recovered executions, cached tasks."""

from __future__ import annotations

import pytest
from flytekit import task, workflow

from scheduler.models import Execution, ExecutionMode
from scheduler.phases import ExecutionPhase, NodePhase
from tests.scheduler.driving import Driver, TaskFailed, outputs, phases, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def first(a: int) -> int:
    return a


@task
def second(a: int) -> int:
    return a


@workflow
def inside(a: int) -> int:
    return second(a=first(a=a))


@workflow
def program(a: int) -> int:
    return second(a=inside(a=first(a=a)))


def test_it_runs_only_what_failed() -> None:
    workflow_row = workflow_of(program)
    failed = start(workflow_row, {"a": 1})

    def fail(a: int) -> int:
        raise TaskFailed

    Driver({"first": lambda a: a + 1, "second": fail}).run(failed)
    assert failed.phase == ExecutionPhase.FAILED
    again = start(workflow_row, {"a": 1})
    Execution.objects.filter(pk=again.pk).update(mode=ExecutionMode.RECOVERED, reference=failed)
    driver = Driver({"first": lambda a: a + 1, "second": lambda a: a * 10})
    driver.run(again)
    assert outputs(again) == {"o0": 300}
    assert driver.ran == [("n1-0-n1", 0), ("n2", 0)]
    found = phases(again)
    assert found["n0"] == found["n1-0-n0"] == NodePhase.RECOVERED
