from __future__ import annotations

from typing import Any

import pytest

from scheduler.models import LaunchPlan, Schedule, Trigger, TriggerFiring
from tests.console.rest import program
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import START
from tests.console.rest.test_artifacts import publish
from tests.flyte import register_all


@pytest.fixture
def trigger(db: None) -> Trigger:
    register_all(program.calculate, program.fixed)
    return Trigger.objects.create(
        launch_plan=LaunchPlan.objects.get(name="calculate_fixed"),
        artifact_project="demo",
        artifact_domain="development",
        artifact_name="dataset",
        condition=b"",
    )


def test_it_lists_triggers(api: Caller, trigger: Trigger, django_assert_num_queries: Any) -> None:
    client = api("vic")
    found = client.get("/api/v1/triggers?artifact_name=dataset&active=false&project=demo").json()["results"]
    assert [each["launch_plan"]["name"] for each in found] == ["calculate_fixed"]
    assert client.get("/api/v1/triggers?active=true").json()["results"] == []
    assert client.get(f"/api/v1/triggers/{trigger.pk}").json() == found[0]
    assert api("sue").get("/api/v1/triggers").json()["results"] == []
    problem(api("sue").get(f"/api/v1/triggers/{trigger.pk}"), 404)
    problem(api("sue").get(f"/api/v1/triggers/{trigger.pk}/firings"), 404)
    with django_assert_num_queries(3):  # token, bindings, rows
        client.get("/api/v1/triggers")


def test_it_shows_the_ledger(api: Caller, trigger: Trigger, django_assert_num_queries: Any) -> None:
    for version, outcome in [("v1", "fired"), ("v2", "unresolved")]:
        made = publish(api("ann"), version=version)
        TriggerFiring.objects.create(
            trigger=trigger, version_id=made["id"], outcome=outcome, reason="why", published_at=START, at=START
        )
    client, url = api("vic"), f"/api/v1/triggers/{trigger.pk}/firings"
    found = client.get(url).json()["results"]
    assert [(each["version"], each["outcome"]) for each in found] == [("v2", "unresolved"), ("v1", "fired")]
    assert found[0]["artifact"] == "demo/development/dataset"
    assert [each["version"] for each in client.get(f"{url}?outcome=fired").json()["results"]] == ["v1"]
    problem(client.get(f"{url}?outcome=burnt"), 400)
    with django_assert_num_queries(4):  # token, trigger, bindings, rows
        client.get(url)


def test_it_lists_schedules(api: Caller, trigger: Trigger, django_assert_num_queries: Any) -> None:
    Schedule.objects.create(launch_plan=trigger.launch_plan, kind="cron", expression="0 * * * *")
    client = api("vic")
    found = client.get("/api/v1/schedules?active=false").json()["results"]
    assert [each["expression"] for each in found] == ["0 * * * *"]
    assert api("sue").get("/api/v1/schedules").json()["results"] == []
    plan = client.get("/api/v1/launch-plans/demo/development/calculate_fixed").json()
    assert (plan["schedule"], plan["trigger"]) == ("0 * * * *", trigger.pk)
    with django_assert_num_queries(3):  # token, bindings, rows
        client.get("/api/v1/schedules")
