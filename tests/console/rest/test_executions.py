from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from flyteidl.core import literals_pb2

from artifacts.store import store
from audit.models import AuditEvent
from console import interfaces, sandbox
from scheduler.models import Execution
from scheduler.phases import AttemptPhase, ExecutionPhase, Machine, NodePhase
from tests.console.rest import program
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import make_attempt, make_event, make_execution, make_node, user_error
from tests.flyte import register_all

URL = "/api/v1/executions"
E1 = f"{URL}/demo/development/e1"


@pytest.fixture
def registered(db: None) -> None:
    register_all(program.calculate, program.greet, program.fixed)


def body(**over: Any) -> dict[str, Any]:
    workflow = {"name": program.calculate.name}
    return {"project": "demo", "domain": "development", "workflow": workflow, "inputs": {"x": 4}, **over}


def test_it_lists_what_i_may_read_newest_first(api: Caller, django_assert_num_queries: Any) -> None:
    for minutes, (name, project) in enumerate([("e1", "demo"), ("e2", "demo"), ("e3", "elsewhere")]):
        make_execution(name, project, minutes)
    assert [each["name"] for each in api("vic").get(URL).json()["results"]] == ["e2", "e1"]
    assert [each["name"] for each in api("root").get(URL).json()["results"]] == ["e3", "e2", "e1"]
    client = api("vic")
    client.get(URL)
    # token, bindings, rows; five for what unfinished ones do: children, attempts, waiting ones, gates, nodes
    with django_assert_num_queries(8):
        client.get(URL)


def test_it_filters_the_list(api: Caller) -> None:
    make_execution("e1", minutes=1)
    make_execution("e2", minutes=2, phase=ExecutionPhase.FAILED, principal="vic")
    make_execution("e3", minutes=3, archived=True)
    client = api("vic")
    for query, names in {
        "phase=failed": ["e2"],
        "principal=ann": ["e1"],
        "created_after=2026-05-17T12:02:00Z": ["e2"],
        "created_before=2026-05-17T12:02:00Z": ["e1"],
        "archived=true": ["e3"],
        "workflow=w&project=demo": ["e2", "e1"],
        "project=elsewhere": [],
        "limit=1": ["e2"],
        "q=phase:failed+-e1": ["e2"],
        "q=e1&principal=ann": ["e1"],
        "q=input.rate:0.1": [],
    }.items():
        assert [each["name"] for each in client.get(f"{URL}?{query}").json()["results"]] == names, query
    problem(client.get(f"{URL}?phase=FINE"), 400)
    problem(client.get(f"{URL}?q=input.rate>fast"), 400)
    problem(client.get(f"{URL}?created_after=yesterday"), 400)


def test_it_shows_one(api: Caller) -> None:
    execution = make_execution(phase=ExecutionPhase.FAILED, error=user_error("no such file"))
    make_node(execution, phase=NodePhase.FAILED)
    found = api("vic").get(E1).json()
    assert found["phase"] == "FAILED"
    assert found["error"] == {"code": "USER:ValueError", "message": "no such file", "kind": "USER", "uri": ""}
    assert found["node_phases"] == {"FAILED": 1}
    assert found["workflow"]["name"] == "w"
    assert found["url"].endswith(E1)


@pytest.mark.parametrize("suffix", ["", "/inputs", "/outputs", "/events", "/nodes", "/nodes/n0", "/nodes/n0/deck"])
def test_it_hides_foreign_executions(api: Caller, suffix: str) -> None:
    make_node(make_execution())
    problem(api("sue").get(E1 + suffix), 404)
    problem(api("root").get(E1.replace("e1", "e2") + suffix), 404)


@pytest.mark.parametrize("verb", ["abort", "archive", "relaunch", "recover"])
def test_it_lets_viewers_change_nothing(api: Caller, verb: str) -> None:
    make_execution()
    problem(api("vic").post(f"{E1}/{verb}"), 403)
    problem(api("sue").post(f"{E1}/{verb}"), 404)


def test_it_launches_a_workflow_by_name(api: Caller, registered: None) -> None:
    response = api("ann").post(URL, body(name="first", labels={"team": "x"}, env={"A": "b"}))
    assert response.status_code == 201, response.content
    found = response.json()
    assert (found["name"], found["principal"], found["phase"], found["mode"]) == ("first", "ann", "UNDEFINED", "MANUAL")
    assert response["Location"] == found["url"]
    inputs = api("vic").get(f"{URL}/demo/development/first/inputs").json()
    assert inputs == {"x": 4, "scale": 1.5, "names": ["a"]}
    assert api("vic").get(f"{URL}/demo/development/first/outputs").json() == {}
    assert AuditEvent.objects.filter(actor="ann", verb="execution.launch").count() == 1


