"""Prefect's server with its state in PostgreSQL, and a worker that runs each flow run as a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from peers.figures import Act
from peers.place import Place

PINS = ("prefect==3.9.1", "asyncpg==0.32.0")
MEASURES = ("start", "memory", "tasks", "reused", "chain")
EXTENSION = "pg_trgm"  # its tables have indexes of it
REMARKS = {
    "tasks": "Prefect: a flow run each, as only these are processes; its worker polls",
    "reused": "Prefect: ProcessPoolTaskRunner",
    "chain": "Prefect: all tasks inside the flow run's one process",
}
AT_ONCE = 4  # processes
SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",  # a no-op says nothing: the engine's own lines need not be written
    "PREFECT_WORKER_QUERY_SECONDS": "0.5",  # 10 otherwise
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "10",
    "PREFECT_SERVER_LOG_LEVEL": "ERROR",
}

PROGRAM = """
import os
from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner

@task
def step(n: int) -> int:
    return n + 1

@flow
def nothing(n: int = 0) -> int:
    return n

@flow
def chain() -> int:
    n = 0
    for _ in range(int(os.environ["BENCH_LINKS"])):
        n = step(n)
    return n

@flow(task_runner=ProcessPoolTaskRunner(max_workers=4))
def many() -> None:
    for future in [step.submit(n) for n in range(int(os.environ["BENCH_TASKS"]))]:
        future.result()
"""
DEPLOY = """
import sys
from prefect import flow

for name in ("nothing", "chain", "many"):
    made = flow.from_source(source=sys.argv[1], entrypoint=f"bench.py:{name}")
    made.deploy(name="bench", work_pool_name="bench", ignore_warnings=True)
"""


@contextmanager
def started(place: Place) -> Iterator[None]:
    """One that answers, with a worker."""
    place.settings |= SETTINGS | {
        "PREFECT_HOME": str(place.home / "prefect"),
        "PREFECT_API_URL": f"{place.url}/api",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": place.database("postgresql+asyncpg"),
    }
    place.start("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(place.port))
    place.wait_for("/api/health")
    place.wait_for("/")
    place.start("prefect", "worker", "start", "--pool", "bench", "--type", "process", "--limit", str(AT_ONCE))
    yield


def acts(place: Place) -> dict[str, Act]:
    tasks = place.sizes.tasks
    program = place.home / "program"
    program.mkdir()
    (program / "bench.py").write_text(PROGRAM)
    place.wait(lambda: requests.get(f"{place.url}/api/work_pools/bench", timeout=10).ok, "its worker has its pool")
    place.call("python", "-c", DEPLOY, str(program))
    return {
        "tasks": lambda: [tasks / _ran(place, "nothing", [{}] * tasks)],
        "reused": lambda: [tasks / _ran(place, "many", [{}])],
        "chain": lambda: [_ran(place, "chain", [{}])],
    }


def _ran(place: Place, flow: str, runs: list[dict[str, Any]]) -> float:
    """Seconds from the creation of the first flow run to the end of the last, as its database has them."""
    deployment = requests.get(f"{place.url}/api/deployments/name/{flow}/bench", timeout=60).json()["id"]
    made = requests.post(f"{place.url}/api/deployments/{deployment}/create_flow_run/bulk", json=runs, timeout=60)
    made.raise_for_status()
    wanted = [each["flow_run_id"] for each in made.json()["results"]]
    query = """
        SELECT count(*) FILTER (WHERE state_type = 'COMPLETED'),
            count(*) FILTER (WHERE state_type IN ('FAILED', 'CRASHED', 'CANCELLED')),
            extract(epoch FROM max(end_time) - min(created)) FROM flow_run WHERE id = ANY(%s::uuid[])"""
    found: list[Any] = [0, 0, 0]

    def ended() -> bool:
        found[:] = place.rows(query, wanted)[0]
        if found[1]:
            raise SystemExit(f"{found[1]} runs of {flow} failed:\n{place.log.read_text()[-3000:]}")
        return bool(found[0] == len(runs))

    place.wait(ended, f"all runs of {flow} have ended", 0.2)
    return float(found[2])
