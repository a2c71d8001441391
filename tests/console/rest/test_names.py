"""Whatever name can be registered can be reached."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from flytekit import LaunchPlan

from artifacts.exceptions import InvalidArgument
from scheduler.models import LaunchPlan as RegisteredPlan
from tests.console.rest import program
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import make_execution, make_gate
from tests.flyte import register_all

NAMES = ["team/daily", "a b", "x/versions/y", "x/launch", "50%", "a#b", "q?x=1", "%2F", "a/../b", "+", "é", "/", "a//b"]
VERSIONS = ["feature/x", "v1+b", "v@2", "v#b", "v?x=1", "x/activate", "%2Fb", "...", "x..", "a/versions/b"]


def _call(client: Any, method: str, *segments: str, raw: bool, body: Any = None) -> Any:
    """As a program sends it, every segment encoded whole; `raw`: the server tells how it was sent."""
    path = "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)
    return getattr(client, method)(path, body, **({"RAW_URI": path} if raw else {}))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "version"),
    [
        *((name, "v1") for name in NAMES),
        *(("plan", version) for version in VERSIONS),
        *zip(NAMES, VERSIONS, strict=False),
    ],
)
def test_a_launch_plan_of_any_name_and_version_is_found_and_switched(api: Caller, name: str, version: str) -> None:
    plan = LaunchPlan.get_or_create(program.calculate, name=name, default_inputs={"x": 3})
    register_all(plan, version=version)
    where = ["launch-plans", "demo", "development", name]
    found = _call(api("vic"), "get", *where, "versions", version, raw=True)
    assert found.status_code == 200, found.content
    assert (found.json()["name"], found.json()["version"]) == (name, version)
    assert _call(api("vic"), "get", *where, raw=True).json()["name"] == name
    switched = _call(api("abe"), "post", *where, "versions", version, "activate", raw=True)
    assert switched.status_code == 200, switched.content
    assert RegisteredPlan.objects.get(name=name, version=version).state == RegisteredPlan.State.ACTIVE
    workflow = ["workflows", "demo", "development", "tests.console.rest.program.calculate", "versions", version]
    assert _call(api("vic"), "get", *workflow, raw=True).json()["version"] == version


@pytest.mark.django_db
def test_a_proxy_that_decodes_addresses_leaves_most_names_within_reach(api: Caller) -> None:
    register_all(
        LaunchPlan.get_or_create(program.calculate, name="team/hourly", default_inputs={"x": 3}), version="feature/x"
    )
    where = ["launch-plans", "demo", "development", "team/hourly"]
    assert _call(api("vic"), "get", *where, raw=False).json()["name"] == "team/hourly"
    assert _call(api("vic"), "get", *where, "versions", "feature/x", raw=False).json()["version"] == "feature/x"
    assert _call(api("abe"), "post", *where, "versions", "feature/x", "activate", raw=False).status_code == 200
    problem(_call(api("vic"), "get", "launch-plans", "demo", "development", "team/nightly", raw=False), 404)
    problem(_call(api("vic"), "get", "nothing", "demo/development", "team/hourly", raw=False), 404)


@pytest.mark.django_db
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("signal", ["team/title", "a b", "ok?", "50%", "#1"])
def test_a_signal_of_any_name_is_given_its_value(api: Caller, signal: str, raw: bool) -> None:
    gate = make_gate(make_execution(), signal)
    where = ["executions", "demo", "development", "e1", "signals", signal]
    given = _call(api("abe"), "post", *where, raw=raw, body={"value": True})
    assert given.status_code == 200, given.content
    gate.refresh_from_db()
    assert gate.decided_by == "abe"


@pytest.mark.django_db
@pytest.mark.parametrize("end", [".", ".."])
def test_a_name_that_no_address_can_hold_is_refused(end: str) -> None:
    with pytest.raises(InvalidArgument, match=f"version '{end.replace('.', '[.]')}' could not be reached"):
        register_all(program.calculate, version=end)


@pytest.mark.django_db
def test_a_slash_in_the_name_of_an_artifact_or_alias_is_told_as_it_was_sent(api: Caller) -> None:
    where = ["artifacts", "demo", "development"]
    refused = _call(api("ann"), "post", *where, "team/model", "versions", raw=True, body={"value": 1})
    assert problem(refused, 400)["detail"].startswith("'team/model' is not an artifact name")
    api("ann").post("/api/v1/artifacts/demo/development/model/versions", {"value": 1, "version": "v1"})
    refused = _call(api("abe"), "put", *where, "model", "aliases", "team/best", raw=True, body={"version": "v1"})
    assert problem(refused, 400)["detail"].startswith("'team/best' is not an alias")
