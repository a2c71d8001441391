"""Champion and challengers over REST: rights, what is refused, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from artifacts.governance.checks import Wish as CheckWish
from artifacts.governance.checks import set_check
from artifacts.governance.pointers import set_alias_policy
from artifacts.models import AliasMove, ArtifactVersion
from console.accounts.models import RoleBinding, User
from scheduler.models import Contest, Execution
from tests.artifacts.governance.making import settle
from tests.console.rest.conftest import ROLES, Caller, problem
from tests.scheduler.contests.program import ON_RIDES, World, plan, rides, train_without

ALIASES = "/api/v1/artifacts/flytesnacks/development/demand/aliases"
CONTEST = f"{ALIASES}/champion/contest"


@pytest.fixture
def people(cast: dict[str, User]) -> None:
    for name, role in ROLES.items():
        RoleBinding.objects.create(user=cast[name], role=role, project="flytesnacks")


def body(**over: Any) -> dict[str, Any]:
    return {"dataset": "rides", "members": ["linear", "forest"], "metric": "auc", **over}


@pytest.mark.usefixtures("people")
def test_a_contest_is_set_shown_and_ended_by_who_may(api: Caller) -> None:
    plan("linear", trigger=ON_RIDES)
    plan("forest")
    plan("blind", train_without)
    problem(api("ann").put(CONTEST, body()), 403)
    problem(api("sue").put(CONTEST, body()), 404)
    problem(api("abe").get(CONTEST), 404)
    refused = problem(api("abe").put(CONTEST, body(members=["linear", "blind"])), 400)
    assert "blind does not take flytesnacks/development/rides" in refused["detail"]
    refused = problem(api("abe").put(CONTEST, body(members=["linear", "nobody"])), 404)
    assert "no launch plan nobody" in refused["detail"]
    problem(api("abe").put(CONTEST, body(dataset="elsewhere/development/rides")), 404)
    problem(api("abe").put(CONTEST, body(dataset="a/b")), 400)
    problem(api("abe").put(CONTEST, body(members="linear")), 400)
    problem(api("abe").put(CONTEST, body(metric="")), 400)
    problem(api("abe").put(CONTEST, body(colour="red")), 400)
    assert not Contest.objects.exists()
    made = api("abe").put(CONTEST, body()).json()
    assert (made["better"], made["out_of_step"], made["set_by"]) == ("more", {}, "abe")
    (row,) = api("vic").get("/api/v1/contests").json()["results"]
    assert row["members"] == ["linear", "forest"]
    assert api("sue").get("/api/v1/contests").json()["results"] == []
    assert api("vic").get(f"{CONTEST}/board").json()["rounds"] == []
    problem(api("ann").delete(CONTEST), 403)
    assert api("abe").delete(CONTEST).status_code == 204
    problem(api("vic").get(CONTEST), 404)


@pytest.mark.usefixtures("people")
def test_the_board_says_who_leads_and_a_challenger_is_made_champion_where_the_policy_lets_it(api: Caller) -> None:
    world = World()
    set_check(world.champion.artifact, CheckWish("good", "metric", {"metric": "auc", "at_least": 0.85}), actor="root")
    set_alias_policy(world.champion.artifact, "champion", {"checks": ["good"]}, actor="root")
    found = api("vic").get(f"{CONTEST}/board").json()
    assert found["champion"] == world.champion.version
    (one,) = found["rounds"]
    assert (one["winner"], one["complete"]) == ("linear", True)
    values = dict(ArtifactVersion.objects.filter(artifact__name="demand").values_list("version", "metrics"))
    for entry in one["entries"]:  # recomputed from the rows
        assert entry["value"] == values[entry["version"]]["auc"]
        assert entry["execution"] == ArtifactVersion.objects.get(pk=entry["version_id"]).execution_key
    assert one["entries"][1]["failing"] == ["check good failed: auc is 0.8, at least 0.85 is asked"]
    problem(api("vic").get(f"{CONTEST}/board?limit=0"), 400)
    crown = f"{CONTEST}/champion"
    problem(api("ann").put(crown, {"member": "forest"}), 403)
    problem(api("abe").put(crown, {}), 400)
    problem(api("abe").put(crown, {"member": "nobody"}), 404)
    refused = problem(api("abe").put(crown, {"member": "forest", "reason": "smaller"}), 409)
    assert "check good failed" in refused["detail"]
    problem(api("abe").put(crown, {"member": "forest", "reason": "smaller", "force": True}), 403)
    problem(api("ada").put(crown, {"member": "forest", "force": True}), 400)
    done = api("ada").put(crown, {"member": "forest", "reason": "smaller", "force": True}).json()
    assert done["version"] == world.challenger.version
    assert AliasMove.objects.latest("pk").forced
    assert api("abe").put(crown, {"version": world.champion.version}).status_code == 200


@pytest.mark.usefixtures("people")
def test_runs_beside_production_are_listed_and_marked_and_who_is_missing_catches_up(api: Caller) -> None:
    world = World()
    world.production(world.champion)
    (row,) = api("vic").get(f"{CONTEST}/shadows").json()["results"]
    run = Execution.objects.get(shadow=world.contest)
    assert (row["execution"], row["model_version"]) == (run.key, world.challenger.version)
    assert api("vic").get(f"/api/v1/executions/{run.key}").json()["shadow"] is True
    assert api("sue").get("/api/v1/contests").json()["results"] == []
    plan("late")
    api("abe").put(CONTEST, body(members=["linear", "late"]))
    catch = f"{CONTEST}/catch-up"
    problem(api("vic").post(catch, {}), 403)
    problem(api("ann").post(catch, {"version": "nothing"}), 404)
    assert api("ann").post(catch, {}).json() == {"members": ["late"]}
    assert api("ann").post(catch, {"version": world.data.version}).json() == {"members": []}
    settle()
    rides(2)
    assert [entry["standing"] for entry in api("vic").get(f"{CONTEST}/board").json()["rounds"][0]["entries"]] == [
        "running",
        "running",
    ]
