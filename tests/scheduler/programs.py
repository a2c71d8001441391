"""flytekit programs that tests of the registry and of launching register."""

# mypy: disable-error-code="untyped-decorator, no-any-return"

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from flytekit import Artifact, LaunchPlan, approve, conditional, dynamic, map_task, task, workflow
from flytekit.core.artifact import Inputs


@dataclass
class Size:
    width: int
    label: str


MIDNIGHT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
Dataset = Artifact(name="dataset", partition_keys=["region"])


@task
def double(x: int, by: int = 2) -> int:
    return x * by


@task
def label(size: Size) -> str:
    return size.label


@task
def make_size(width: int) -> Size:
    return Size(width, "small")


@task
def publish(region: str) -> Annotated[int, Dataset(region=Inputs.region)]:
    return 1


@task
def consume(data: int, region: str) -> int:
    return data


@workflow
def inner(x: int) -> int:
    return double(x=x)


inner_plan = LaunchPlan.get_or_create(inner, "inner_plan", default_inputs={"x": 5})
fixed_plan = LaunchPlan.get_or_create(inner, "fixed_plan", fixed_inputs={"x": 7})


@workflow
def everything(x: int, names: list[int], when: dt.datetime = MIDNIGHT) -> tuple[int, str]:
    a = double(x=x)
    b = inner(x=a)
    inner_plan(x=b)
    map_task(partial(double, by=3))(x=names)
    size = make_size(width=b)
    approved = approve(a, "go", timeout=dt.timedelta(hours=1))
    double(x=size.width)
    c = (
        conditional("which")
        .if_(a > 3)
        .then(double(x=b))
        .elif_((a == 2) & (x < 3))
        .then(inner(x=approved))
        .else_()
        .fail("no")
    )
    a >> size
    return c, label(size=size)


@dynamic
def spread(n: int) -> list[int]:
    return [double(x=i) for i in range(n)]


@workflow
def training(region: str, data: int = Dataset.query(region=Inputs.region)) -> int:
    return consume(data=data, region=region)


@workflow
def timed(x: int, when: dt.datetime) -> int:
    return double(x=x)
