from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from audit.models import AuditEvent
from scheduler.models import LaunchPlan, Schedule, Trigger, TriggerFiring, TriggerSource
from tests.console.rest import program
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import START, make_execution
from tests.console.rest.test_artifacts import publish
from tests.flyte import register_all


@pytest.fixture
def trigger(db: None) -> Trigger:
    register_all(program.calculate, program.fixed)
    made = Trigger.objects.create(
        launch_plan=LaunchPlan.objects.get(name="calculate_fixed"),
        artifact_project="demo",
        artifact_domain="development",
        artifact_name="dataset",
        condition=b"",
    )
    TriggerSource.objects.create(trigger=made, position=0, project="demo", domain="development", name="dataset")
    return made


def test_it_lists_triggers(api: Caller, trigger: Trigger, django_assert_num_queries: Any) -> None:
    client = api("vic")
    found = client.get("/api/v1/triggers?artifact_name=dataset&active=false&project=demo").json()["results"]
    assert [each["launch_plan"]["name"] for each in found] == ["calculate_fixed"]
    assert client.get("/api/v1/triggers?active=true").json()["results"] == []
    assert client.get(f"/api/v1/triggers/{trigger.pk}").json() == found[0]
    assert api("sue").get("/api/v1/triggers").json()["results"] == []
    problem(api("sue").get(f"/api/v1/triggers/{trigger.pk}"), 404)
    problem(api("sue").get(f"/api/v1/triggers/{trigger.pk}/firings"), 404)
    with django_assert_num_queries(4):  # token, bindings, rows, sources
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


def test_it_tells_what_a_firing_was_before(api: Caller, trigger: Trigger) -> None:
    made = publish(api("ann"), version="v1")
    lacked = {"outcome": "unresolved", "at": START.isoformat(), "reason": "x: b=SEA", "lacks": ["other/production/b"]}
    skipped = {"outcome": "skipped", "at": (START + timedelta(hours=1)).isoformat()}
    firing = TriggerFiring.objects.create(
        trigger=trigger,
        version_id=made["id"],
        outcome="fired",
        published_at=START,
        at=START + timedelta(hours=2),
        history=[lacked, skipped],
    )
    url = f"/api/v1/firings/{firing.pk}"
    found = api("root").get(url).json()
    assert found["history"] == [
        {"outcome": "unresolved", "at": "2026-05-17T12:00:00Z", "reason": "x: b=SEA"},
        {"outcome": "skipped", "at": "2026-05-17T13:00:00Z", "reason": ""},
    ]
    (told, _) = api("vic").get(url).json()["history"]
    assert told["reason"] == "an input found no version of other/production/b, which you may not read"
    assert api("vic").get("/api/v1/firings").json()["results"] == [api("vic").get(url).json()]
    problem(api("sue").get(url), 404)
    problem(api("vic").get("/api/v1/firings/999999"), 404)


def test_the_ledger_does_not_name_versions_of_projects_one_may_not_read(api: Caller, trigger: Trigger) -> None:
    made = publish(api("root"), url="/api/v1/artifacts/elsewhere/development/hush", version="s1")
    found = {
        "via": "trigger",
        "artifact": made["project"] + "/development/hush",
        "version": "s1",
        "explanation": "hush",
    }
    TriggerFiring.objects.create(
        trigger=trigger,
        version_id=made["id"],
        outcome="fired",
        resolution={"x": found},
        published_at=START,
        at=START,
    )
    execution = make_execution("told", resolution={"x": found})
    urls = (f"/api/v1/triggers/{trigger.pk}/firings", "/api/v1/firings", f"/api/v1/executions/{execution.key}")
    for url in urls:
        assert "elsewhere/development/hush" in api("root").get(url).content.decode()
        told = api("vic").get(url)
        assert told.status_code == 200 and not any(word in told.content for word in (b"hush", b"elsewhere", b'"s1"'))
    held = {"outcome": "waiting", "at": START.isoformat(), "reason": "hush@s1 did not pass its checks: rows is 3"}
    TriggerFiring.objects.update(reason="hush@s1 was joined", history=[held])
    (firing,) = api("vic").get(urls[0]).json()["results"]
    assert firing["reason"] == firing["history"][0]["reason"] == "something about a version that you may not read"
    assert (firing["version_id"], firing["artifact"], firing["version"]) == (None, None, None)
    assert firing["resolution"] == {"x": {"via": "trigger"}}


@pytest.fixture
def schedule(trigger: Trigger) -> Schedule:
    return Schedule.objects.create(
        launch_plan=trigger.launch_plan,
        kind="cron",
        expression="CRON_TZ=Europe/Berlin 0 9 * * *",
        active=True,
        last_fire_at=START,
        next_fire_at=START + timedelta(days=1),
    )


