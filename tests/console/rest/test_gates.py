from __future__ import annotations

from typing import Any

import pytest
from flyteidl.core import types_pb2

from audit.models import AuditEvent
from scheduler.models import Gate, GateKind
from scheduler.phases import ExecutionPhase
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import START, make_execution, make_gate
from tests.console.rpc import programs
from tests.flyte import register_all

URL = "/api/v1/gates"
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER).SerializeToString()


def test_it_lists_what_waits(api: Caller, django_assert_num_queries: Any) -> None:
    make_gate(make_execution("e1"), "first")
    make_gate(make_execution("e2"), "early", waiting_since=None)
    make_gate(make_execution("e3"), "nap", kind=GateKind.SLEEP)
    make_gate(make_execution("e4"), "done", decided_at=START, decided_by="abe")
    make_gate(make_execution("e5", phase=ExecutionPhase.ABORTED), "late")
    make_gate(make_execution("e6", "elsewhere"), "foreign")
    client = api("vic")

    def signals(query: str = "") -> set[str]:
        return {each["signal_id"] for each in client.get(URL + query).json()["results"]}

    assert signals() == {"first"}
    assert signals("?state=decided") == {"done"}
    assert signals("?state=all") == {"first", "early", "nap", "done", "late"}
    assert signals("?state=all&kind=sleep") == {"nap"}
    assert signals("?execution=e2") == set()
    problem(client.get(f"{URL}?state=open"), 400)
    with django_assert_num_queries(4):  # token, bindings, rows
        client.get(URL)


@pytest.mark.parametrize(("approve", "verb"), [(True, "gate.approve"), (False, "gate.reject")])
def test_an_approver_decides_once(api: Caller, approve: bool, verb: str) -> None:
    gate = make_gate(make_execution())
    client = api("abe")
    decided = client.post(f"{URL}/{gate.pk}/decide", {"approve": approve, "comment": "looks right"})
    assert decided.status_code == 200, decided.content
    found = decided.json()
    assert (found["value"], found["decided_by"], found["comment"]) == (approve, "abe", "looks right")
    assert AuditEvent.objects.get(verb=verb).subject == "demo/development/e1/ok"
    problem(client.post(f"{URL}/{gate.pk}/decide", {"approve": not approve}), 409)


def test_others_do_not_decide(api: Caller) -> None:
    gate = make_gate(make_execution())
    for name, status in {"vic": 403, "ann": 403, "sue": 404}.items():
        problem(api(name).post(f"{URL}/{gate.pk}/decide", {"approve": True}), status)
    problem(api("sue").get(f"{URL}/{gate.pk}"), 404)
    problem(api("abe").get(f"{URL}/99999999999999999999"), 404)
    gate.refresh_from_db()
    assert gate.decided_at is None


@pytest.mark.parametrize("body", [{}, {"approve": "perhaps"}, {"approve": None}, {"approve": True, "x": 1}])
def test_it_explains_a_bad_decision(api: Caller, body: dict[str, Any]) -> None:
    gate = make_gate(make_execution())
    problem(api("abe").post(f"{URL}/{gate.pk}/decide", body), 400)


def test_a_contributor_sets_a_signal(api: Caller) -> None:
    gate = make_gate(make_execution(), "limit", kind=GateKind.SIGNAL, literal_type=INTEGER)
    client = api("ann")
    wrong = problem(client.post(f"{URL}/{gate.pk}/signal", {"value": "many"}), 400)
    assert "limit" in wrong["detail"] and "int" in wrong["detail"]
    problem(client.post(f"{URL}/{gate.pk}/signal", {}), 400)
    assert client.post(f"{URL}/{gate.pk}/signal", {"value": 5}).json()["value"] == 5
    problem(client.post(f"{URL}/{gate.pk}/signal", {"value": 6}), 409)


def test_it_tells_approvals_from_signals(api: Caller) -> None:
    execution = make_execution()
    approval = make_gate(execution)
    signal = make_gate(execution, "limit", kind=GateKind.SIGNAL, literal_type=INTEGER)
    problem(api("abe").post(f"{URL}/{approval.pk}/signal", {"value": True}), 400)
    assert api("abe").post(f"{URL}/{signal.pk}/decide", {"approve": True}).status_code in (400, 409)


def test_a_signal_is_set_by_name_before_its_node_is_reached(api: Caller, django_assert_num_queries: Any) -> None:
    register_all(programs.gated)
    client = api("ann")
    body = {
        "project": "demo",
        "domain": "development",
        "workflow": {"name": programs.gated.name},
        "name": "early",
        "inputs": {"number": 1},
    }
    assert client.post("/api/v1/executions", body).status_code == 201
    url = "/api/v1/executions/demo/development/early/signals/"
    assert client.get(url.rstrip("/")).json()["results"] == [
        {"signal_id": "extra", "kind": "signal", "type": "int"},
        {"signal_id": "release", "kind": "approve", "type": "bool"},
    ]
    problem(api("sue").get(url.rstrip("/")), 404)
    assert "extra" in problem(client.post(f"{url}none", {"value": 3}), 400)["detail"]
    assert "int" in problem(client.post(f"{url}extra", {"value": "three"}), 400)["detail"]
    assert not Gate.objects.exists()  # what was refused left nothing behind
    problem(client.post(f"{url}release", {"value": True}), 403)
    early = api("abe").post(f"{url}release", {"value": True})
    assert (early.json()["decided_by"], early.json()["kind"]) == ("abe", "approve")
    problem(api("vic").post(f"{url}extra", {"value": 3}), 403)
    problem(api("sue").post(f"{url}extra", {"value": 3}), 404)
    given = client.post(f"{url}extra", {"value": 3})
    assert given.status_code == 200, given.content
    assert (given.json()["value"], given.json()["node_id"]) == (3, None)
    problem(client.post(f"{url}extra", {"value": 4}), 409)
    with django_assert_num_queries(5):  # token, bindings, execution, gates, dynamic nodes
        assert client.get(url.rstrip("/")).json()["results"] == []
    assert AuditEvent.objects.get(verb="gate.signal").subject == "demo/development/early/extra"


def test_a_signal_nobody_asked_for_yet_is_declared_with_its_type(api: Caller) -> None:
    execution = make_execution()
    url = f"/api/v1/executions/{execution.key}/signals/"
    problem(api("ann").post(f"{url}many", {"value": "three", "type": "int"}), 400)
    problem(api("ann").post(f"{url}many", {"value": 3, "type": "integer"}), 400)
    problem(api("ann").post(f"{url}go", {"value": True, "type": "bool"}), 403)  # it may turn out to be an approval
    assert not Gate.objects.exists()
    assert api("ann").post(f"{url}many", {"value": 3, "type": "int"}).json()["value"] == 3
    assert api("abe").post(f"{url}go", {"value": True, "type": "bool"}).json()["decided_by"] == "abe"
