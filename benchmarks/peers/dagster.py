"""Dagster's webserver and daemon with their state in PostgreSQL, and its executor of a process for each op."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from peers.figures import Act
from peers.place import Place

from tests.stack import free_port

PINS = (
    "dagster==1.13.27",
    "dagster-webserver==1.13.27",
    "dagster-postgres==0.29.27",
    "psycopg2-binary==2.9.13",
    "SQLAlchemy==2.0.58",  # for 2.1 postgresql:// is psycopg 3's (findings/dagster-postgres-without-its-driver.sh)
)
MEASURES = ("start", "memory", "tasks", "chain")
REMARKS: dict[str, str] = {}

PROGRAM = """
import os
import dagster as dg

# ops are forked from a process that has imported what they need
forks = {"forkserver": {"preload_modules": ["dagster", "dagster_postgres", "bench"]}}
each = dg.multiprocess_executor.configured({"max_concurrent": 4, "start_method": forks})

@dg.op
def nothing() -> int:
    return 1

@dg.op
def step(n: int) -> int:
    return n + 1

@dg.job(executor_def=each)
def many():
    for n in range(int(os.environ["BENCH_TASKS"])):
        nothing.alias(f"nothing_{n}")()

@dg.job(executor_def=each)
def chain():
    n = nothing()
    for number in range(int(os.environ["BENCH_LINKS"]) - 1):
        n = step.alias(f"step_{number}")(n)

defs = dg.Definitions(jobs=[many, chain])
"""
LAUNCH = """
mutation($job: String!) {
  launchRun(executionParams: {
    selector: {jobName: $job, repositoryName: "__repository__", repositoryLocationName: "bench"}, runConfigData: {}
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


@contextmanager
def started(place: Place) -> Iterator[None]:
    """One that answers; the code is in one process for the webserver, the daemon and runs."""
    home, code = place.home / "dagster", free_port()
    home.mkdir(exist_ok=True)
    place.settings |= {"DAGSTER_HOME": str(home), "PYTHONPATH": str(home)}
    instance = {
        "storage": {"postgres": {"postgres_url": place.database("postgresql")}},
        "run_coordinator": {"module": "dagster.core.run_coordinator", "class": "DefaultRunCoordinator"},  # no queue
        "telemetry": {"enabled": False},
    }
    (home / "dagster.yaml").write_text(json.dumps(instance))
    server = {"host": "127.0.0.1", "port": code, "location_name": "bench"}
    (home / "workspace.yaml").write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
    (home / "bench.py").write_text(PROGRAM)
    place.start("dagster", "code-server", "start", "-h", "127.0.0.1", "-p", str(code), "-m", "bench")
    workspace = ["-w", str(home / "workspace.yaml")]
    place.start("dagster-webserver", "-h", "127.0.0.1", "-p", str(place.port), *workspace)
    place.start("dagster-daemon", "run", *workspace)
    place.wait_for("/server_info")
    place.wait_for("/")
    yield


def acts(place: Place) -> dict[str, Act]:
    tasks = place.sizes.tasks
    return {"tasks": lambda: [tasks / _ran(place, "many")], "chain": lambda: [_ran(place, "chain")]}


def _ran(place: Place, job: str) -> float:
    """Seconds from a run's creation to its end, as its database has them."""
    answer = requests.post(f"{place.url}/graphql", json={"query": LAUNCH, "variables": {"job": job}}, timeout=60)
    launched = answer.json()["data"]["launchRun"]
    if launched["__typename"] != "LaunchRunSuccess":
        raise SystemExit(f"{job} is not launched: {launched}")
    query = "SELECT status, end_time - extract(epoch FROM create_timestamp) FROM runs WHERE run_id = %s"
    found: list[Any] = ["", 0]

    def ended() -> bool:
        found[:] = place.rows(query, launched["run"]["runId"])[0]
        if found[0] in ("FAILURE", "CANCELED"):
            raise SystemExit(f"{job} failed:\n{place.log.read_text()[-3000:]}")
        return bool(found[0] == "SUCCESS")

    place.wait(ended, f"{job} has ended", 0.2)
    return float(found[1])
