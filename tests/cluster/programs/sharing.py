"""Tasks that hold a GPU for a while."""

from __future__ import annotations

import time

from flytekit import Resources, map_task, task, workflow
from flytekit.extras.accelerators import T4


@task(requests=Resources(cpu="20m", mem="200Mi", gpu="1"))
def hold(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


@task(requests=Resources(cpu="20m", mem="200Mi", gpu="1"), accelerator=T4)
def hold_t4(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


@task(requests=Resources(cpu="20m", mem="200Mi", gpu="64"))
def far_too_many() -> int:
    return 64


@workflow
def many(seconds: list[int]) -> list[int]:
    return map_task(hold)(seconds=seconds)


@workflow
def of_a_model(seconds: int) -> tuple[int, int]:
    return hold_t4(seconds=seconds), hold_t4(seconds=seconds)


@workflow
def never() -> int:
    return far_too_many()
