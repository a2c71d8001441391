"""What the API shows of values it takes again, to the last bit; and input that broke it is refused in its own words."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from io import BytesIO
from typing import Any
from unittest.mock import patch

import pytest
from django.db import DataError
from django.test import Client
from flyteidl.core import literals_pb2
from rest_framework.test import APIClient

from artifacts.literals import from_json, to_json
from artifacts.models import ArtifactVersion
from artifacts.store import store
from artifacts.store.local import LocalStore
from console.accounts.models import ApiToken
from scheduler import task_tokens
from scheduler.models import Execution, Gate
from tests.console.pages import values_program
from tests.console.rest import program
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import make_attempt, make_execution, make_gate, make_node
from tests.flyte import register_all

URL = "/api/v1/executions"
E1 = f"{URL}/demo/development/e1"


@pytest.fixture
def registered(db: None) -> None:
    register_all(values_program.untouched, program.calculate)


def launch(client: APIClient, **over: Any) -> Execution:
    body = {"project": "demo", "domain": "development", "workflow": {"name": values_program.untouched.name}}
    answer = client.post(URL, body | over)
    assert answer.status_code == 201, answer.content
    return Execution.objects.get(name=answer.json()["name"])


def inputs_of(execution: Execution) -> bytes:
    return store().get(execution.inputs_uri)


def test_inputs_as_they_are_shown_are_the_same_inputs(api: Caller, registered: None) -> None:
    client = api("ann")
    first = launch(client)

    shown = client.get(f"{URL}/demo/development/{first.name}/inputs")
    again = launch(client, inputs=json.loads(shown.content))

    assert inputs_of(again) == inputs_of(first)
    found = shown.json()
    assert found["number"] == "007" and found["day"] == {"type": "str", "value": "2026-01-01"}
    assert found["metrics"] == {"loss": {"$float": "NaN"}, "worst": {"$float": "-Infinity"}, "n": 1, "share": 1.0}


def test_defaults_as_they_are_shown_are_the_same_inputs(api: Caller, registered: None) -> None:
    client = api("ann")
    plan = client.get(f"/api/v1/launch-plans/demo/development/{values_program.untouched.name}/versions/v1").json()

    again = launch(client, inputs={each["name"]: each["default"] for each in plan["inputs"]})

    assert inputs_of(again) == inputs_of(launch(client))


def test_a_relaunch_keeps_what_it_is_not_given_and_takes_what_was_shown(api: Caller, registered: None) -> None:
    client = api("ann")
    first = launch(client)
    shown = client.get(f"{URL}/demo/development/{first.name}/inputs").json()

    for body in ({}, {"inputs": shown}, {"inputs": {name: shown[name] for name in ("day", "metrics", "settings")}}):
        answer = client.post(f"{URL}/demo/development/{first.name}/relaunch", body)
        assert answer.status_code == 201, answer.content
        assert inputs_of(Execution.objects.get(name=answer.json()["name"])) == inputs_of(first)


def test_a_published_structure_is_the_one_that_was_shown(api: Caller) -> None:
    client = api("ann")
    url = "/api/v1/artifacts/demo/development/metrics/versions"
    value = {"loss": {"$float": "NaN"}, "raw": {"$base64": "AP8="}, "by": {"$entries": [[1, "one"]]}, "n": 1, "x": 1.0}

    first = client.post(url, {"value": value, "version": "v1"})
    second = client.post(url, {"value": first.json()["value"], "version": "v2"})

    assert first.json()["value"] == value
    assert len({bytes(row.literal) for row in ArtifactVersion.objects.all()}) == 1, second.content


def test_a_gate_gets_and_shows_any_value(api: Caller, registered: None) -> None:
    kind = values_program.use.interface.inputs["day"].type.to_flyte_idl()
    gate = make_gate(make_execution("e1"), "day", kind="signal", literal_type=kind.SerializeToString())

    shown = api("ann").post(f"/api/v1/gates/{gate.pk}/signal", {"value": {"type": "str", "value": "2026-01-01"}})

    literal = literals_pb2.Literal.FromString(bytes(Gate.objects.get(pk=gate.pk).value or b""))
    assert literal.scalar.union.value.scalar.primitive.string_value == "2026-01-01"
    assert from_json(shown.json()["value"], kind, name="day") == literal


def test_texts_for_people_keep_their_blanks(api: Caller, registered: None) -> None:
    execution = launch(api("ann"), env={"A": " x ", "B": ""}, annotations={"note": " y\n"})
    from flyteidl.admin import execution_pb2

    spec = execution_pb2.ExecutionSpec.FromString(bytes(execution.spec))
    assert [(each.key, each.value) for each in spec.envs.values] == [("A", " x "), ("B", "")]
    assert dict(spec.annotations.values) == {"note": " y\n"}


# What broke it


@pytest.mark.parametrize("env", [{"": "x"}, {"A=B": "x"}, {"A\0": "x"}, {"A": "\0"}, {"A": "x" * 131_072}])
def test_it_refuses_an_environment_that_no_process_can_have(api: Caller, registered: None, env: dict[str, str]) -> None:
    body = {
        "project": "demo",
        "domain": "development",
        "workflow": {"name": program.calculate.name},
        "inputs": {"x": 1},
    }
    problem(api("ann").post(URL, body | {"env": env}), 400)
    assert not Execution.objects.exists()


CURSORS = [
    '["0001-01-01T00:00:00+23:59", 1]',
    '["9999-12-31T23:59:59-23:59", 1]',
    '["2026-01-01T00:00:00+00:00", 9223372036854775808]',
    '["2026-01-01T00:00:00+00:00", -1]',
    '["2026-01-01T00:00:00", 1]',
]


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("path", ["executions", "artifact-versions", "tokens", "gates", "firings"])
def test_it_refuses_a_cursor_at_the_edge_of_the_calendar(api: Caller, cursor: str, path: str) -> None:
    encoded = base64.urlsafe_b64encode(cursor.encode()).decode()
    problem(api("ann").get(f"/api/v1/{path}", {"cursor": encoded}), 400)


@pytest.mark.parametrize("limit", ["000001" + "9" * 10, "000001" + "9" * 5000, "²", "1e2"])
def test_it_refuses_a_limit_that_is_none(api: Caller, limit: str) -> None:
    problem(api("ann").get(URL, {"limit": limit}), 400)


@pytest.mark.parametrize("name", ["é" * 200 + ".csv", "x" * 300, "👩‍👩‍👧" * 20])
def test_it_takes_a_file_of_any_name(api: Caller, name: str) -> None:
    file = BytesIO(b"x")
    file.name = name
    url = "/api/v1/artifacts/demo/development/named/versions"
    answer = api("ann").post(url, {"file": file, "data": "{}"}, format="multipart")
    assert answer.status_code == 201, answer.content
    uri = answer.json()["uri"]
    assert store().get(uri) == b"x" and len(uri.rpartition("/")[2].encode()) <= 255


def test_a_running_task_makes_no_tokens(api: Caller) -> None:
    attempt = make_attempt(make_node(make_execution()))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {task_tokens.issue(attempt.pk)}")
    before = ApiToken.objects.count()
    problem(client.post("/api/v1/tokens", {"name": "mine"}), 403)
    assert client.get("/api/v1/tokens").status_code == 200 and ApiToken.objects.count() == before


def test_it_refuses_a_signal_of_a_long_name(api: Caller) -> None:
    make_execution("e1")
    problem(api("ann").post(f"{E1}/signals/{'s' * 300}", {"value": 1, "type": "int"}), 400)
    assert not Gate.objects.exists()


def test_what_only_the_database_refuses_is_the_request_s_fault(api: Caller) -> None:
    with patch("console.rest.executions.launch_from", side_effect=DataError("value too long for varchar(255)")):
        body = {"project": "demo", "domain": "development", "task": {"name": "t"}}
        detail = problem(api("ann").post(URL, body), 400)["detail"]
    assert "cannot be kept" in detail and "varchar" not in detail


# Chunked


@pytest.fixture
def local() -> LocalStore:
    found = store()
    assert isinstance(found, LocalStore)
    return found


@pytest.mark.parametrize("part", [False, True])
def test_a_chunked_upload_is_asked_for_its_length(local: LocalStore, part: bool) -> None:
    """Django reads a body without a length as empty: 200 for what was not kept would be worse than no."""
    uri = local.join(local.root, "uploads", "demo", "development", "chunked")
    minute = timedelta(minutes=1)
    url = local.signed_put(uri, expires=minute)[0]
    if part:
        url = local.signed_part(uri, local.begin_parts(uri), 1, size=5, expires=minute)
    headers: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    path = "/" + url.split("/", 3)[3]
    answer = Client().generic("PUT", path, b"hello", **headers)
    assert answer.status_code == 411 and "Content-Length" in answer.json()["detail"]
    assert not local.exists(uri) and not local.parts(uri, local.begin_parts(uri))
    assert Client().put(path, b"hello").status_code == 200


def test_an_object_is_not_put_where_a_folder_is(local: LocalStore) -> None:
    folder = local.join(local.root, "uploads", "demo", "development", "x")
    local.put(f"{folder}/f", b"1")
    for uri in (folder, f"{folder}/f/g"):
        url = local.signed_put(uri, expires=timedelta(minutes=1))[0]
        assert Client().put("/" + url.split("/", 3)[3], b"x").status_code == 400
    assert local.get(f"{folder}/f") == b"1"


def test_exact_values_are_json(registered: None) -> None:
    """Nothing that is shown is beyond what JSON has."""
    from console.interfaces import inputs_of as declared
    from scheduler.models import LaunchPlan

    plan = LaunchPlan.objects.get(name=values_program.untouched.name)
    for each in declared(plan).values():
        if each.default is not None:
            json.dumps(to_json(each.default, each.type, exact=True), allow_nan=False)
