"""Checks, policies, approvals, quarantine and happenings over REST."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from artifacts.models import Alias, AliasMove, CheckResult, Happening
from console.accounts import tokens
from console.accounts.models import Role, RoleBinding, User
from scheduler import task_tokens
from tests.artifacts.governance.making import settle
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import make_attempt, make_execution, make_node
from tests.console.rest.test_artifacts import MODEL, publish

CHECK, POLICY, ALIAS = f"{MODEL}/checks/good", f"{MODEL}/aliases/champion/policy", f"{MODEL}/aliases/champion"
GOOD = {"kind": "metric", "parameters": {"metric": "auc", "at_least": 0.8}}


def model(client: Any, version: str, auc: float) -> Any:
    return publish(client, MODEL, version=version, kind="model", metrics={"auc": auc})


@pytest.fixture
def governed(api: Caller) -> Any:
    """A check and a policy, set by the admin ada; v1 is good, v2 is not.."""
    ada = api("ada")
    model(ada, "v1", 0.9)
    assert ada.put(CHECK, GOOD).status_code == 200
    assert ada.put(POLICY, {"rules": {"checks": ["good"]}}).status_code == 200
    model(ada, "v2", 0.5)
    return ada


def test_checks_are_set_listed_and_removed(api: Caller) -> None:
    ada, vic = api("ada"), api("vic")
    model(ada, "v1", 0.9)
    found = ada.put(CHECK, {**GOOD, "severity": "warn"}).json()
    assert (found["name"], found["parameters"], found["severity"]) == ("good", GOOD["parameters"], "warn")
    assert vic.get(f"{MODEL}/checks").json() == [found]
    assert vic.get(CHECK).json() == found
    [result] = vic.get(f"{MODEL}/versions/v1/checks").json()
    assert (result["status"], result["numbers"]) == ("passed", {"value": 0.9, "at_least": 0.8})
    problem(vic.put(CHECK, GOOD), 403)
    problem(vic.delete(CHECK), 403)
    assert ada.delete(CHECK).status_code == 204
    problem(ada.delete(CHECK), 404)
    problem(vic.get(CHECK), 404)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"kind": "metric", "parameters": {"metric": "auc", "at_least": "high"}}, "must be a finite number"),
        ({"kind": "guess"}, "kinds: metric, comparison"),
        ({"kind": "metric", "parameters": 3}, "must be an object"),
        ({"kind": "reported", "severity": "loud"}, "severity"),
        ({"kind": "reported", "thresholds": 1}, "unknown"),
    ],
)
def test_it_refuses_checks_with_what_is_allowed(api: Caller, body: dict[str, Any], said: str) -> None:
    ada = api("ada")
    model(ada, "v1", 0.9)
    response = ada.put(CHECK, body)
    problem(response, 400)
    assert said in response.content.decode()


def test_a_refused_move_says_which_clause_with_which_numbers(governed: Any) -> None:
    assert governed.put(ALIAS, {"version": "v1"}).status_code == 200
    refused = governed.put(ALIAS, {"version": "v2"})
    problem(refused, 409)
    assert "check good failed: auc is 0.5, at least 0.8 is asked" in refused.json()["detail"]
    assert Alias.objects.get().version.version == "v1"
    problem(governed.put(ALIAS, {"version": "v2", "force": True}), 400)
    assert governed.put(ALIAS, {"version": "v2", "force": True, "reason": "a demo"}).status_code == 200
    moves = governed.get(f"{ALIAS}/moves").json()["results"]
    assert [(move["to_version"], move["forced"]) for move in moves] == [("v2", True), ("v1", False)]
    assert moves[1]["evidence"]["clauses"][0]["numbers"]["value"] == 0.9
    now = governed.get(POLICY).json()
    assert (now["version"], now["clauses"][0]["holds"]) == ("v2", False)


def test_an_approver_may_move_and_not_force(api: Caller, governed: Any) -> None:
    abe = api("abe")
    assert abe.put(ALIAS, {"version": "v1"}).status_code == 200
    problem(abe.put(ALIAS, {"version": "v2", "force": True, "reason": "mine"}), 403)
    problem(abe.put(POLICY, {"rules": {}}), 403)
    governed.put(POLICY, {"rules": {"checks": ["good"], "role": "admin"}})
    model(governed, "v3", 0.95)
    problem(abe.put(ALIAS, {"version": "v3"}), 409)
    problem(abe.delete(ALIAS), 409)
    assert AliasMove.objects.count() == 1


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"checks": ["best"]}, "the artifact has no check best; its checks: good"),
        ({"approvals": "two"}, "'approvals' must be a whole number"),
        ({"approvals": 2, "approvers": ["abe"]}, "a quorum cannot be larger than its group"),
        ("champion", "must be an object"),
    ],
)
def test_it_refuses_policies_with_what_is_allowed(governed: Any, rules: Any, said: str) -> None:
    response = governed.put(POLICY, {"rules": rules})
    problem(response, 400)
    assert said in response.json()["detail"]
    assert governed.get(POLICY).json()["rules"]["checks"] == ["good"]


def test_approvals_over_rest(api: Caller, governed: Any) -> None:
    governed.put(POLICY, {"rules": {"checks": ["good"], "approvals": 1}})
    asked = {"version": "v1", "approve": True, "comment": "fine"}
    problem(governed.post(f"{ALIAS}/approvals", asked), 403)  # ada published it
    problem(api("vic").post(f"{ALIAS}/approvals", asked), 403)
    problem(governed.put(ALIAS, {"version": "v1"}), 409)
    problem(api("abe").post(f"{ALIAS}/approvals", {**asked, "digest": "0" * 64}), 409)
    shown = api("vic").get(f"{ALIAS}/approvals?version=v1").json()
    assert [one["name"] for one in shown["clauses"]] == ["check:good", "approvals"]
    told = {**asked, "digest": shown["digest"]}
    assert api("abe").post(f"{ALIAS}/approvals", told).json()["kind"] == "version.approved"
    assert governed.put(ALIAS, {"version": "v1"}).status_code == 200


def test_a_person_approves_not_his_tokens_for_less_nor_programs(cast: dict[str, User], governed: Any) -> None:
    governed.put(POLICY, {"rules": {"checks": ["good"], "approvals": 1, "approvers": ["abe", "robot"]}})
    robot = User.objects.create(username="robot", service_of="demo")
    RoleBinding.objects.create(user=robot, project="demo", role=Role.APPROVER)
    attempt = make_attempt(make_node(make_execution(principal="abe")))
    _, for_less = tokens.create(cast["abe"], "less", scopes=["read"])
    for secret in (for_less, tokens.create(robot, "robot")[1], task_tokens.issue(attempt.pk)):
        client = APIClient(headers={"Authorization": f"Bearer {secret}"})
        problem(client.post(f"{ALIAS}/approvals", {"version": "v1", "approve": True}, format="json"), 403)
    assert not Happening.objects.filter(kind="version.approved").exists()


def test_a_report_of_the_champion_takes_it_back(governed: Any) -> None:
    governed.put(POLICY, {"rules": {"checks": ["good"], "fall_back": True}})
    model(governed, "v3", 0.95)
    governed.put(ALIAS, {"version": "v3"})
    said = governed.put(f"{MODEL}/versions/v3/checks/good", {"value": 0.6, "message": "this week"}).json()
    assert (said["status"], said["actor"]) == ("failed", "ada")
    settle()
    assert Alias.objects.get().version.version == "v1"
    rows = governed.get("/api/v1/happenings?kind=alias.fallen_back").json()["results"]
    assert [row["name"] for row in rows] == ["champion"]
    assert Happening.objects.get(pk=rows[0]["cause"]).kind == "check.failed"
    found = governed.get(f"{MODEL}/versions/v3").json()
    assert found["quarantined_at"] is not None
    problem(governed.put(f"{MODEL}/versions/v3/checks/good", {"passed": True}), 400)


def test_quarantine_and_resolve(api: Caller, governed: Any) -> None:
    where = f"{MODEL}/versions/v2/quarantine"
    problem(api("vic").put(where, {"reason": "x"}), 403)
    problem(governed.put(where, {}), 400)
    assert governed.get(f"{MODEL}/resolve").json()["version"]["version"] == "v2"
    assert governed.get(f"{MODEL}/resolve?checks=passed").json()["version"]["version"] == "v1"
    assert governed.put(where, {"reason": "wrong labels"}).status_code == 204
    assert governed.get(f"{MODEL}/resolve").json()["version"]["version"] == "v1"
    assert governed.get(f"{MODEL}/resolve?quarantined=true").json()["version"]["version"] == "v2"
    assert governed.delete(f"{where}?reason=right").status_code == 204
    problem(governed.get(f"{MODEL}/resolve?checks=some"), 400)


def test_happenings_are_for_those_who_may_read_there(api: Caller, governed: Any) -> None:
    mine = api("vic").get("/api/v1/happenings?kind=check.failed").json()["results"]
    assert [row["subject"].rpartition("@")[2] for row in mine] == ["v2"]
    assert api("sue").get("/api/v1/happenings").json()["results"] == []
    problem(governed.get("/api/v1/happenings?kind=check.wondered"), 400)
    assert governed.get("/api/v1/happenings?unfinished=true").json()["results"] == []
    Happening.objects.filter(pk=mine[0]["id"]).update(undone=["fall_back"], tries=6)
    [row] = governed.get("/api/v1/happenings?unfinished=true").json()["results"]
    assert (row["undone"], row["retry_at"], row["tries"]) == (["fall_back"], None, 6)
    assert CheckResult.objects.count() == 2


def test_an_alias_is_kept_per_region(api: Caller) -> None:
    ada, vic = api("ada"), api("vic")
    for version, region in (("s1", "SEA"), ("l1", "LAX"), ("s2", "SEA")):
        publish(ada, MODEL, version=version, kind="model", metrics={"auc": 0.9}, partitions={"region": region})
    assert ada.put(CHECK, GOOD).status_code == 200
    problem(ada.put(POLICY, {"rules": {"checks": ["good"], "per": ["zone"]}}), 400)
    assert ada.put(POLICY, {"rules": {"checks": ["good"], "per": ["region"]}}).status_code == 200
    moved = [ada.put(ALIAS, {"version": version}) for version in ("s1", "l1", "s2")]
    assert [one.json()["partitions"]["region"] for one in moved] == ["SEA", "LAX", "SEA"]
    found = [(one["partitions"]["region"], one["version"]) for one in vic.get(MODEL).json()["aliases"]]
    assert found == [("LAX", "l1"), ("SEA", "s2")]
    policy = vic.get(POLICY).json()
    assert (policy["version"], policy["clauses"]) == (None, [])
    assert [(one["version"], one["clauses"][0]["holds"]) for one in policy["pointers"]] == [("s2", True), ("l1", True)]
    for address in ("/resolve?alias=champion&partition.region=LAX", "/versions/champion%3Fregion=LAX"):
        answer = vic.get(f"{MODEL}{address}").json()["version"]
        assert (answer if isinstance(answer, str) else answer["version"]) == "l1"
    assert "kept per region" in problem(vic.get(f"{MODEL}/resolve?alias=champion"), 404)["detail"]
    assert "kept per region" in problem(vic.get(f"{MODEL}/versions/champion"), 400)["detail"]
    moves = vic.get(f"{ALIAS}/moves?partition.region=SEA").json()["results"]
    assert [(move["from_version"], move["to_version"]) for move in moves] == [("s1", "s2"), (None, "s1")]
    assert len(vic.get(f"{ALIAS}/moves").json()["results"]) == 3
    first = vic.get(f"{ALIAS}/moves?partition.region=SEA&limit=1").json()
    assert [first["results"], vic.get(first["next"]).json()["results"]] == [[move] for move in moves]
    problem(vic.get(f"{ALIAS}/moves?partition.zone=1"), 400)
    problem(ada.delete(ALIAS), 400)
    problem(ada.delete(f"{ALIAS}?partition.region=NYC"), 404)
    problem(ada.put(POLICY, {"rules": {"checks": ["good"]}}), 409)
    problem(ada.delete(POLICY), 409)
    assert ada.delete(f"{ALIAS}?partition.region=LAX").status_code == 204
    assert ada.put(POLICY, {"rules": {"checks": ["good"]}}).json()["version"] == "s2"
    assert vic.get(f"{MODEL}/versions/champion").json()["version"] == "s2"