@pytest.mark.parametrize(
    "target",
    [
        {"launch_plan": {"name": "calculate_fixed"}},
        {"launch_plan": {"name": "calculate_fixed", "version": "v1"}},
        {"task": {"name": program.double.name}},
    ],
)
def test_it_launches_launch_plans_and_tasks(api: Caller, registered: None, target: dict[str, Any]) -> None:
    request = body(**target)
    del request["workflow"]
    response = api("ann").post(URL, request)
    assert response.status_code == 201, response.content
    assert Execution.objects.get().name == response.json()["name"]


def test_it_launches_with_an_artifact_version(api: Caller, registered: None) -> None:
    client = api("ann")
    dataset = "/api/v1/artifacts/demo/development/dataset/versions"
    version = client.post(dataset, {"value": 21, "version": "v1", "partitions": {"region": "SEA"}}).json()
    references = [
        version["id"],
        "flyte://av0.1/demo/development/dataset@v1",
        "flyte://av0.1/demo/development/dataset?region=SEA",
        {"project": "demo", "domain": "development", "name": "dataset", "version": "latest"},
    ]
    for reference in references:
        response = client.post(URL, body(inputs={}, artifacts={"x": reference}))
        assert response.status_code == 201, response.content
        resolution = response.json()["resolution"]["x"]
        assert (resolution["version_id"], resolution["via"]) == (version["id"], "override")
    consumers = client.get(f"{dataset}/v1/lineage").json()["consumers"]
    assert len(consumers) == len(references)
    problem(client.post(URL, body(artifacts={"x": version["id"]})), 400)


def test_it_refuses_the_same_name_twice_and_says_where_the_first_is(api: Caller, registered: None) -> None:
    client = api("ann")
    first = client.post(URL, body(name="first")).json()
    refused = problem(client.post(URL, body(name="first")), 409)
    assert first["url"] in refused["detail"]
    assert refused["context"]["url"] == first["url"]
    assert Execution.objects.count() == 1


@pytest.mark.parametrize(
    ("over", "status", "said"),
    [
        ({"inputs": {}}, 400, "x"),
        ({"inputs": {"x": "four"}}, 400, "x"),
        ({"inputs": {"x": 4, "y": 5}}, 400, "y"),
        ({"inputs": []}, 400, "inputs"),
        ({"task": {"name": "t"}}, 400, "exactly one"),
        ({"workflow": {"name": "none"}}, 404, "none"),
        ({"workflow": {"name": program.calculate.name, "version": "v9"}}, 404, "v9"),
        ({"workflow": {"nmae": "x"}}, 400, "nmae"),
        ({"project": "elsewhere"}, 404, "elsewhere"),
        ({"domain": "nowhere"}, 404, "nowhere"),
        ({"name": "Not A Name"}, 400, "name"),
        ({"artifacts": {"x": [1]}, "inputs": {}}, 400, "artifacts.x"),
        ({"artifacts": {"x": "v1"}, "inputs": {}}, 400, "flyte://"),
        ({"artifacts": {"x": "flyte://av0.1/elsewhere/development/a"}, "inputs": {}}, 404, "elsewhere"),
        ({"artifacts": {"x": 99}, "inputs": {}}, 404, "99"),
        ({"max_parallelism": -1}, 400, "max_parallelism"),
    ],
)
def test_it_explains_a_bad_launch(api: Caller, registered: None, over: dict[str, Any], status: int, said: str) -> None:
    assert said in problem(api("ann").post(URL, body(**over)), status)["detail"]
    assert not Execution.objects.exists()


def test_it_says_that_an_input_is_fixed(api: Caller, registered: None) -> None:
    asked = {"launch_plan": {"name": "calculate_fixed"}, "inputs": {"scale": 3.0}, "workflow": None}
    asked = {key: value for key, value in {**body(), **asked}.items() if value is not None}
    assert "fixes scale" in problem(api("ann").post(URL, asked), 400)["detail"]


def test_it_refuses_a_launch_by_a_viewer(api: Caller, registered: None) -> None:
    problem(api("vic").post(URL, body()), 403)
    problem(api("sue").post(URL, body()), 404)


