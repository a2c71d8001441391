"""Pages of who decides, of promotions, service levels, holds, erasing, and of why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.actions.aliases import move_alias
from artifacts.models import ArtifactVersion, Erasure, Hold
from artifacts.store import store
from console.accounts.models import Role, RoleBinding, User
from scheduler.actions.levels import set_level
from scheduler.levels.look import look_at
from scheduler.models import (
    ApprovalRule,
    Decision,
    Delegation,
    NodeExecution,
    Promotion,
    ServiceLevel,
    TriggerFiring,
)
from scheduler.reasons import why_execution, why_version
from tests.console.pages.cast import World, user

Browse = Callable[[User], Client]


@pytest.fixture
def approver(world: World) -> User:
    return user("abe", role=Role.APPROVER)


def everything(project: str, domain: str) -> bool:
    return True


def test_an_admin_sets_who_decides_and_takes_it_back(world: World, browse: Browse, approver: User) -> None:
    client = browse(world.admin)
    client.post("/approvers/groups/set/", {"project": "demo", "name": "board", "members": "abe, viewer"})
    form = {"project": "demo", "signal_id": "approve_model", "groups": "board", "quorum": "2", "rejections": "1"}
    client.post("/approvers/rules/set/", {**form, "quorum": "3"})
    assert not ApprovalRule.objects.exists()
    client.post("/approvers/rules/set/", form)
    assert "board" in (text := client.get("/approvers/").content.decode()) and "2 approve" in text
    assert browse(world.viewer).post("/approvers/rules/set/", form).status_code == 403
    assert browse(world.outsider).post("/approvers/rules/set/", form).status_code == 404
    assert "board" not in browse(world.outsider).get("/approvers/").content.decode()
    client.post(f"/approvers/rules/{ApprovalRule.objects.get().pk}/remove/")
    client.post("/approvers/groups/demo/board/remove/")
    assert not ApprovalRule.objects.exists()


def test_two_of_a_group_decide_on_the_page(world: World, browse: Browse, approver: User) -> None:
    ApprovalRule.objects.create(
        project="demo", people=["abe", "viewer"], quorum=2, set_by="admin", set_at=timezone.now()
    )
    path = f"/approvals/{world.gate.pk}/"
    assert 'data-key="a"' not in browse(world.admin).get(path).content.decode()  # not among those named
    page = browse(approver).get(path)
    assert "2 of these have to approve: abe, viewer." in page.content.decode()
    told = {"decision": "approve", "digest": page.context["digest"]}
    browse(approver).post(f"{path}decide/", told)
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None
    assert "abe" in browse(world.viewer).get(path).content.decode()
    node = NodeExecution.objects.get(execution=world.evaluates, node_id="n0")
    store().put(node.deck_uri, b"another deck")
    browse(world.viewer).post(f"{path}decide/", told)  # he looked at the deck from before
    assert Decision.objects.count() == 0
    for who in (world.viewer, approver):
        browse(who).post(f"{path}decide/", {"decision": "approve"})
    world.gate.refresh_from_db()
    assert world.gate.decided_at is not None
    decision = Decision.objects.get()
    evidence = browse(world.viewer).get(f"/evidence/{decision.pk}/").content.decode()
    assert decision.digest in evidence and "deck of n0" in evidence
    assert browse(world.viewer).get(f"/evidence/{decision.pk}/evidence.json").json()["signature"]
    assert browse(world.outsider).get(f"/evidence/{decision.pk}/").status_code == 404


def test_an_approval_whose_deck_changed_says_so(world: World, browse: Browse, approver: User) -> None:
    path = f"/approvals/{world.gate.pk}/"
    browse(approver).post(f"{path}decide/", {"decision": "approve"})
    node = NodeExecution.objects.get(execution=world.evaluates, node_id="n0")
    store().put(node.deck_uri, b"another deck")
    assert "deck of n0 changed since" in browse(approver).get(path).content.decode()
    assert "voided" in browse(approver).get("/approvals/").content.decode()


def test_people_delegate_on_the_page(world: World, browse: Browse, approver: User) -> None:
    ends = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    browse(approver).post("/approvers/delegations/add/", {"to": "viewer", "ends_at": ends, "project": "demo"})
    held = Delegation.objects.get()
    assert "End it" in browse(world.viewer).get("/approvers/").content.decode()
    browse(world.viewer).post("/approvers/delegations/add/", {"to": "abe", "ends_at": ends, "project": "demo"})
    browse(world.viewer).post("/approvers/delegations/add/", {"to": "admin", "ends_at": "soon"})
    assert Delegation.objects.count() == 1
    assert browse(world.outsider).post(f"/approvers/delegations/{held.pk}/revoke/").status_code == 404
    browse(approver).post(f"/approvers/delegations/{held.pk}/revoke/")
    assert "End it" not in browse(world.viewer).get("/approvers/").content.decode()


def test_a_version_is_promoted_with_an_approval(world: World, browse: Browse, approver: User) -> None:
    ApprovalRule.objects.create(
        project="demo", signal_id="promote", people=["abe"], set_by="admin", set_at=timezone.now()
    )
    path = f"/artifacts/versions/{world.model.pk}/"
    assert browse(world.viewer).post(f"{path}promote/", {"domain": "production"}).status_code == 403
    browse(world.admin).post(f"{path}promote/", {"domain": "production", "alias": "champion", "reason": "good"})
    row = Promotion.objects.get()
    one = f"/promotions/{row.pk}/"
    assert "Decide" in browse(approver).get(one).content.decode()
    browse(approver).post(f"{one}decide/", {"decision": "reject"})
    browse(approver).post(f"{one}decide/", {"decision": "approve"})
    row.refresh_from_db()
    assert row.target is not None
    text = browse(approver).get(one).content.decode()
    assert f"/artifacts/versions/{row.target.pk}/" in text and "Evidence" in text
    assert row.name in browse(approver).get("/promotions/").content.decode()
    assert browse(world.outsider).get(one).status_code == 404
    assert "production" in browse(approver).get(f"{path}keep/").content.decode()


def test_a_version_is_held_released_and_erased(world: World, browse: Browse, approver: User) -> None:
    world.model.aliases.all().delete()
    path = f"/artifacts/versions/{world.model.pk}/"
    browse(approver).post(f"{path}hold/", {"kind": "pin", "reason": "keep"})
    assert browse(approver).post(f"{path}hold/", {"kind": "legal", "reason": "case"}).status_code == 403
    assert "keep" in browse(world.viewer).get(f"{path}keep/").content.decode()
    client = browse(world.admin)
    assert "a pin of abe keeps it" in client.get(f"{path}erase/").content.decode()
    client.post(f"{path}erase/", {"reason": "gdpr", "version": world.model.version})
    assert not Erasure.objects.exists()
    client.post(f"{path}hold/{Hold.objects.get().pk}/", {})
    world.evaluates.__class__.objects.filter(ended_at=None).update(ended_at=timezone.now())
    client.post(f"{path}erase/", {"reason": "gdpr", "version": "another"})
    assert not Erasure.objects.exists()
    client.post(f"{path}erase/", {"reason": "gdpr", "version": world.model.version})
    assert Erasure.objects.get().erased == [world.model.pk]
    assert "erased by admin" in client.get(f"{path}keep/").content.decode()
    assert browse(approver).get(f"{path}erase/").status_code == 403


def test_service_levels_are_promised_and_looked_at(world: World, browse: Browse, approver: User) -> None:
    client = browse(approver)
    form = {"project": "demo", "domain": "development", "kind": "fresh", "name": "ml-model", "hours": "1"}
    client.post("/service-levels/set/", {**form, "hours": "soon"})
    client.post("/service-levels/set/", {**form, "kind": "never"})
    assert browse(world.viewer).post("/service-levels/set/", form).status_code == 403
    client.post("/service-levels/set/", form)
    row = ServiceLevel.objects.get()
    look_at(row.pk, now=timezone.now() + timedelta(hours=3))
    assert "breached" in client.get("/service-levels/").content.decode()
    assert "not kept" in client.get(f"/service-levels/{row.pk}/").content.decode()
    assert browse(world.outsider).get(f"/service-levels/{row.pk}/").status_code == 404
    assert "Causeway itself" in browse(world.admin).get("/service-levels/").content.decode()
    client.post(f"/service-levels/{row.pk}/remove/")
    assert "ml-model" not in client.get("/service-levels/").content.decode()
    with pytest.raises(Exception, match="no time of day"):
        set_level(
            project="demo", domain="development", kind=ServiceLevel.Kind.NEW_BY, name="ml-model", time="7", actor="x"
        )


def test_why_tells_every_decision_in_order_with_its_proof(world: World, browse: Browse, approver: User) -> None:
    move_alias(world.model, "production", actor="abe", reason="it is better")
    browse(approver).post(f"/approvals/{world.gate.pk}/decide/", {"decision": "approve", "comment": "fine"})
    why = why_version(world.model, may_read=everything)
    told = [step.verb for step in why.steps]
    for verb in ("version.publish", "execution.launch", "trigger.fire", "alias.moved"):
        assert verb in told, told
    assert [step.at for step in why.steps] == sorted(step.at for step in why.steps)
    assert {step.is_automatic for step in why.steps if step.verb == "trigger.fire"} == {True}
    for step in why.steps:
        assert step.table and step.row
    run = why_execution(world.evaluates, may_read=everything)
    assert {"gate.approve", "gate.vote", "version.publish", "trigger.fire"} <= {step.verb for step in run.steps}
    page = browse(world.viewer).get(f"/artifacts/versions/{world.model.pk}/why/").content.decode()
    assert "it is better" in page and "fired for demo/development/ml-dataset" in page
    text = browse(world.viewer).get(f"/executions/{world.evaluates.key}/why/").content.decode()
    assert "abe said yes to approve_model" in text and "/evidence/" in text


def test_why_tells_what_a_trigger_did_before_it_fired(world: World) -> None:
    firing = TriggerFiring.objects.get()
    at = (firing.at - timedelta(minutes=1)).isoformat()
    TriggerFiring.objects.update(history=[{"outcome": "skipped", "at": at, "reason": "paused by ann"}])
    steps = [step for step in why_version(world.model, may_read=everything).steps if step.table == "trigger_firing"]
    assert [(step.verb, step.reason) for step in steps] == [("trigger.skipped", "paused by ann"), ("trigger.fire", "")]
    assert steps[0].words.endswith("skipped demo/development/ml-dataset@" + firing.version.version)


def test_why_shows_nothing_of_where_one_may_not_read(world: World, browse: Browse) -> None:
    secret = ArtifactVersion.objects.get(pk=world.dataset.pk).artifact
    type(secret).objects.filter(pk=secret.pk).update(domain="staging", name="hidden-data")
    person = user("dev")
    RoleBinding.objects.create(user=person, project="demo", domain="development", role=Role.VIEWER)
    text = browse(person).get(f"/artifacts/versions/{world.model.pk}/why/").content.decode()
    assert "hidden-data" not in text and "something you may not read" in text and "more happened where" in text
    assert "hidden-data" in browse(world.viewer).get(f"/artifacts/versions/{world.model.pk}/why/").content.decode()
