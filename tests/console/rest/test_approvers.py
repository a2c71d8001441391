"""Who decides, over REST: rules, groups, delegations, the evidence of a decision; and promotions."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from artifacts.models import Kind
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import ApprovalRule, Decision, Delegation, Promotion
from tests.console.pages.cast import make_version
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import make_execution, make_gate

RULES, DELEGATIONS = "/api/v1/approval-rules", "/api/v1/delegations"


def rule(api: Caller, **over: Any) -> Any:
    body = {"project": "demo", "signal_id": "ok", "people": ["vic", "abe"], "quorum": 2, **over}
    return api("ada").put(RULES, body)


def test_an_admin_sets_rules_and_others_read_them(api: Caller) -> None:
    assert rule(api).status_code == 200
    problem(api("abe").put(RULES, {"project": "demo", "people": ["abe"]}), 403)
    problem(api("sue").put(RULES, {"project": "demo", "people": ["abe"]}), 404)
    assert [one["quorum"] for one in api("vic").get(RULES).json()["results"]] == [2]
    assert api("sue").get(RULES).json()["results"] == []
    found = ApprovalRule.objects.get()
    problem(api("sue").get(f"{RULES}/{found.pk}"), 404)
    problem(api("vic").delete(f"{RULES}/{found.pk}"), 403)
    assert api("ada").delete(f"{RULES}/{found.pk}").status_code == 204


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"quorum": 3}, "quorum: 3 is more than may decide, who are 2 (abe, vic); at most 2 is allowed"),
        ({"people": ["nobody"]}, "no active user 'nobody'"),
        ({"people": [], "groups": ["board"]}, "there is no group 'board'"),
        ({"escalate_hours": 1}, "go together"),
        ({"escalate_hours": 1e300, "escalate_to": ["abe"]}, "at most 366 days"),
        ({"quorum": 0}, "at least 1"),
    ],
)
def test_a_rule_that_nobody_could_fulfil_is_refused(api: Caller, over: dict[str, Any], said: str) -> None:
    assert said in problem(rule(api, **over), 400)["detail"]
    assert not ApprovalRule.objects.exists()


def test_groups_are_made_used_and_not_removed_while_used(api: Caller) -> None:
    path = "/api/v1/approver-groups/demo/board"
    problem(api("abe").put(path, {"members": ["abe"]}), 403)
    assert api("ada").put(path, {"members": ["abe", "vic", "abe"]}).json()["members"] == ["abe", "vic"]
    rule(api, people=[], groups=["board"])
    problem(api("ada").delete(path), 409)
    assert "needs 2 people" in problem(api("ada").put(path, {"members": ["abe"]}), 400)["detail"]
    problem(api("sue").get(path), 404)


def test_people_let_others_decide_for_them_but_not_in_a_circle(api: Caller) -> None:
    ends = (timezone.now() + timedelta(days=2)).isoformat()
    body = {"to": "vic", "project": "demo", "ends_at": ends}
    made = api("abe").post(DELEGATIONS, body)
    assert made.status_code == 201, made.content
    assert "vic -> abe -> vic" in problem(api("vic").post(DELEGATIONS, body | {"to": "abe"}), 400)["detail"]
    problem(api("ann").post(DELEGATIONS, body | {"giver": "abe"}), 403)
    for project in ("elsewhere", "nowhere"):  # which of them there is, is not told
        refused = problem(api("ann").post(DELEGATIONS, body | {"project": project}), 404)
        assert refused["detail"] == f"no project {project}"
    problem(api("abe").post(DELEGATIONS, {"to": "vic"}), 400)  # without an end
    assert len(api("vic").get(DELEGATIONS).json()["results"]) == 1
    assert api("ann").get(DELEGATIONS).json()["results"] == []
    one = f"{DELEGATIONS}/{made.json()['id']}"
    problem(api("ann").delete(one), 404)
    assert api("ada").delete(one).status_code == 204
    assert Delegation.objects.get().revoked_at is not None


def test_two_decide_and_the_evidence_holds_both(api: Caller) -> None:
    rule(api)
    gate = make_gate(make_execution(principal="ann"))
    path = f"/api/v1/gates/{gate.pk}"
    problem(api("ann").post(f"{path}/decide", {"approve": True}), 403)
    problem(api("ada").post(f"{path}/decide", {"approve": True}), 403)  # an admin, but not among those named
    seen = api("vic").get(path).json()
    assert seen["rule"]["quorum"] == 2 and seen["digest"]
    problem(api("vic").get(f"{path}/evidence"), 404)
    first = api("vic").post(f"{path}/decide", {"approve": True, "digest": seen["digest"]}).json()
    assert first["decided_at"] is None and [vote["actor"] for vote in first["votes"]] == ["vic"]
    problem(api("abe").post(f"{path}/decide", {"approve": True, "digest": "0" * 64}), 409)
    assert api("abe").post(f"{path}/decide", {"approve": True}).json()["decided_at"]

    document = api("vic").get(f"{path}/evidence").json()
    assert [vote["actor"] for vote in document["votes"]] == ["vic", "abe"]
    verify = "/api/v1/evidence/verify"
    assert api("ann").post(verify, document).json() == {
        "valid": True,
        "decision": Decision.objects.get().pk,
        "voided_at": None,
    }
    problem(api("sue").get(f"{path}/evidence"), 404)
    problem(api("sue").post(verify, document), 404)


def _other_vote(document: dict[str, Any]) -> None:
    document["votes"][0]["actor"] = "sue"


def _other_key(document: dict[str, Any]) -> None:
    document["key"]["id"] = "0" * 16


def _no_signature(document: dict[str, Any]) -> None:
    del document["signature"]


def _other_format(document: dict[str, Any]) -> None:
    document["format"] = "mine"


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (_other_vote, "the signature does not fit"),
        (_no_signature, "the signature does not fit"),
        (_other_key, "none of this Causeway's"),
        (_other_format, "this is no evidence"),
    ],
)
def test_forged_evidence_is_refused(api: Caller, forge: Any, said: str) -> None:
    gate = make_gate(make_execution())
    api("abe").post(f"/api/v1/gates/{gate.pk}/decide", {"approve": True})
    document = copy.deepcopy(api("abe").get(f"/api/v1/gates/{gate.pk}/evidence").json())
    forge(document)
    assert said in problem(api("abe").post("/api/v1/evidence/verify", document), 400)["detail"]


def test_a_version_is_promoted_and_found_from_both_sides(api: Caller, cast: dict[str, User]) -> None:
    RoleBinding.objects.create(user=cast["vic"], role=Role.CONTRIBUTOR, project="demo", domain="production")
    source = make_version("weights", Kind.MODEL)
    path = f"/api/v1/artifact-versions/{source.pk}/promote"
    problem(api("vic").post(path, {"domain": "production"}), 403)
    problem(api("sue").post(path, {"project": "elsewhere", "domain": "production"}), 404)
    problem(api("abe").post(path, {"project": "elsewhere", "domain": "production"}), 404)
    problem(api("abe").post(path, {"domain": "nowhere"}), 400)
    done = api("abe").post(path, {"domain": "production", "alias": "champion", "reason": "good"}).json()
    assert done["state"] == "promoted" and done["target"]["domain"] == "production"
    there = api("vic").get("/api/v1/artifacts/demo/production/weights/versions/champion").json()
    assert there["version"] == source.version and there["uri"] == source.uri
    for pk in (source.pk, there["id"]):
        assert len(api("vic").get(f"/api/v1/promotions?version={pk}").json()["results"]) == 1
    here = api("vic").get(f"/api/v1/artifacts/demo/development/weights/versions/{source.version}/lineage").json()
    assert [one["domain"] for one in here["republished"]] == ["production"]
    back = api("vic").get(f"/api/v1/artifact-versions/{there['id']}/lineage?direction=upstream").json()
    assert str(source.pk) in str(back)


def test_a_promotion_waits_for_the_approvals_of_its_rule(api: Caller) -> None:
    rule(api, signal_id="promote", domain="production", people=["abe"], quorum=1)
    source = make_version("weights", Kind.MODEL, created_by="ann")
    asked = api("ann").post(f"/api/v1/artifact-versions/{source.pk}/promote", {"domain": "production"}).json()
    assert asked["state"] == "requested" and asked["rule"]["people"] == ["abe"]
    path = f"/api/v1/promotions/{asked['id']}"
    problem(api("ann").post(f"{path}/decide", {"approve": True}), 403)
    problem(api("abe").post(f"{path}/decide", {"approve": False}), 400)
    assert api("abe").post(f"{path}/decide", {"approve": True}).json()["state"] == "promoted"
    assert Promotion.objects.get().target is not None
    document = api("abe").get(f"{path}/evidence").json()
    assert document["promotion"]["requested_by"] == "ann" and document["votes"][0]["actor"] == "abe"
    assert api("abe").post("/api/v1/evidence/verify", document).json()["valid"]


def test_evidence_of_what_somebody_may_not_read_is_not_for_him(api: Caller, cast: dict[str, User]) -> None:
    RoleBinding.objects.create(user=cast["ann"], role=Role.CONTRIBUTOR, project="elsewhere")
    assert (
        api("root").put(RULES, {"project": "elsewhere", "signal_id": "promote", "people": ["sue"]}).status_code == 200
    )
    source = make_version("weights", Kind.MODEL, created_by="ada")
    body = {"project": "elsewhere", "domain": "production", "alias": "champion"}
    asked = api("ann").post(f"/api/v1/artifact-versions/{source.pk}/promote", body).json()
    path = f"/api/v1/promotions/{asked['id']}"
    assert api("sue").post(f"{path}/decide", {"approve": True}).json()["state"] == "promoted"
    assert api("sue").get(path).json()["source"] is None
    refused = problem(api("sue").get(f"{path}/evidence"), 403)
    assert "demo" not in problem(api("sue").post(f"{path}/decide", {"approve": True}), 409)["detail"]
    moves = api("sue").get("/api/v1/artifacts/elsewhere/production/weights/aliases/champion/moves").json()["results"]
    assert "demo" not in refused["detail"] and "demo" not in str(moves)
    assert api("ann").get(f"{path}/evidence").json()["promotion"]["source"] == str(source)