def test_it_waits_no_longer_than_told(api: Caller, registered: None) -> None:
    begin = time.monotonic()
    response = api("ann").post(f"{URL}?wait=0.3", body(name="first"))
    assert response.json()["phase"] == "UNDEFINED"
    assert time.monotonic() - begin >= 0.3
    problem(api("ann").get(f"{URL}/demo/development/first?wait=301"), 400)
    problem(api("ann").get(f"{URL}/demo/development/first?wait=-1"), 400)


@pytest.mark.django_db(transaction=True)
def test_it_answers_when_the_execution_has_ended(api: Caller) -> None:
    execution = make_execution()

    def end() -> None:
        time.sleep(0.3)
        Execution.objects.filter(pk=execution.pk).update(phase=ExecutionPhase.SUCCEEDED, ended_at=timezone.now())
        connection.close()

    thread = threading.Thread(target=end)
    thread.start()
    assert api("vic").get(f"{E1}?wait=20").json()["phase"] == "SUCCEEDED"
    thread.join()


def test_it_relaunches_with_other_inputs(api: Caller, registered: None) -> None:
    client = api("ann")
    client.post(URL, body(name="first"))
    again = client.post(f"{URL}/demo/development/first/relaunch", {"name": "second", "inputs": {"x": 5}})
    assert again.status_code == 201, again.content
    assert again.json()["mode"] == "RELAUNCH"
    assert again.json()["reference"] == "demo/development/first"
    assert client.get(f"{URL}/demo/development/second/inputs").json()["x"] == 5
    problem(client.post(f"{URL}/demo/development/first/relaunch", {"inputs": {"z": 5}}), 400)


def test_it_recovers_only_what_ended(api: Caller, registered: None) -> None:
    client = api("ann")
    client.post(URL, body(name="first"))
    problem(client.post(f"{URL}/demo/development/first/recover"), 409)
    Execution.objects.update(phase=ExecutionPhase.FAILED)
    assert client.post(f"{URL}/demo/development/first/recover").json()["mode"] == "RECOVERED"


def test_it_aborts_once(api: Caller, registered: None) -> None:
    client = api("ann")
    client.post(URL, body(name="first"))
    aborted = client.post(f"{URL}/demo/development/first/abort", {"cause": "wrong data"})
    assert aborted.status_code == 200, aborted.content
    assert aborted.json()["abort_cause"] == "wrong data"
    assert AuditEvent.objects.filter(verb="execution.abort").count() == 1
    Execution.objects.update(phase=ExecutionPhase.SUCCEEDED)
    problem(client.post(f"{URL}/demo/development/first/abort"), 409)


def test_it_archives_and_brings_back(api: Caller) -> None:
    make_execution(phase=ExecutionPhase.SUCCEEDED)
    client = api("ann")
    assert client.post(f"{E1}/archive").json()["archived"] is True
    assert client.get(URL).json()["results"] == []
    assert client.post(f"{E1}/archive", {"archived": False}).json()["archived"] is False


def test_it_lists_nodes(api: Caller, django_assert_num_queries: Any) -> None:
    execution = make_execution()
    first = make_node(execution, "n0", phase=NodePhase.SUCCEEDED)
    for number in range(3):
        make_node(execution, f"n0-{number}", parent=first)
    client = api("vic")
    results = client.get(f"{E1}/nodes").json()["results"]
    assert [each["node_id"] for each in results] == ["n0-2", "n0-1", "n0-0", "n0"]
    assert results[0]["parent"] == "n0"
    assert len(client.get(f"{E1}/nodes?parent=n0").json()["results"]) == 3
    assert len(client.get(f"{E1}/nodes?phase=SUCCEEDED").json()["results"]) == 1
    with django_assert_num_queries(8):  # token, bindings, execution, rows, and three for what they do
        client.get(f"{E1}/nodes")


def test_it_shows_a_node_with_its_attempts_and_values(api: Caller) -> None:
    execution = make_execution()
    uri = f"{store().root}/metadata/demo/development/e1/n0/outputs.pb"
    primitive = literals_pb2.Primitive(integer=7)
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))
    store().put(uri, literals_pb2.LiteralMap(literals={"o0": literal}).SerializeToString())
    node = make_node(execution, output_uri=uri)
    make_attempt(node, 0, phase=AttemptPhase.FAILED, error=user_error("boom"))
    make_attempt(node, 1)
    client = api("vic")
    attempts = client.get(f"{E1}/nodes/n0").json()["newest_attempts"]
    assert [(each["attempt"], each["phase"]) for each in attempts] == [(1, "RUNNING"), (0, "FAILED")]
    assert attempts[1]["error"]["message"] == "boom"
    assert client.get(f"{E1}/nodes/n0/outputs").json() == {"o0": 7}
    assert client.get(f"{E1}/nodes/n0/inputs").json() == {}
    assert len(client.get(f"{E1}/nodes/n0/attempts").json()["results"]) == 2
    assert len(client.get(f"{E1}/nodes/n0/attempts?phase=FAILED").json()["results"]) == 1
    assert client.get(f"{E1}/nodes/n0/attempts?index=3").json()["results"] == []
    problem(client.get(f"{E1}/nodes/n9"), 404)


