from __future__ import annotations

from typing import Any

import pytest

from audit.models import AuditEvent
from scheduler.models import LaunchPlan, Project
from tests.console.rest import program
from tests.console.rest.conftest import Caller, problem
from tests.flyte import register_all

PLAN = "/api/v1/launch-plans/demo/development/calculate_fixed"


@pytest.fixture(autouse=True)
def registered(db: None) -> None:
    register_all(program.calculate, program.greet, program.fixed)


def test_it_shows_projects_i_may_read_something_of(api: Caller, django_assert_num_queries: Any) -> None:
    Project.objects.create(identifier="other", name="Other")
    assert [each["id"] for each in api("vic").get("/api/v1/projects").json()["results"]] == ["demo"]
    assert {each["id"] for each in api("root").get("/api/v1/projects").json()["results"]} >= {"demo", "other"}
    assert api("vic").get("/api/v1/projects/demo").json()["domains"] == ["development", "staging", "production"]
    problem(api("vic").get("/api/v1/projects/other"), 404)
    client = api("vic")
    with django_assert_num_queries(4):  # token, its last use, bindings, rows
        client.get("/api/v1/projects")


def test_platform_admins_make_projects(api: Caller) -> None:
    root = api("root")
    made = root.post("/api/v1/projects", {"id": "new", "labels": {"team": "x"}})
    assert made.status_code == 201, made.content
    assert made.json()["name"] == "new"
    problem(root.post("/api/v1/projects", {"id": "new"}), 409)
    problem(root.post("/api/v1/projects", {"id": "Not OK"}), 400)
    problem(api("ada").post("/api/v1/projects", {"id": "mine"}), 403)


def test_project_admins_change_theirs(api: Caller) -> None:
    changed = api("ada").patch("/api/v1/projects/demo", {"description": "The demo", "state": "archived"})
    assert (changed.json()["description"], changed.json()["state"]) == ("The demo", "ARCHIVED")
    problem(api("ada").patch("/api/v1/projects/demo", {"state": "gone"}), 400)
    problem(api("abe").patch("/api/v1/projects/demo", {"description": "x"}), 403)
    problem(api("sue").patch("/api/v1/projects/demo", {"description": "x"}), 404)


@pytest.mark.parametrize("kind", ["tasks", "workflows", "launch-plans"])
def test_it_lists_versions(api: Caller, kind: str, django_assert_num_queries: Any) -> None:
    client = api("vic")
    rows = client.get(f"/api/v1/{kind}").json()["results"]
    assert rows and all(each["version"] == "v1" for each in rows)
    name = rows[0]["name"]
    assert len(client.get(f"/api/v1/{kind}?name={name}&project=demo").json()["results"]) == 1
    assert client.get(f"/api/v1/{kind}?domain=staging").json()["results"] == []
    assert api("sue").get(f"/api/v1/{kind}").json()["results"] == []
    newest = client.get(f"/api/v1/{kind}/demo/development/{name}").json()
    assert client.get(f"/api/v1/{kind}/demo/development/{name}/versions/v1").json() == newest
    problem(client.get(f"/api/v1/{kind}/demo/development/{name}/versions/v2"), 404)
    problem(api("sue").get(f"/api/v1/{kind}/demo/development/{name}"), 404)
    with django_assert_num_queries(3):  # token, bindings, rows
        client.get(f"/api/v1/{kind}")


def test_it_describes_interfaces(api: Caller) -> None:
    client = api("vic")
    task = client.get(f"/api/v1/tasks/demo/development/{program.greet.name}").json()
    assert [(each["name"], each["type"]) for each in task["inputs"]] == [("name", "str"), ("times", "int")]
    assert task["outputs"] == [{"name": "o0", "type": "str"}]
    assert task["image"] == "localhost/causeway:test"
    plan = client.get(f"/api/v1/launch-plans/demo/development/{program.calculate.name}").json()
    assert {each["name"]: (each["required"], each["default"]) for each in plan["inputs"]} == {
        "names": (False, ["a"]),
        "scale": (False, 1.5),
        "x": (True, None),
    }
    fixed = client.get(PLAN).json()
    assert fixed["fixed_inputs"] == {"scale": 2.0}
    assert fixed["workflow"]["name"] == program.calculate.name


def test_an_approver_activates_and_deactivates(api: Caller) -> None:
    abe = api("abe")
    assert abe.post(f"{PLAN}/versions/v1/activate").json()["state"] == "ACTIVE"
    assert LaunchPlan.objects.get(name="calculate_fixed").state == LaunchPlan.State.ACTIVE
    names = [each["name"] for each in abe.get("/api/v1/launch-plans?state=active").json()["results"]]
    assert "calculate_fixed" in names
    assert abe.post(f"{PLAN}/versions/v1/deactivate").json()["state"] == "INACTIVE"
    verbs = list(
        AuditEvent.objects.filter(verb__startswith="launch_plan", actor="abe")
        .order_by("id")
        .values_list("verb", flat=True)
    )
    assert verbs == ["launch_plan.activate", "launch_plan.deactivate"]
    problem(api("ann").post(f"{PLAN}/versions/v1/activate"), 403)
    problem(api("sue").post(f"{PLAN}/versions/v1/activate"), 404)
    problem(abe.post(f"{PLAN}/versions/v2/activate"), 404)
