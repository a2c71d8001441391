from __future__ import annotations

import pytest
from flytekit import conditional, task, workflow

from scheduler.phases import ExecutionPhase, NodePhase
from tests.scheduler.driving import Driver, error_of, outputs, phases, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def double(a: int) -> int:
    return 2 * a


@task
def negate(a: int) -> int:
    return -a


@task
def is_big(a: int) -> bool:
    return a > 10


@workflow
def choosing(a: int) -> int:
    first = double(a=a)
    chosen = (
        conditional("size")
        .if_((first > 10) & (first < 100))
        .then(double(a=first))
        .elif_(first == 4)
        .then(negate(a=first))
        .else_()
        .fail("out of range")
    )
    return double(a=chosen)


@workflow
def nested(a: int) -> int:
    return (
        conditional("outer")
        .if_(a > 0)
        .then(conditional("inner").if_(a > 10).then(double(a=a)).else_().then(negate(a=a)))
        .else_()
        .then(double(a=a))
    )


@workflow
def truth(a: int) -> int:
    big = is_big(a=a)
    return conditional("truth").if_(big.is_true()).then(double(a=a)).else_().then(negate(a=a))


ANSWERS = {"double": lambda a: 2 * a, "negate": lambda a: -a, "is_big": lambda a: a > 10}


def test_it_takes_the_arm_whose_condition_holds() -> None:
    execution = Driver(ANSWERS).run(start(workflow_of(choosing), {"a": 10}))
    assert outputs(execution) == {"o0": 80}
    below = {key: phase for key, phase in phases(execution).items() if key.startswith("n1-0-")}
    assert sorted(below.values()) == [NodePhase.SUCCEEDED, NodePhase.SKIPPED]


def test_it_takes_the_second_arm() -> None:
    execution = Driver(ANSWERS).run(start(workflow_of(choosing), {"a": 2}))
    assert outputs(execution) == {"o0": -8}


def test_it_fails_as_the_else_says() -> None:
    execution = Driver(ANSWERS).run(start(workflow_of(choosing), {"a": 1}))
    assert execution.phase == ExecutionPhase.FAILED
    assert error_of(execution).code == "UserProvidedError"
    assert "out of range" in error_of(execution).message


@pytest.mark.parametrize(("given", "expected"), [(20, 40), (5, -5), (-1, -2)])
def test_it_takes_arms_within_arms(given: int, expected: int) -> None:
    assert outputs(Driver(ANSWERS).run(start(workflow_of(nested), {"a": given}))) == {"o0": expected}


@pytest.mark.parametrize(("given", "expected"), [(20, 40), (5, -5)])
def test_it_asks_for_truth(given: int, expected: int) -> None:
    assert outputs(Driver(ANSWERS).run(start(workflow_of(truth), {"a": given}))) == {"o0": expected}
