"""A flytekit program for the API's tests."""

# mypy: disable-error-code="untyped-decorator, no-any-return"
from __future__ import annotations

import typing

from flytekit import LaunchPlan, task, workflow


@task
def double(x: int) -> int:
    return 2 * x


@task
def greet(name: str, times: int = 2) -> str:
    return ", ".join([name] * times)


@workflow
def calculate(x: int, scale: float = 1.5, names: typing.List[str] = ["a"]) -> int:  # noqa: B006, UP006
    return double(x=x)


fixed = LaunchPlan.get_or_create(
    calculate, name="calculate_fixed", default_inputs={"x": 3}, fixed_inputs={"scale": 2.0}
)