def test_it_serves_logs_in_parts(api: Caller) -> None:
    uri = f"{store().root}/logs/demo/development/e1/n0/0.log"
    store().put(uri, b"one\ntwo\nthree\n")
    node = make_node(make_execution())
    make_attempt(node, 0, log_uri=uri)
    make_attempt(node, 1, log_uri=uri.replace("0.log", "1.log"))
    client, log = api("vic"), f"{E1}/nodes/n0/attempts/0/log"
    assert client.get(log).content == b"one\ntwo\nthree\n"
    assert client.get(f"{log}?tail=2").content == b"two\nthree\n"
    part = client.get(f"{log}?offset=4&limit=3")
    assert (part.content, part["Causeway-Next-Offset"], part["Content-Type"]) == (
        b"two",
        "7",
        "text/plain; charset=utf-8",
    )
    assert client.get(f"{log}?offset=999").content == b""
    assert client.get(f"{E1}/nodes/n0/attempts/1/log").content == b""
    problem(client.get(f"{E1}/nodes/n0/attempts/2/log"), 404)
    problem(client.get(f"{log}?tail=0"), 400)
    problem(client.get(f"{log}?offset=-1"), 400)


def test_it_sandboxes_decks(api: Caller) -> None:
    uri = f"{store().root}/metadata/demo/development/e1/n0/0/deck.html"
    store().put(uri, b"<script>alert(1)</script>")
    execution = make_execution()
    make_node(execution, deck_uri=uri)
    make_node(execution, "n1")
    response = api("vic").get(f"{E1}/nodes/n0/deck")
    assert response.content == b"<script>alert(1)</script>"
    policy = response["Content-Security-Policy"]
    assert "sandbox" in policy and "allow-same-origin" not in policy
    problem(api("vic").get(f"{E1}/nodes/n1/deck"), 404)


def test_a_large_deck_is_never_in_memory_as_a_whole(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"{store().root}/metadata/demo/development/e1/n0/0/deck.html"
    deck = bytes(range(256)) * (4 * sandbox.CHUNK // 256) + b"end"
    store().put(uri, deck)
    make_node(make_execution(), deck_uri=uri)
    monkeypatch.setattr(type(store()), "get", lambda self, uri: pytest.fail("read as a whole"))
    response: Any = api("vic").get(f"{E1}/nodes/n0/deck")
    pieces = list(response.streaming_content)
    assert b"".join(pieces) == deck and max(map(len, pieces)) <= sandbox.CHUNK
    assert response["Content-Length"] == str(len(deck)) and "sandbox" in response["Content-Security-Policy"]


def test_values_that_are_too_large_to_decode_are_refused(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"{store().root}/metadata/demo/development/e1/n0/0/outputs.pb"
    store().put(uri, b"x" * 101)
    make_node(make_execution(), output_uri=uri)
    monkeypatch.setattr(interfaces, "MAX_DECODED", 100)
    assert "101 bytes" in problem(api("vic").get(f"{E1}/nodes/n0/outputs"), 413)["detail"]


def test_it_tells_the_timeline(api: Caller, django_assert_num_queries: Any) -> None:
    execution = make_execution()
    node = make_node(execution)
    attempt = make_attempt(node)
    make_event(execution, Machine.EXECUTION, execution.pk)
    make_event(execution, Machine.NODE, node.pk, reason="ready")
    make_event(execution, Machine.ATTEMPT, attempt.pk, from_phase=AttemptPhase.QUEUED, to_phase=AttemptPhase.FAILED)
    client = api("vic")
    events = client.get(f"{E1}/events").json()["results"]
    assert [(each["machine"], each["subject"], each["to_phase"]) for each in events] == [
        ("attempt", attempt.name, "FAILED"),
        ("node", "n0", "RUNNING"),
        ("execution", "", "RUNNING"),
    ]
    with django_assert_num_queries(6):  # token, bindings, execution, events, nodes, attempts
        client.get(f"{E1}/events")
