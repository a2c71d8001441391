"""flytekit programs that the tests register and run."""

# mypy: disable-error-code="untyped-decorator, no-any-return"

from __future__ import annotations

from datetime import timedelta

from flytekit import LaunchPlan, approve, map_task, task, workflow
from flytekit.core.gate import wait_for_input


@task
def double(number: int) -> int:
    return 2 * number


@task
def greet(name: str, times: int = 1) -> str:
    return f"hello {name}" * times


@workflow
def twice(number: int, name: str = "you") -> tuple[int, str]:
    return double(number=double(number=number)), greet(name=name)


@workflow
def nested(number: int) -> int:
    first, _ = twice(number=number)
    return double(number=first)


@workflow
def gated(number: int) -> int:
    extra = wait_for_input("extra", timeout=timedelta(hours=1), expected_type=int)
    approved = approve(double(number=extra), "release", timeout=timedelta(hours=1))
    return double(number=approved)


@workflow
def mapping(numbers: list[int]) -> list[int]:
    return map_task(double)(number=numbers)


fixed_plan = LaunchPlan.create("tests.fixed_plan", twice, fixed_inputs={"name": "they"}, default_inputs={"number": 4})
