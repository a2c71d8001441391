"""One task that takes its time."""

import time

from flytekit import task, workflow


@task
def rest(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@workflow
def rest_wf(seconds: float) -> float:
    return rest(seconds=seconds)
