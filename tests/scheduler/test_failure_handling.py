"""Failure policies, failure nodes, parallelism."""

from __future__ import annotations

import pytest
from flytekit import WorkflowFailurePolicy, task, workflow
from flytekit.types.error.error import FlyteError

from scheduler.actions.executions import abort
from scheduler.advance import advance
from scheduler.engine.memory import Memory
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.scheduler.driving import Answer, Driver, TaskFailed, error_of, phases, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def good(a: int) -> int:
    return a


@task
def bad(a: int) -> int:
    return a


@task
def clean_up(a: int, err: FlyteError | None = None) -> None: ...


@workflow
def stopping(a: int) -> int:
    first = bad(a=a)
    good(a=good(a=a))
    return good(a=first)


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def going_on(a: int) -> int:
    first = bad(a=a)
    good(a=good(a=a))
    return good(a=first)


@workflow(on_failure=clean_up)
def handled(a: int) -> int:
    return bad(a=a)


@workflow
def around(a: int) -> int:
    return handled(a=a)


@workflow
def wide(a: int) -> int:
    good(a=a)
    good(a=a)
    good(a=a)
    return good(a=a)


def fail(a: int) -> int:
    raise TaskFailed("it is bad")


def answers() -> dict[str, Answer]:
    return {"good": lambda a: a, "bad": fail, "clean_up": lambda **inputs: None}


def test_it_stops_everything_at_once() -> None:
    execution = Driver(answers()).run(start(workflow_of(stopping), {"a": 1}))
    assert execution.phase == ExecutionPhase.FAILED
    assert error_of(execution).message == "it is bad"
    assert "n2" not in phases(execution) or phases(execution)["n2"] in {NodePhase.ABORTED, NodePhase.UNDEFINED}


def test_it_completes_what_can_be_completed() -> None:
    execution = Driver(answers()).run(start(workflow_of(going_on), {"a": 1}))
    assert execution.phase == ExecutionPhase.FAILED
    found = phases(execution)
    assert (found["n0"], found["n1"], found["n2"]) == (NodePhase.FAILED, NodePhase.SUCCEEDED, NodePhase.SUCCEEDED)
    assert found["n3"] == NodePhase.SKIPPED


@pytest.mark.parametrize("program", [handled, around])
def test_it_runs_the_failure_node_with_the_error(program: object) -> None:
    seen: list[dict[str, object]] = []
    execution = start(workflow_of(program), {"a": 1})
    Driver({**answers(), "clean_up": lambda **inputs: seen.append(inputs)}).run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert len(seen) == 1 and seen[0]["a"] == 1
    assert "it is bad" in str(seen[0]["err"])
    assert error_of(execution).message == "it is bad"


def test_a_failure_node_that_fails_tells_both_failures() -> None:
    def clean_up(**inputs: object) -> None:
        raise TaskFailed("the bucket is gone")

    execution = Driver({**answers(), "clean_up": clean_up}).run(start(workflow_of(handled), {"a": 1}))
    assert execution.phase == ExecutionPhase.FAILED
    message = error_of(execution).message
    assert "the bucket is gone" in message and "It ran because of TaskFailed of node n0: it is bad" in message


def test_an_abort_does_not_run_the_failure_node() -> None:
    """As in flytepropeller, whose HandleAbortedWorkflow only stops what runs."""
    execution = start(workflow_of(around), {"a": 1})
    advance(execution.pk)
    abort(execution, cause="enough", actor="ann")
    driver = Driver(answers())
    assert driver.run(execution).phase == ExecutionPhase.ABORTED
    assert driver.ran == []


def test_an_abort_stops_a_failure_node_that_runs() -> None:
    execution, driver = start(workflow_of(handled), {"a": 1}), Driver(answers())
    advance(execution.pk)
    driver.answer_all()
    advance(execution.pk)
    assert TaskExecution.objects.filter(execution_id=execution.pk, phase=AttemptPhase.QUEUED).count() == 1
    abort(execution, cause="enough", actor="ann")
    assert driver.run(execution).phase == ExecutionPhase.ABORTED
    assert not TaskExecution.objects.filter(execution_id=execution.pk, phase=AttemptPhase.QUEUED).exists()


def test_it_runs_no_more_at_a_time_than_max_parallelism() -> None:
    execution = start(workflow_of(wide), {"a": 1}, max_parallelism=2)
    advance(execution.pk)
    queued = TaskExecution.objects.filter(execution_id=execution.pk, phase=AttemptPhase.QUEUED)
    assert queued.count() == 2
    driver = Driver(answers())
    driver.answer_all()
    advance(execution.pk)
    assert queued.count() == 2
    assert driver.run(execution).phase == ExecutionPhase.SUCCEEDED
    assert Memory.unpack(execution.counters.get("memory", {})) == Memory(), "no slot is left in use"
