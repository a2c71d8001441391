"""Airflow with its state in PostgreSQL: API server, scheduler with its local executor, DAG processor."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from peers.figures import Act
from peers.place import Place

PINS = ("apache-airflow==3.3.2", "psycopg2-binary==2.9.13", "asyncpg==0.32.0")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
CONSTRAINTS = f"https://raw.githubusercontent.com/apache/airflow/constraints-3.3.2/constraints-{PYTHON}.txt"
MEASURES = ("start", "memory", "tasks", "chain", "event")
REMARKS = {
    "memory": "Airflow: no triggerer, as nothing waits for one",
    "event": "Airflow: from the asset event; its scheduler looks for new ones",
}
SETTINGS = {
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "CORE__PARALLELISM": "8",
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
    "CORE__DEFAULT_POOL_TASK_SLOT_COUNT": "1000",
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "CORE__FERNET_KEY": "",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.05",  # 1 otherwise
    "SCHEDULER__MAX_TIS_PER_QUERY": "0",  # as many as may run
    "API__SECRET_KEY": "only-for-this",
    "API_AUTH__JWT_SECRET": "only-for-this-and-long-enough-for-its-algorithm-of-512-bits-in-all-64",
    "WORKERS__EXECUTION_API_TIMEOUT": "60",  # 5 otherwise, which a busy machine does not keep
    "LOGGING__LOGGING_LEVEL": "WARNING",
}

PROGRAM = """
import os
import time
from airflow.sdk import Asset, dag, task

@task
def step(n: int) -> int:
    return n + 1

@dag(schedule=None)
def many():
    for n in range(int(os.environ["BENCH_TASKS"])):
        step(n)

@dag(schedule=None)
def chain():
    n = 0
    for _ in range(int(os.environ["BENCH_LINKS"])):
        n = step(n)

@dag(schedule=[Asset("bench-data")])
def consumer():
    @task
    def consume() -> float:
        return time.time()

    consume()

many()
chain()
consumer()
"""


@contextmanager
def started(place: Place) -> Iterator[None]:
    """One that answers."""
    home = place.home / "airflow"
    place.settings |= {f"AIRFLOW__{name}": value for name, value in SETTINGS.items()} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": place.database("postgresql+psycopg2"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{place.url}/execution/",
    }
    if not home.exists():
        (home / "dags").mkdir(parents=True)
        (home / "dags/bench.py").write_text(PROGRAM)
        place.call("airflow", "db", "migrate")
    place.start("airflow", "api-server", "--host", "127.0.0.1", "--port", str(place.port))
    place.start("airflow", "scheduler")
    place.start("airflow", "dag-processor")
    place.wait_for("/api/v2/monitor/health")
    place.wait_for("/")
    yield


def acts(place: Place) -> dict[str, Act]:
    session = requests.Session()
    token = session.get(f"{place.url}/auth/token", timeout=60).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    for dag in ("many", "chain", "consumer"):
        at = f"{place.url}/api/v2/dags/{dag}"
        place.wait(lambda at=at: session.get(at, timeout=60).ok, f"{dag} is there", 0.5)  # type: ignore[misc]
    tasks = place.sizes.tasks
    return {
        "tasks": lambda: [tasks / _ran(place, session, "many")],
        "chain": lambda: [_ran(place, session, "chain")],
        "event": lambda: [_reacted(place, session) for _ in range(place.sizes.events)],
    }


def _ran(place: Place, session: requests.Session, dag: str) -> float:
    """Seconds from a run's creation to its end, as its database has them."""
    made = session.post(f"{place.url}/api/v2/dags/{dag}/dagRuns", json={"logical_date": None}, timeout=60)
    made.raise_for_status()
    query = """
        SELECT state, extract(epoch FROM end_date - created_at) FROM dag_run WHERE dag_id = %s AND run_id = %s"""
    found: list[Any] = ["", 0]

    def ended() -> bool:
        found[:] = place.rows(query, dag, made.json()["dag_run_id"])[0]
        if found[0] == "failed":
            raise SystemExit(f"{dag} failed:\n{place.log.read_text()[-3000:]}")
        return bool(found[0] == "success")

    place.wait(ended, f"{dag} has ended", 0.2)
    return float(found[1])


def _reacted(place: Place, session: requests.Session) -> float:
    """Milliseconds from an event of the asset to the user's function."""
    ((asset,),) = place.rows("SELECT id FROM asset WHERE name = 'bench-data'")
    made = session.post(f"{place.url}/api/v2/assets/events", json={"asset_id": asset}, timeout=60)
    made.raise_for_status()
    query = """
        SELECT x.value, extract(epoch FROM e.timestamp) FROM asset_event e
        JOIN dagrun_asset_event d ON d.event_id = e.id
        JOIN xcom x ON x.dag_run_id = d.dag_run_id AND x.key = 'return_value' WHERE e.id = %s"""
    found: list[Any] = []

    def ended() -> bool:
        found[:] = place.rows(query, made.json()["id"])
        return bool(found)

    place.wait(ended, "the event's task has ended", 0.1)
    time.sleep(0.15)  # as between ours
    ((began, published),) = found
    return (float(began) - float(published)) * 1000
