from __future__ import annotations

import json
from typing import Any

import pytest

from audit.models import AuditEvent
from scheduler.models import Connection
from tests.console.rest.conftest import Caller, problem

URL = "/api/v1/connections"
PASSWORD = "s3cr3t-of-the-team"
BODY: dict[str, Any] = {
    "project": "demo",
    "domain": "development",
    "name": "warehouse",
    "kind": "postgresql",
    "host": "db.example.org",
    "port": 5432,
    "user": "ada",
    "options": {"sslmode": "require"},
    "password": PASSWORD,
    "secrets": {"private_key": "PEM-of-the-team"},
}


def test_it_is_set_replaced_and_removed_and_its_secrets_do_not_come_out(api: Caller) -> None:
    ada = api("ada")
    made = ada.put(URL, BODY, format="json")
    assert made.status_code == 201, made.content
    again = ada.put(URL, {key: BODY[key] for key in ("project", "domain", "name")} | {"host": "h"}, format="json")
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    (row,) = ada.get(URL).json()["results"]
    assert (row["host"], row["port"], row["secret_names"]) == ("h", None, ["password", "private_key"])
    for answer in (made, again, ada.get(URL)):
        assert "of-the-team" not in answer.content.decode()
    assert ada.delete(f"{URL}/{row['id']}").status_code == 204
    events = list(AuditEvent.objects.filter(verb__startswith="connection.").order_by("pk"))
    assert [event.verb for event in events] == ["connection.create", "connection.replace", "connection.remove"]
    assert "of-the-team" not in json.dumps([event.detail for event in events])


def test_who_sees_and_who_sets_it(api: Caller) -> None:
    row = api("ada").put(URL, BODY, format="json").json()
    seen = {name: len(api(name).get(URL).json()["results"]) for name in ("vic", "ann", "ada", "sue", "root")}
    assert seen == {"vic": 0, "ann": 1, "ada": 1, "sue": 0, "root": 1}
    for name, status in {"vic": 403, "ann": 403, "sue": 404}.items():
        problem(api(name).put(URL, BODY, format="json"), 403)
        problem(api(name).delete(f"{URL}/{row['id']}"), status)
    problem(api("ada").put(URL, {**BODY, "project": "", "domain": ""}, format="json"), 403)


@pytest.mark.parametrize(
    "wrong", [{"name": "A b"}, {"port": 0}, {"options": {"a": {}}}, {"secrets": {"url": "x"}}, {"kinds": "x"}]
)
def test_what_cannot_be_leaves_nothing(api: Caller, wrong: dict[str, Any]) -> None:
    answer = api("ada").put(URL, {**BODY, **wrong}, format="json")
    problem(answer, 400)
    assert PASSWORD not in answer.content.decode() and not Connection.objects.exists()
