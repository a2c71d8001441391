"""Airflow and Spark as they are on PyPI and Maven Central tell a real Causeway by their own OpenLineage listeners.

Labs, as in tests/e2e/test_open_doors.py: `CAUSEWAY_LABS=airflow,spark`. Spark needs Java, and fetches its listener.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from causeway.client import Client

from tests.e2e.flytekit_user import DOMAIN, PROJECT
from tests.e2e.test_open_doors import Lab, lab, of, until, watching  # noqa: F401 - fixtures
from tests.stack import RunningStack

pytestmark = pytest.mark.e2e
LISTENER = "io.openlineage:openlineage-spark_2.12:1.53.0"
RULES = [
    {"namespace": "file", "name": "*/lab/{table}.csv", "artifact": "flown-{table}"},
    {"namespace": "file", "name": "*/lab/{table}", "artifact": "sparked-{table}"},
]


@pytest.fixture
def rules(watching: RunningStack) -> Iterator[None]:  # noqa: F811 - the fixture
    client = Client(watching.http_url, watching.admin_token, PROJECT, DOMAIN)
    place = {"project": PROJECT, "domain": DOMAIN}
    made = [client.connection.call("POST", "lineage/rules", json={**place, **rule}) for rule in RULES]
    yield
    for rule in made:
        client.connection.call("DELETE", f"lineage/rules/{rule['id']}")


def runs_of(lab: Lab, namespace: str) -> dict[str, dict[str, Any]]:  # noqa: F811 - the fixture
    """The last run of each job, by the job's name."""
    call = lab.client.connection.call
    jobs = call("GET", "lineage/jobs", params={"namespace": namespace})["results"]
    newest = {job["name"]: call("GET", "lineage/runs", params={"job": job["id"]})["results"][0] for job in jobs}
    return {name: call("GET", f"lineage/runs/{run['id']}") for name, run in newest.items()}


def datasets(run: dict[str, Any], role: str) -> list[str]:
    return [use["dataset"]["name"] for use in run["uses"] if use["role"] == role]


DAG = """
from datetime import datetime, timezone
from airflow.sdk import DAG, Asset, task

ORDERS, DAILY = Asset("file:///srv/lab/orders.csv"), Asset("file:///srv/lab/daily.csv")

with DAG("shop", start_date=datetime(2026, 5, 17, tzinfo=timezone.utc), schedule=None):

    @task(outlets=[ORDERS])
    def load() -> int:
        return 7

    @task(inlets=[ORDERS], outlets=[DAILY])
    def sum_up(rows: int) -> int:
        return rows

    sum_up(load())
"""


@of("airflow")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="Airflow's provider wants Python 3.11")
def test_airflow_tells_of_its_dags(lab: Lab, rules: None) -> None:  # noqa: F811 - the fixture
    """Each task is a job in the DAG's run; what one writes and the next reads hangs together, as versions too."""
    (lab.folder / "dags").mkdir()
    (lab.folder / "dags/shop.py").write_text(DAG)
    key = {"type": "api_key", "api_key": lab.stack.admin_token}
    variables = {
        "AIRFLOW_HOME": str(lab.folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "http", "url": lab.stack.http_url, "auth": key}),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "airflow-lab",
    }
    lab.run("airflow", "db", "migrate", cwd=None, **variables)
    lab.run("airflow", "dags", "test", "shop", "2026-05-17", cwd=None, **variables)
    runs = runs_of(lab, "airflow-lab")
    assert {name: run["state"] for name, run in runs.items()} == dict.fromkeys(
        ["shop", "shop.load", "shop.sum_up"], "COMPLETE"
    )
    assert {child["job"]["name"] for child in runs["shop"]["children"]} == {"shop.load", "shop.sum_up"}
    assert datasets(runs["shop.load"], "output") == datasets(runs["shop.sum_up"], "input") == ["/srv/lab/orders.csv"]
    daily, orders = lab.client.get("flown-daily"), lab.client.get("flown-orders")
    assert daily.fields["producer"] == "openlineage:shop.sum_up"
    assert daily.uri == "openlineage://file/srv/lab/daily.csv"
    sources = lab.client.connection.call("GET", f"artifact-versions/{daily.fields['id']}/lineage")["nodes"]
    assert orders.fields["id"] in {node["id"] for node in sources}
    assert lab.launched("flown-daily")


JOB = """
import sys
from pyspark.sql import SparkSession, functions

session = SparkSession.builder.appName("lab").getOrCreate()
orders = session.read.option("header", True).schema("id int, eur double").csv(sys.argv[1])
sums = orders.groupBy("id").agg(functions.sum("eur").alias("eur"))
sums.write.mode("overwrite").parquet(sys.argv[2])
session.stop()
"""


@of("spark")
@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_sparks_listener_tells_of_its_jobs(lab: Lab, rules: None) -> None:  # noqa: F811 - the fixture
    (lab.folder / "job.py").write_text(JOB)
    source, target = lab.folder / "orders.csv", lab.folder / "lab/sums"
    source.write_text("id,eur\n1,2.5\n1,4.0\n2,1.0\n")
    said = {
        "jars.packages": LISTENER,
        "jars.ivy": str(lab.folder / "ivy"),
        "ui.enabled": "false",
        "extraListeners": "io.openlineage.spark.agent.OpenLineageSparkListener",
        "openlineage.namespace": "spark-lab",
        "openlineage.transport.type": "http",
        "openlineage.transport.url": lab.stack.http_url,
        "openlineage.transport.auth.type": "api_key",
        "openlineage.transport.auth.apiKey": lab.stack.admin_token,
    }
    settings = [word for name, value in said.items() for word in ("--conf", f"spark.{name}={value}")]
    lab.run("spark-submit", "--master", "local[1]", *settings, "job.py", str(source), str(target))
    assert until(lambda: runs_of(lab, "spark-lab").get("lab", {}).get("state") == "COMPLETE")
    (writing,) = (run for run in runs_of(lab, "spark-lab").values() if datasets(run, "output"))
    assert (writing["state"], datasets(writing, "input")) == ("COMPLETE", [str(source)])
    version = lab.client.get("sparked-sums")
    assert version.fields["metrics"]["rows"] == 2.0
    assert version.uri == f"openlineage://file{target}"
    (found,) = lab.client.connection.call("GET", "lineage/datasets", params={"name": str(target)})["results"]
    whole = lab.client.connection.call("GET", f"lineage/datasets/{found['id']}")
    assert {one["name"]: [each["field"] for each in one["sources"]] for one in whole["columns"]} == {
        "id": ["id"],
        "eur": ["eur"],
    }
    assert lab.launched("sparked-sums")
