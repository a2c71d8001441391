"""Run events: noted with the change of phase, valid by the specification, sent in order to a real HTTP server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.utils import timezone
from pytest_django import Settings

from lineage.actions import export
from lineage.actions.export import note, send_due
from lineage.models import RunEvent, RunEventType
from lineage.openlineage import run_id
from scheduler.actions.executions import abort
from scheduler.advance import advance
from tests.flyte import register_all
from tests.lineage.test_lineage import KEY, make
from tests.receiving import Answer, Posted, receiving
from tests.scheduler.driving import Driver, TaskFailed, start, workflow_of
from tests.scheduler.test_lineage import ANSWERS, child_plan, parent, run_all
from tests.scheduler.test_publishing import publishing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
URL = {"type": "string", "pattern": "^https?://"}
TEXT = {"type": "string", "minLength": 1}
FACETS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["_producer", "_schemaURL"],
        "properties": {"_producer": URL, "_schemaURL": URL},
    },
}
JOB = {"type": "object", "required": ["namespace", "name"], "properties": {"namespace": TEXT, "name": TEXT}}
DATASET = {**JOB, "properties": {**JOB["properties"], "facets": FACETS}}  # type: ignore[dict-item]
RUN_EVENT = {  # what specification 2-0-2 requires of a RunEvent, and of the facets that we send
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "additionalProperties": False,
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": URL,
        "schemaURL": {"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {
                "runId": {"type": "string", "format": "uuid"},
                "facets": {
                    "allOf": [FACETS],
                    "properties": {
                        "parent": {"required": ["run", "job"], "properties": {"job": JOB}},
                        "errorMessage": {"required": ["message", "programmingLanguage"]},
                    },
                },
            },
        },
        "job": {
            **JOB,
            "properties": {
                **JOB["properties"],  # type: ignore[dict-item]
                "facets": {
                    "allOf": [FACETS],
                    "properties": {
                        "jobType": {"required": ["processingType", "integration", "jobType"]},
                        "ownership": {"properties": {"owners": {"items": {"required": ["name"]}}}},
                    },
                },
            },
        },
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {"type": "array", "items": DATASET},
    },
}


def check(event: Any) -> None:
    jsonschema.validate(event, RUN_EVENT, format_checker=jsonschema.FormatChecker())
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    uuid.UUID(event["run"]["runId"])


@dataclass
class Endpoint:
    """An OpenLineage endpoint; answers with `status`, or the next of `statuses`."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@pytest.fixture
def endpoint(settings: Settings) -> Iterator[Endpoint]:
    found = Endpoint()

    def answer(posted: Posted) -> Answer:
        status = found.statuses.pop(0) if found.statuses else 201
        if status < 300:
            found.got.append(json.loads(posted.body))
            found.keys.append(posted.headers.get("authorization", ""))
        return Answer(status, body=b"no" if status >= 300 else b"")

    with receiving(answer) as url:
        found.url = f"{url}/api/v1/lineage"
        settings.CAUSEWAY_OPENLINEAGE_URL = found.url
        settings.CAUSEWAY_OPENLINEAGE_API_KEY = "secret"
        yield found


def due_now() -> None:
    RunEvent.objects.update(next_at=timezone.now() - timedelta(seconds=1))


def test_an_execution_is_told_with_what_it_took_in_and_published(endpoint: Endpoint) -> None:
    execution = start(workflow_of(publishing), {"region": "ATL"})
    Driver({"make": lambda region: 7, "use": lambda a: a + 1}).run(execution)
    assert send_due() == 2 and send_due() == 0
    first, last = endpoint.got
    check(first)
    check(last)
    assert (first["eventType"], last["eventType"]) == ("START", "COMPLETE")
    assert first["run"]["runId"] == last["run"]["runId"] == run_id(execution.key)
    assert last["job"]["namespace"] == "causeway/demo/development"
    assert last["job"]["name"].endswith("test_publishing.publishing")
    assert {one["name"] for one in last["outputs"]} == {"engine-number", "engine-total"}
    assert {one["name"] for one in last["inputs"]} == {"engine-number"} and first["outputs"] == []
    facets = last["outputs"][0]["facets"]
    assert facets["schema"]["fields"] == [{"name": "value", "type": "int"}]
    assert facets["version"]["datasetVersion"].startswith(execution.name)
    assert endpoint.keys == ["Bearer secret"] * 2