def test_it_lists_schedules_with_their_previous_and_next_times(
    api: Caller, schedule: Schedule, django_assert_num_queries: Any
) -> None:
    client = api("vic")
    (found,) = client.get("/api/v1/schedules?active=true").json()["results"]
    assert (found["expression"], found["time_zone"]) == (schedule.expression, "Europe/Berlin")
    assert (found["last_fire_at"], found["next_fire_at"]) == ("2026-05-17T12:00:00Z", "2026-05-18T12:00:00Z")
    assert client.get(f"/api/v1/schedules/{schedule.pk}").json() == found
    assert client.get("/api/v1/schedules?active=false").json()["results"] == []
    assert api("sue").get("/api/v1/schedules").json()["results"] == []
    problem(api("sue").get(f"/api/v1/schedules/{schedule.pk}"), 404)
    plan = client.get("/api/v1/launch-plans/demo/development/calculate_fixed").json()
    assert (plan["schedule"], plan["trigger"]) == (schedule.expression, schedule.launch_plan.trigger.pk)
    assert (plan["last_fire_at"], plan["next_fire_at"]) == (found["last_fire_at"], found["next_fire_at"])
    with django_assert_num_queries(3):  # token, bindings, rows
        client.get("/api/v1/schedules")


def test_it_tells_what_each_time_of_a_schedule_launched(
    api: Caller, schedule: Schedule, django_assert_num_queries: Any
) -> None:
    schedule.fires.create(fire_at=START, execution=make_execution())
    schedule.fires.create(fire_at=START + timedelta(hours=1), error="it does not fit")
    client, url = api("vic"), f"/api/v1/schedules/{schedule.pk}/fires"
    assert client.get(url).json()["results"] == [
        {"at": "2026-05-17T13:00:00Z", "execution": None, "error": "it does not fit"},
        {"at": "2026-05-17T12:00:00Z", "execution": "demo/development/e1", "error": ""},
    ]
    problem(api("sue").get(url), 404)
    with django_assert_num_queries(4):  # token, schedule, bindings, rows
        client.get(url)


def test_it_pauses_and_resumes(api: Caller, trigger: Trigger) -> None:
    url = f"/api/v1/triggers/{trigger.pk}"
    problem(api("ann").post(f"{url}/pause", {}), 403)
    problem(api("abe").post(f"{url}/pause", {"backlog": "burn"}), 400)
    paused = api("abe").post(f"{url}/pause", {"backlog": "drop"}).json()
    assert (paused["backlog"], paused["paused_by"]) == ("drop", "abe")
    assert [each["id"] for each in api("vic").get("/api/v1/triggers?paused=true").json()["results"]] == [trigger.pk]
    assert api("abe").post(f"{url}/resume").json()["paused_at"] is None
    assert "is not paused" in problem(api("abe").post(f"{url}/resume"), 409)["detail"]
    assert set(AuditEvent.objects.values_list("verb", flat=True)) >= {"trigger.pause", "trigger.resume"}


def test_it_sets_limits(api: Caller, trigger: Trigger) -> None:
    url = f"/api/v1/triggers/{trigger.pk}/limits"
    problem(api("vic").put(url, {"max_concurrent": 2}, format="json"), 403)
    assert "from 1 to" in problem(api("abe").put(url, {"max_concurrent": 0}, format="json"), 400)["detail"]
    found = api("abe").put(url, {"max_concurrent": 2, "on_limit": "skip"}, format="json").json()
    assert found["limits"] == {
        "rate_count": None, "rate_seconds": None, "max_concurrent": 2, "on_limit": "skip", "newest_only": False,
    }  # fmt: skip
    assert found["limits_by"] == "abe"


def test_it_lists_all_firings(api: Caller, trigger: Trigger, django_assert_num_queries: Any) -> None:
    for version, outcome in [("v1", "fired"), ("v2", "waiting"), ("v3", "waiting")]:
        made = publish(api("ann"), version=version)
        TriggerFiring.objects.create(
            trigger=trigger, version_id=made["id"], outcome=outcome, published_at=START, at=START
        )
    client = api("vic")
    first = client.get("/api/v1/firings?outcome=waiting&launch_plan=calculate_fixed&limit=1").json()
    assert [each["version"] for each in first["results"]] == ["v3"]
    assert [each["version"] for each in client.get(first["next"]).json()["results"]] == ["v2"]
    assert api("sue").get("/api/v1/firings").json()["results"] == []
    with django_assert_num_queries(3):  # token, bindings, rows
        client.get("/api/v1/firings")


def test_it_tries_a_firing_again_for_those_who_may_launch(api: Caller, trigger: Trigger) -> None:
    made = publish(api("ann"), version="v1")
    firing = TriggerFiring.objects.create(
        trigger=trigger, version_id=made["id"], outcome="fired", published_at=START, at=START
    )
    url = f"/api/v1/firings/{firing.pk}/retry"
    problem(api("vic").post(url), 403)
    problem(api("sue").post(url), 404)
    assert "is fired" in problem(api("ann").post(url), 409)["detail"]


def test_it_previews_what_a_version_would_trigger(api: Caller, trigger: Trigger) -> None:
    publish(api("ann"), version="v1")
    TriggerSource.objects.update(partitions={"region": "LAX"})
    url = "/api/v1/artifacts/demo/development/dataset"
    assert api("vic").get(f"{url}/versions/v1/triggers").json()["results"] == []
    (found,) = api("vic").get(f"{url}/versions/v1/triggers?inactive=true").json()["results"]
    assert (found["launch_plan"]["name"], found["launches"]) == ("calculate_fixed", False)
    assert found["reason"] == "watches region=LAX"
    problem(api("sue").get(f"{url}/versions/v1/triggers"), 404)
    refused = problem(api("vic").post(f"{url}/trigger-preview", {"partitions": {"no": "x"}}, format="json"), 400)
    assert "has no partition no" in refused["detail"]
