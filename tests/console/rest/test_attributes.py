from __future__ import annotations

from typing import Any

import pytest

from audit.models import AuditEvent
from scheduler.models import MatchableAttributes
from tests.console.rest.conftest import Caller, problem

URL = "/api/v1/projects/demo/attributes"
CONFIG = f"{URL}/workflow_execution_config"


def test_an_administrator_sets_what_holds_and_removes_it(api: Caller, django_assert_num_queries: Any) -> None:
    client = api("ada")
    set_there = client.put(f"{CONFIG}?domain=development", {"max_parallelism": 4})
    assert set_there.status_code == 200, set_there.content
    client.put(CONFIG, {"max_parallelism": 2, "labels": {"values": {"team": "north"}}})
    client.put(f"{URL}/task_resource?domain=development&workflow=flow", {"limits": {"cpu": "2"}})
    held = api("vic").get(f"{CONFIG}?domain=development&workflow=flow").json()
    assert (held["domain"], held["workflow"], held["attributes"]) == ("development", "", {"max_parallelism": 4})
    assert held["updated_by"] == "ada"
    client = api("vic")
    with django_assert_num_queries(5):  # token, bindings of the project and of its rows, project, rows
        assert len(client.get(URL).json()["results"]) == 3
    assert [row["kind"] for row in client.get(f"{URL}?workflow=flow").json()["results"]] == ["task_resource"]
    assert api("ada").delete(f"{CONFIG}?domain=development").status_code == 204
    assert client.get(f"{CONFIG}?domain=development").json()["attributes"]["max_parallelism"] == 2
    assert AuditEvent.objects.get(verb="attributes.delete").subject == "demo/development:WORKFLOW_EXECUTION_CONFIG"


def test_others_may_read_at_most(api: Caller) -> None:
    for name, status in {"vic": 403, "ann": 403, "sue": 404}.items():
        problem(api(name).put(CONFIG, {"max_parallelism": 4}), status)
        problem(api(name).delete(CONFIG), status)
    problem(api("sue").get(URL), 404)
    problem(api("sue").get(f"{CONFIG}?domain=development"), 404)
    assert not MatchableAttributes.objects.exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/weather", {}),
        ("/workflow_execution_config", {"max_parallelism": "many"}),
        ("/workflow_execution_config", {"colour": "red"}),
        ("/workflow_execution_config", [1]),
        ("/workflow_execution_config?domain=moon", {"max_parallelism": 1}),
        ("/workflow_execution_config?workflow=flow", {"max_parallelism": 1}),
        ("/workflow_execution_config?planet=earth", {"max_parallelism": 1}),
        ("/task_resource", {"limits": {"cpu": "lots"}}),
    ],
)
def test_it_explains_what_cannot_be_meant(api: Caller, path: str, body: Any) -> None:
    problem(api("ada").put(URL + path, body), 400)
    assert not MatchableAttributes.objects.exists()


def test_it_says_what_is_not_set(api: Caller) -> None:
    assert "EXECUTION_QUEUE" in problem(api("vic").get(f"{URL}/execution_queue"), 404)["detail"]
