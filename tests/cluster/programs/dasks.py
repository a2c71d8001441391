"""A Dask program as users write it, with flytekit's own plug-in."""

from __future__ import annotations

from distributed import Client
from flytekit import Resources, current_context, task, workflow
from flytekitplugins.dask import Dask, WorkerGroup


@task(
    task_config=Dask(workers=WorkerGroup(number_of_workers=2)),
    requests=Resources(cpu="20m", mem="200Mi"),
    limits=Resources(mem="1Gi"),
    pod_template_name="with-packages",
)
def total(numbers: int) -> str:
    client = Client()
    client.wait_for_workers(2, timeout=120)
    parts = client.map(sum, [range(start, numbers, 8) for start in range(8)])
    found = client.submit(sum, parts).result()
    return f"{found} by {len(client.scheduler_info()['workers'])} workers for {current_context().execution_id.name}"


@workflow
def adding(numbers: int) -> str:
    return total(numbers=numbers)
