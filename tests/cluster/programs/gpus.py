"""A task that waits for a GPU, and says something while it has one."""

from __future__ import annotations

import time

from flytekit import Resources, task, workflow


@task(requests=Resources(cpu="100m", mem="300Mi", gpu="1"))
def with_gpu(seconds: int) -> int:
    for second in range(seconds):
        print(f"has it for {second} s", flush=True)  # noqa: T201 - as users write
        time.sleep(1)
    return seconds


@workflow
def one_more(seconds: int) -> int:
    return with_gpu(seconds=seconds)
