from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from audit.models import AuditEvent
from scheduler.executors.connectors import connectors
from scheduler.models import ConnectorCatalogue, ConnectorJob, ConnectorSettings, ExecutorInstance, TaskExecution
from scheduler.phases import AttemptPhase
from tests.console.rest.conftest import Caller, problem
from tests.scheduler.attempts import make_attempt

URL = "/api/v1/connectors"
YARD = f"{URL}/yard"
BODY = {"description": {"endpoint": "yard:8000", "projects": ["isles"]}}
TYPES = [{"agent": "Yard", "type": "ship", "version": 2, "sync": False}]


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(verb__startswith="connector.").order_by("pk").values_list("verb", flat=True))


def test_a_platform_admin_sets_changes_and_removes_one(api: Caller) -> None:
    root = api("root")
    made = root.put(YARD, BODY, format="json")
    assert made.status_code == 201, made.content
    assert made.json() | {"updated_at": ""} == {
        "name": "yard", "source": "database", "open": True, "endpoint": "yard:8000",
        "description": BODY["description"], "answers": False, "types": [], "read_at": None,
        "problem": "the process that asks it (executor-connectors) is not alive",
        "updated_by": "root", "updated_at": "",
    }  # fmt: skip
    again = root.put(YARD, {"description": "endpoint: yard:9000\n"}, format="json")
    assert (again.status_code, again.json()["description"]) == (200, {"endpoint": "yard:9000"})
    closed = root.patch(YARD, {"open": False, "description": {"at_once": 5}}, format="json")
    assert closed.json()["open"] is False and closed.json()["description"]["at_once"] == 5
    (seen,) = connectors.configured()
    assert (seen.name, seen.open, seen.known) == ("yard", False, False)
    assert [one["name"] for one in root.get(URL).json()["results"]] == ["yard"]
    assert root.delete(YARD).status_code == 204 and not connectors.configured()
    assert verbs() == ["connector.create", "connector.update", "connector.update", "connector.remove"]


def test_it_says_what_it_runs_and_whether_it_answers(api: Caller) -> None:
    root, now = api("root"), timezone.now()
    root.put(YARD, BODY, format="json")
    ExecutorInstance.objects.create(name="connectors", executor="connectors", started_at=now, seen_at=now)
    row = ConnectorCatalogue.objects.create(name="yard", endpoint="yard:8000", types=TYPES, read_at=now, asked_at=now)
    told = root.get(YARD).json()
    assert (told["answers"], told["problem"], told["types"]) == (True, "", TYPES)
    ConnectorCatalogue.objects.update(problem="it is gone")
    assert (root.get(YARD).json()["answers"], root.get(YARD).json()["problem"]) == (False, "it is gone")
    row.endpoint = "elsewhere:1"
    row.save()
    assert root.get(YARD).json()["types"] == [], "what another address said is not believed"
    ExecutorInstance.objects.update(seen_at=now - timedelta(hours=1))
    assert "not alive" in root.get(YARD).json()["problem"]


def test_it_is_for_administrators_of_the_platform(api: Caller) -> None:
    assert api("root").put(YARD, BODY, format="json").status_code == 201
    for name in ("vic", "ann", "abe", "ada", "sue"):
        caller = api(name)
        for answer in (caller.get(URL), caller.get(YARD), caller.delete(YARD)):
            problem(answer, 403)
        problem(caller.put(YARD, BODY, format="json"), 403)
        problem(caller.patch(YARD, {"open": False}, format="json"), 403)
    assert connectors.configured()[0].open


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"description": {"endpiont": "x"}}, "has no setting 'endpiont'"),
        ({"description": {}}, "endpoint has to be host:port"),
        ({"description": "a: ["}, "is no YAML, line 1"),
        ({"description": [1]}, "has to be a mapping"),
        ({"description": {"name": "other", "endpoint": "a:1"}}, "of a connector 'other', not of 'yard'"),
        ({"endpoint": "nowhere"}, "endpoint has to be host:port"),
        ({"kubeconfig": "x"}, "kubeconfig"),
    ],
)
def test_what_is_not_understood_is_refused_and_leaves_nothing(api: Caller, wrong: object, said: str) -> None:
    assert said in str(problem(api("root").put(YARD, wrong, format="json"), 400))
    assert not ConnectorSettings.objects.exists() and not verbs()


def test_one_of_the_settings_is_changed_there(api: Caller, settings: Settings) -> None:
    settings.CAUSEWAY_CONNECTORS = "yard=far:1"
    root = api("root")
    assert root.get(YARD).json()["source"] == "settings"
    problem(root.put(YARD, BODY, format="json"), 409)
    problem(root.patch(YARD, {"open": False}, format="json"), 409)
    problem(root.delete(YARD), 409)


def test_one_that_has_jobs_stays(api: Caller) -> None:
    root = api("root")
    root.put(YARD, BODY, format="json")
    attempt = make_attempt(executor="connectors", phase=AttemptPhase.RUNNING)
    ConnectorJob.objects.create(attempt=attempt, connector="yard", asked_at=timezone.now())
    assert "1 jobs that have not ended" in str(problem(root.delete(YARD), 409))
    TaskExecution.objects.update(phase=AttemptPhase.SUCCEEDED)
    assert root.delete(YARD).status_code == 204
