from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils.html import escape
from flyteidl.core import literals_pb2, types_pb2

from audit.models import AuditEvent
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import Gate, GateKind
from tests.console.pages.cast import World
from tests.console.rpc.programs import gated
from tests.scheduler.driving import start, workflow_of

Browse = Callable[[User], Client]


def decide(client: Client, gate: Gate, decision: str, comment: str = "") -> str:
    data = {"decision": decision, "comment": comment}
    return client.post(f"/approvals/{gate.pk}/decide/", data, follow=True).content.decode()


def test_it_shows_what_is_reviewed_and_until_when(world: World, browse: Browse) -> None:
    text = browse(world.admin).get(f"/approvals/{world.gate.pk}/").content.decode()

    assert "ml-model" in text and "0.9737" in text
    assert "nodes/n0/deck/" in text and "Deck of examine" in text
    assert 'data-clock="until"' in text


def test_it_approves_once_with_comment_and_audit(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    assert "Approved" in decide(client, world.gate, "approve", "looks right")
    world.gate.refresh_from_db()
    assert world.gate.decided_by == "admin" and world.gate.comment == "looks right"
    event = AuditEvent.objects.get(verb="gate.approve")
    assert event.subject == "demo/development/aevaluates/approve_model" and event.project == "demo"

    assert "tone-bad" in decide(client, world.gate, "reject")
    assert not AuditEvent.objects.filter(verb="gate.reject").exists()


def test_it_rejects(world: World, browse: Browse) -> None:
    assert "Rejected" in decide(browse(world.admin), world.gate, "reject", "too few rows")
    assert AuditEvent.objects.get(verb="gate.reject").detail == {"comment": "too few rows"}


def test_it_wants_a_decision(world: World, browse: Browse) -> None:
    assert "choose Approve or Reject" in decide(browse(world.admin), world.gate, "perhaps")
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None


def test_it_forbids_a_viewer_and_hides_it_from_an_outsider(world: World, browse: Browse) -> None:
    path = f"/approvals/{world.gate.pk}/decide/"

    assert browse(world.viewer).post(path, {"decision": "approve"}).status_code == 403
    assert browse(world.outsider).post(path, {"decision": "approve"}).status_code == 404
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None


def test_an_approval_is_no_value_that_a_contributor_may_give(world: World, browse: Browse) -> None:
    RoleBinding.objects.create(user=world.viewer, role=Role.CONTRIBUTOR, project="demo")

    assert browse(world.viewer).post(f"/approvals/{world.gate.pk}/signal/", {"value": "true"}).status_code == 403
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None


@pytest.fixture
def signal(world: World) -> Gate:
    """The gate waits for a whole number instead."""
    integer = types_pb2.LiteralType(simple=types_pb2.INTEGER).SerializeToString()
    Gate.objects.filter(pk=world.gate.pk).update(kind=GateKind.SIGNAL, literal_type=integer, signal_id="rows")
    world.gate.refresh_from_db()
    RoleBinding.objects.create(user=world.viewer, role=Role.CONTRIBUTOR, project="demo")
    return world.gate


def test_a_contributor_gives_the_value_that_a_gate_waits_for(world: World, signal: Gate, browse: Browse) -> None:
    client, path = browse(world.viewer), f"/approvals/{signal.pk}/"
    assert "Give this value" in client.get(path).content.decode()

    given = client.post(f"{path}signal/", {"value": " 42 ", "comment": "counted"}, follow=True)

    assert given.redirect_chain == [(path, 302)]
    text = given.content.decode()
    assert "Value given" in text and "<code>42</code>" in text and "counted" in text
    signal.refresh_from_db()
    assert signal.value is not None
    assert literals_pb2.Literal.FromString(bytes(signal.value)).scalar.primitive.integer == 42
    event = AuditEvent.objects.get(verb="gate.signal")
    assert (event.actor, event.subject) == ("viewer", "demo/development/aevaluates/rows")
    again = client.post(f"{path}signal/", {"value": "43"}).content.decode()
    assert "was decided by viewer" in again and "<code>42</code>" in again


def test_a_value_of_another_type_is_refused_and_what_was_typed_stays(
    world: World, signal: Gate, browse: Browse
) -> None:
    data = {"value": "for<ty", "comment": 'a "guess"'}
    text = browse(world.viewer).post(f"/approvals/{signal.pk}/signal/", data).content.decode()

    assert "expects int: got str &#x27;for&lt;ty&#x27;" in text
    assert ">for&lt;ty</textarea>" in text and 'value="a &quot;guess&quot;"' in text
    signal.refresh_from_db()
    assert signal.decided_at is None and not AuditEvent.objects.filter(verb="gate.signal").exists()


def test_a_viewer_is_told_who_may_give_the_value(world: World, signal: Gate, browse: Browse) -> None:
    RoleBinding.objects.filter(user=world.viewer, role=Role.CONTRIBUTOR).delete()
    client = browse(world.viewer)

    assert "giving it a value needs the role contributor" in client.get(f"/approvals/{signal.pk}/").content.decode()
    assert client.post(f"/approvals/{signal.pk}/signal/", {"value": "1"}).status_code == 403


def test_a_signal_is_set_before_its_node_is_reached(world: World, browse: Browse) -> None:
    execution = start(workflow_of(gated), {"number": 1})
    page = f"/executions/{execution.key}/"
    client = browse(world.admin)

    assert "It will ask for" in client.get(page).content.decode()
    assert browse(world.viewer).post(f"{page}signals/extra/").status_code == 403
    assert "no signal" in client.post(f"{page}signals/none/").content.decode()
    assert not Gate.objects.filter(execution=execution).exists()
    response = client.post(f"{page}signals/extra/")
    gate = Gate.objects.get(execution=execution)
    assert response["Location"] == f"/approvals/{gate.pk}/"
    assert "Give this value" in client.get(f"/approvals/{gate.pk}/").content.decode()
    client.post(f"/approvals/{gate.pk}/signal/", {"value": "3"})
    gate.refresh_from_db()
    assert gate.decided_by == "admin" and gate.node is None
    shown = client.get(page).content.decode()
    assert "release" in shown and "extra" not in shown


def test_it_counts_what_waits_in_the_navigation_until_it_is_decided(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    assert "1 waiting" in client.get("/").content.decode()
    decide(client, world.gate, "approve")
    assert "1 waiting" not in client.get("/").content.decode()
    assert "approve_model" in client.get("/approvals/").content.decode()


def test_it_refuses_forms_without_a_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.admin)

    response = client.post(f"/approvals/{world.gate.pk}/decide/", {"decision": "approve"})

    assert response.status_code == 403 and b"too old" in response.content
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None


def wait_for(gate: Gate, literal_type: types_pb2.LiteralType) -> None:
    Gate.objects.filter(pk=gate.pk).update(literal_type=literal_type.SerializeToString())


def test_it_offers_the_two_answers_that_a_boolean_has(world: World, signal: Gate, browse: Browse) -> None:
    wait_for(signal, types_pb2.LiteralType(simple=types_pb2.BOOLEAN))

    text = browse(world.admin).get(f"/approvals/{signal.pk}/").content.decode()

    assert "<option>true</option><option>false</option>" in text and 'id="value"' in text


@pytest.mark.parametrize(
    ("literal_type", "example"),
    [
        (types_pb2.LiteralType(simple=types_pb2.DATETIME), "2026-01-31T09:00"),
        (types_pb2.LiteralType(simple=types_pb2.DURATION), "1h 30m"),
        (types_pb2.LiteralType(collection_type=types_pb2.LiteralType(simple=types_pb2.INTEGER)), "[1, 1]"),
        (types_pb2.LiteralType(map_value_type=types_pb2.LiteralType(simple=types_pb2.FLOAT)), '{"key": 1.5}'),
    ],
)
def test_it_shows_how_a_value_is_written_and_takes_it_so(
    world: World, signal: Gate, browse: Browse, literal_type: types_pb2.LiteralType, example: str
) -> None:
    wait_for(signal, literal_type)
    client = browse(world.admin)

    assert f'placeholder="{escape(example)}"' in client.get(f"/approvals/{signal.pk}/").content.decode()
    client.post(f"/approvals/{signal.pk}/signal/", {"value": example})
    signal.refresh_from_db()
    assert signal.decided_at is not None


def test_the_overview_counts_every_gate_that_waits(world: World, browse: Browse) -> None:
    gate = world.gate
    for number in range(9):
        gate.pk, gate.signal_id = None, f"more_{number}"
        gate.save()

    assert "<b>10</b><span>waiting for a decision</span>" in browse(world.admin).get("/").content.decode()


def test_what_was_typed_stays_when_what_waits_changed_meanwhile(world: World, browse: Browse) -> None:
    data = {"decision": "reject", "comment": "LAX has no rows of May", "digest": "of another version"}

    text = browse(world.admin).post(f"/approvals/{world.gate.pk}/decide/", data, follow=True).content.decode()

    assert "look at it again, then decide" in text and "LAX has no rows of May</textarea>" in text
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None