def test_failures_and_aborts_say_why(endpoint: Endpoint) -> None:
    def fail(region: str) -> int:
        raise TaskFailed("the lake is dry")

    failed = start(workflow_of(publishing), {"region": "ATL"})
    Driver({"make": fail}).run(failed)
    aborted = start(workflow_of(publishing), {"region": "ATL"})
    advance(aborted.pk)
    aborted.refresh_from_db()
    abort(aborted, cause="changed my mind", actor="ann")
    advance(aborted.pk)
    send_due()
    ends = {event["run"]["runId"]: event for event in endpoint.got if event["eventType"] != "START"}
    for event in endpoint.got:
        check(event)
    assert ends[run_id(failed.key)]["eventType"] == "FAIL"
    assert "the lake is dry" in ends[run_id(failed.key)]["run"]["facets"]["errorMessage"]["message"]
    assert ends[run_id(aborted.key)]["eventType"] == "ABORT"
    assert "changed my mind" in ends[run_id(aborted.key)]["run"]["facets"]["errorMessage"]["message"]


def test_a_child_names_its_parent(endpoint: Endpoint) -> None:
    register_all(child_plan)
    execution = start(workflow_of(parent, [child_plan]))
    run_all(Driver(ANSWERS), execution)
    send_due()
    parents = {
        event["run"]["facets"]["parent"]["run"]["runId"] for event in endpoint.got if "parent" in event["run"]["facets"]
    }
    assert parents == {run_id(execution.key)}


def test_what_cannot_be_sent_is_tried_again_later_and_never_overtaken(endpoint: Endpoint) -> None:
    make("raw", "e1")
    for kind in (RunEventType.START, RunEventType.COMPLETE):
        note(KEY + "e1", kind, at=timezone.now(), facts={"job": "workflow:w@v1"})
    endpoint.statuses = [503]
    assert send_due() == 0 and endpoint.got == []
    waiting = RunEvent.objects.get(event_type=RunEventType.START)
    assert waiting.attempts == 1 and waiting.next_at > timezone.now() and waiting.refusal == "503: no"
    assert send_due() == 0  # not due, and the end of the run waits for its beginning
    due_now()
    assert send_due() == 2
    assert [event["eventType"] for event in endpoint.got] == ["START", "COMPLETE"]


def test_it_gives_up_what_is_refused_for_good(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    note(KEY + "e1", RunEventType.START, at=timezone.now(), facts={})
    note(KEY + "e2", RunEventType.START, at=timezone.now(), facts={})
    monkeypatch.setattr(export, "ATTEMPTS", 2)
    endpoint.statuses = [422, 500, 500]
    send_due()
    due_now()
    send_due()
    assert set(RunEvent.objects.filter(given_up_at__isnull=False).values_list("attempts", flat=True)) == {1, 2}
    due_now()
    assert send_due() == 0


def test_an_endpoint_that_is_gone_loses_nothing(endpoint: Endpoint, settings: Settings) -> None:
    settings.CAUSEWAY_OPENLINEAGE_URL = "http://127.0.0.1:9/"
    note(KEY + "e1", RunEventType.START, at=timezone.now(), facts={})
    assert send_due() == 0
    assert RunEvent.objects.get().refusal.startswith("no answer")
    settings.CAUSEWAY_OPENLINEAGE_URL = endpoint.url
    due_now()
    assert send_due() == 1


def test_nothing_is_noted_without_an_endpoint(settings: Settings) -> None:
    settings.CAUSEWAY_OPENLINEAGE_URL = ""
    note(KEY + "e1", RunEventType.START, at=timezone.now(), facts={})
    assert not RunEvent.objects.exists() and send_due() == 0


def test_columns_of_a_dataset_are_its_schema() -> None:
    from flyteidl.core import types_pb2

    from lineage.openlineage import columns_of

    kind = types_pb2.LiteralType()
    column = kind.structured_dataset_type.columns.add(name="age")
    column.literal_type.simple = types_pb2.INTEGER
    assert columns_of(kind.SerializeToString()) == [{"name": "age", "type": "int"}]
