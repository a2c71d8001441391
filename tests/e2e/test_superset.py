"""A real Superset reads what Causeway knows, as a reader: it connects, lists the views, and draws a chart of them.

A lab, as in tests/e2e/test_open_doors.py: `CAUSEWAY_LABS=superset`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.flytekit_user import PROJECT
from tests.e2e.test_open_doors import Lab, free_port, lab, of, watching  # noqa: F401 - fixtures

pytestmark = pytest.mark.e2e
CONFIG = """
SECRET_KEY = {secret!r}
SQLALCHEMY_DATABASE_URI = "sqlite:///{home}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
"""


class Superset:
    """Its REST API, as somebody who logged in."""

    def __init__(self, address: str, password: str) -> None:
        self.address, self.session = address, requests.Session()
        who = {"username": "admin", "password": password, "provider": "db", "refresh": False}
        token = self.call("POST", "security/login", who)["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, f"{self.address}/api/v1/{path}", json=body, timeout=120)
        assert answer.ok, (path, answer.status_code, answer.text[:2000])
        return answer.json()

    def made(self, path: str, **body: Any) -> int:
        return int(self.call("POST", f"{path}/", body)["id"])


@pytest.fixture
def superset(lab: Lab) -> Iterator[Superset]:  # noqa: F811 - the fixture
    password, port = secrets.token_hex(12), free_port()
    config = lab.folder / "superset_config.py"
    config.write_text(CONFIG.format(secret=secrets.token_hex(32), home=lab.folder))
    said = {"SUPERSET_CONFIG_PATH": str(config), "FLASK_APP": "superset", "SUPERSET_HOME": str(lab.folder)}
    lab.run("superset", "db", "upgrade", cwd=None, **said)
    who = ("--username", "admin", "--firstname", "a", "--lastname", "b", "--email", "a@example.org")
    lab.run("superset", "fab", "create-admin", *who, "--password", password, cwd=None, **said)
    lab.run("superset", "init", cwd=None, **said)
    address = f"http://127.0.0.1:{port}"
    server = lab.serve("superset", "run", "-h", "127.0.0.1", "-p", str(port), address=f"{address}/health", **said)
    try:
        yield Superset(address, password)
    finally:
        os.killpg(server.pid, signal.SIGKILL)


@of("superset")
def test_superset_lists_and_draws_what_a_reader_sees(lab: Lab, superset: Superset) -> None:  # noqa: F811 - the fixture
    for number in range(7):
        lab.client.create("tides", number, kind="dataset" if number % 2 else "model")
    reader = lab.client.connection.call("POST", "readers", json={"name": "superset", "places": [PROJECT]})
    host = lab.stack.home / "postgres"
    uri = f"postgresql+psycopg2://{reader['role']}:{reader['password']}@/{reader['database']}?host={host}"
    database = superset.made("database", database_name="causeway", sqlalchemy_uri=uri)
    schema = "q=(schema_name:causeway)"
    assert "causeway" in superset.call("GET", f"database/{database}/schemas/")["result"]
    listed = superset.call("GET", f"database/{database}/tables/?{schema}")["result"]
    assert {"versions", "executions", "edges"} <= {one["value"] for one in listed}
    dataset = superset.made("dataset", database=database, schema="causeway", table_name="versions")
    columns = superset.call("GET", f"dataset/{dataset}")["result"]["columns"]
    assert {"artifact", "created_at", "metrics"} <= {one["column_name"] for one in columns}
    count = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "count"}
    params = {"viz_type": "table", "groupby": ["kind"], "metrics": [count], "row_limit": 100}
    query = {
        "datasource": {"id": dataset, "type": "table"},
        "queries": [{"columns": ["kind"], "metrics": [count], "row_limit": 100}],
        "result_type": "full",
        "result_format": "json",
    }
    chart = superset.made(
        "chart",
        slice_name="Versions by kind",
        viz_type="table",
        datasource_id=dataset,
        datasource_type="table",
        params=json.dumps(params),
        query_context=json.dumps(query),
    )
    (drawn,) = superset.call("GET", f"chart/{chart}/data/")["result"]
    told = {row["kind"]: row["count"] for row in drawn["data"]}
    by_rest = [one["kind"] for one in lab.client.connection.pages("artifact-versions", project=PROJECT)]
    assert told == {kind: by_rest.count(kind) for kind in set(by_rest)}
    assert sum(told.values()) == len(by_rest) >= 7
