from __future__ import annotations

import pytest
from flytekit import task, workflow

from scheduler.models import NodeExecution, PhaseEvent, TaskExecution
from scheduler.phases import ExecutionPhase, NodePhase
from tests.scheduler.driving import Driver, TaskFailed, error_of, outputs, phases, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def add(a: int, b: int) -> int:
    return a + b


@task(retries=2)
def flaky(a: int) -> int:
    return a


@workflow
def diamond(a: int = 1, b: int = 2) -> int:
    left = add(a=a, b=b)
    right = add(a=left, b=10)
    other = add(a=left, b=20)
    return add(a=right, b=other)


@workflow
def inner(a: int) -> int:
    return add(a=add(a=a, b=1), b=1)


@workflow
def outer(a: int) -> int:
    return add(a=inner(a=a), b=inner(a=a))


@workflow
def retrying(a: int) -> int:
    return flaky(a=a)


def plus(a: int, b: int) -> int:
    return a + b


def test_it_runs_a_diamond_to_its_outputs() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    Driver({"add": plus}).run(execution)
    assert ExecutionPhase(execution.phase).label == "Succeeded"
    assert outputs(execution) == {"o0": 36}
    assert phases(execution)["n3"] == NodePhase.SUCCEEDED


def test_it_runs_sub_workflows_under_unique_node_ids() -> None:
    execution = start(workflow_of(outer), {"a": 5})
    Driver({"add": plus}).run(execution)
    assert outputs(execution) == {"o0": 14}
    assert {"n0-0-n0", "n0-0-n1", "n1-0-n0", "n1-0-n1", "n2", "n0-0-end-node"} <= phases(execution).keys()


def test_it_records_every_phase_change() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    Driver({"add": plus}).run(execution)
    node = NodeExecution.objects.get(execution=execution, node_id="n0")
    moves = PhaseEvent.objects.filter(machine="node", object_id=node.pk).order_by("id")
    assert list(moves.values_list("from_phase", "to_phase")) == [(0, 1), (1, 3)] or list(
        moves.values_list("from_phase", "to_phase")
    ) == [(0, 1), (1, 2), (2, 3)]


def test_it_repeats_a_failed_attempt_within_the_user_budget() -> None:
    execution = start(workflow_of(retrying), {"a": 5})
    failures = iter([TaskFailed(retryable=True), TaskFailed(retryable=True)])

    def answer(a: int) -> int:
        for failure in failures:
            raise failure
        return a

    driver = Driver({"flaky": answer})
    driver.run(execution)
    assert outputs(execution) == {"o0": 5}
    assert driver.ran == [("n0", 0), ("n0", 1), ("n0", 2)]


def test_it_fails_the_execution_when_retries_are_used_up() -> None:
    def answer(a: int) -> int:
        raise TaskFailed("no luck", retryable=True)

    execution = start(workflow_of(retrying), {"a": 5})
    driver = Driver({"flaky": answer})
    driver.run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert len(driver.ran) == 3
    assert error_of(execution).code == "RetriesExhausted|TaskFailed"
    assert "[3/3]" in error_of(execution).message and "no luck" in error_of(execution).message


def test_it_marks_every_attempt_handled() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    Driver({"add": plus}).run(execution)
    assert not TaskExecution.objects.filter(execution_id=execution.pk, handled=False).exists()
