"""Launching from the browser: parts of structured inputs, files, picked versions, settings, tasks, the same call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from flyteidl.admin import execution_pb2
from flyteidl.core import types_pb2
from google.protobuf import struct_pb2

from artifacts.models import Kind
from artifacts.store import store
from console.accounts.models import Role, User
from console.pages.form_shapes import PARTS, shape_of, skeleton
from console.pages.specs import parameters_of
from scheduler.models import Execution, LaunchPlan, Task
from scheduler.shell import data
from tests.console.pages import launch_program
from tests.console.pages.cast import World, make_version, user
from tests.flyte import register_module

Browse = Callable[[User], Client]
NAME = f"{launch_program.__name__}.structured"
FORM = f"/launch-plans/demo/development/{NAME}/launch/"
TASK = f"/tasks/demo/development/{launch_program.__name__}.consume/launch/"
FILLED = {
    "in.point": '{"x": 3, "y": 0.5, "tags": ["a"]}',
    "in.setup": '{"name": "n", "depth": 3, "limit": null, "weights": {"w": 1.5}}',
    "in.numbers": "[1, 2]",
    "in.named": '{"k": 2.5}',
    "in.mode": "fast",
    "in.data": "s3://elsewhere/data.csv",
}


@pytest.fixture
def program(world: World) -> World:
    register_module(launch_program, project="demo", domain="development")
    return world


def shapes() -> dict[str, Any]:
    plan = LaunchPlan.objects.get(name=NAME)
    return {name: shape_of(parameter.var.type) for name, parameter in parameters_of(plan).items()}


def newest() -> Execution:
    return Execution.objects.order_by("-pk")[0]


def test_types_that_hold_one_another_are_shown_up_to_a_number_of_parts() -> None:
    """Eight levels of thirty fields each would be more than a process can hold."""
    fields = {f"f{number}": {"$ref": "#/$defs/Node"} for number in range(30)}
    schema = struct_pb2.Struct()
    schema.update({"$defs": {"Node": {"type": "object", "properties": fields}}, "$ref": "#/$defs/Node"})
    found = shape_of(types_pb2.LiteralType(simple=types_pb2.STRUCT, metadata=schema))
    assert found["kind"] == "object" and len(found["fields"]) == 30
    assert json.dumps(found).count('"kind"') < 40 * PARTS


def test_dataclasses_and_models_have_the_shape_of_their_fields(program: World) -> None:
    found = shapes()
    point = {field["name"]: field for field in found["point"]["fields"]}
    setup = {field["name"]: field for field in found["setup"]["fields"]}

    assert (point["x"]["shape"], point["x"]["required"]) == ({"kind": "int"}, True)
    assert point["tags"]["shape"] == {"kind": "list", "item": {"kind": "str"}}
    assert (setup["depth"]["required"], setup["depth"]["default"]) == (False, "3")
    assert [variant["kind"] for variant in setup["limit"]["shape"]["variants"]] == ["float", "none"]
    assert setup["weights"]["shape"] == {"kind": "map", "item": {"kind": "float"}}
    assert found["mode"] == {"kind": "enum", "values": ["fast", "exact"]}
    assert skeleton(found["point"]) == {"x": 0, "y": 0.0, "tags": []}


def test_a_form_without_scripts_shows_the_parts_as_an_example(program: World, browse: Browse) -> None:
    page = browse(program.admin).get(FORM).content.decode()
    assert "data-shape=" in page and "&quot;tags&quot;" in page


def test_settings_are_what_the_execution_runs_with(program: World, browse: Browse) -> None:
    settings = {
        "set.name": "mine",
        "set.labels": "team=growth\nstage = try",
        "set.env": "LEVEL=a=b",
        "set.interruptible": "yes",
        "set.max_parallelism": "7",
        "set.overwrite_cache": "1",
        "set.service_account": "robot",
    }
    browse(program.admin).post(FORM, FILLED | settings)

    execution = newest()
    spec = execution_pb2.ExecutionSpec.FromString(bytes(execution.spec))
    assert execution.name == "mine"
    assert dict(spec.labels.values) == {"team": "growth", "stage": "try"}
    assert [(env.key, env.value) for env in spec.envs.values] == [("LEVEL", "a=b")]
    assert (spec.interruptible.value, spec.max_parallelism, spec.overwrite_cache) == (True, 7, True)
    assert spec.security_context.run_as.k8s_service_account == "robot"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"set.labels": "team"}, "is no key=value"),
        ({"set.env": "A=1\nA=2"}, "is there twice"),
        ({"set.max_parallelism": "many"}, "is no whole number"),
        ({"set.interruptible": "maybe"}, "interruptible is yes, no"),
        ({"set.name": "NO GOOD"}, "NO GOOD"),
    ],
)
def test_settings_that_make_no_sense_launch_nothing(
    program: World, browse: Browse, setting: dict[str, str], words: str
) -> None:
    before = Execution.objects.count()
    page = browse(program.admin).post(FORM, FILLED | setting).content.decode()
    assert words in page and Execution.objects.count() == before
    assert "tags" in page  # what was typed is still there


def test_a_file_is_kept_by_its_content_and_launched(program: World, browse: Browse) -> None:
    given = FILLED | {"in.data": "", "in.data.upload": SimpleUploadedFile("rows.csv", b"a,b\n1,2\n")}
    browse(program.admin).post(FORM, given)

    uri = data.read(newest().inputs_uri).literals["data"].scalar.blob.uri
    assert uri.endswith("/rows.csv") and store().get(uri) == b"a,b\n1,2\n"


def test_a_file_that_is_too_large_is_refused_beside_the_input(program: World, browse: Browse, settings: Any) -> None:
    settings.CAUSEWAY_MAX_UPLOAD_BYTES = 3
    before = Execution.objects.count()
    given = FILLED | {"in.data": "", "in.data.upload": SimpleUploadedFile("rows.csv", b"a,b\n1,2\n")}
    page = browse(program.admin).post(FORM, given).content.decode()
    assert "more than the 3 allowed" in page and Execution.objects.count() == before


def picked(client: Client, name: str, find: str = "", form: str = FORM) -> list[str]:
    answer = client.get(form, {"pick": name, f"in.{name}.find": find}, headers={"HX-Request": "true"})
    return [version.artifact.name for version in answer.context["found"]]


def test_a_version_is_picked_for_any_input_it_fits(program: World, browse: Browse) -> None:
    file = make_version("a-file", Kind.FILE, number=1, partitions={"region": "LAX"})
    make_version("foreign-file", Kind.FILE, number=1, project="elsewhere")
    client = browse(program.admin)

    assert "a-file" in picked(client, "data") and "foreign-file" not in picked(client, "data")
    assert picked(client, "data", "region=LAX name:a-file") == ["a-file"]
    assert picked(client, "numbers") == []
    client.post(FORM, FILLED | {"in.data": "", "in.data.version": str(file.pk)})
    assert newest().resolution["data"]["version_id"] == file.pk


def test_versions_that_the_query_cannot_find_are_not_offered(world: World, browse: Browse) -> None:
    form = f"/launch-plans/demo/development/{world.trains.workflow.name}/launch/"
    client = browse(world.admin)
    found = client.get(form, {"pick": "dataset", "in.region": "SEA"}, headers={"HX-Request": "true"}).context["found"]
    assert [version.partitions for version in found] == [{"region": "SEA"}]


def test_a_picker_tells_nothing_of_what_one_may_not_read(program: World, browse: Browse) -> None:
    make_version("foreign-file", Kind.FILE, number=1, project="elsewhere")
    person = user("carla", role=Role.CONTRIBUTOR)
    assert "foreign-file" not in picked(browse(person), "data", "project:elsewhere")
    assert "foreign-file" in picked(browse(program.admin), "data", "project:elsewhere")


def test_a_task_is_launched_alone(program: World, browse: Browse) -> None:
    client = browse(program.admin)
    task = Task.objects.get(name=f"{launch_program.__name__}.consume")
    assert f'href="{TASK}?version={task.version}"' in client.get(TASK.removesuffix("launch/")).content.decode()
    client.post(TASK, FILLED)

    assert newest().task_id == task.pk
    assert browse(program.viewer).post(TASK, FILLED).status_code == 403
    assert browse(program.outsider).get(TASK).status_code == 404


def test_a_workflow_has_a_launch_button_for_who_may(program: World, browse: Browse) -> None:
    page = f"/workflows/demo/development/{NAME}/"
    assert f"{FORM}?version=" in browse(program.admin).get(page).content.decode()
    assert f"{FORM}?version=" not in browse(program.viewer).get(page).content.decode()


def test_the_same_call_is_shown_and_launches_the_same(program: World, browse: Browse) -> None:
    client, before = browse(program.admin), Execution.objects.count()
    answer = client.post(FORM, FILLED | {"show": "call", "set.env": "A=1"})
    call = answer.context["call"]

    assert Execution.objects.count() == before and call.cli == ""
    assert "/api/v1/executions" in answer.context["call_rest"] and "client.connection.call" in call.python
    launched = client.post("/api/v1/executions", json.dumps(call.body), content_type="application/json")
    assert launched.status_code == 201, launched.content
    by_rest = data.read(newest().inputs_uri)
    client.post(FORM, FILLED)
    assert data.read(newest().inputs_uri) == by_rest
    plain = client.post(FORM, FILLED | {"show": "call"}).context["call"]
    assert plain.cli.startswith("causeway -p demo -d development launch") and "'numbers=[1, 2]'" in plain.cli
