"""The audit trail over REST and pages: in the change's transaction, with what was refused, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from audit.models import AuditEvent
from audit.record import record
from console.accounts import refusals
from console.accounts.models import User
from scheduler.models import Execution
from tests.console.pages.cast import World
from tests.console.pages.conftest import browse, cheap_passwords, world
from tests.console.rest.conftest import Caller, api, cast, problem
from tests.console.rest.rows import make_execution

__all__ = ["api", "browse", "cast", "cheap_passwords", "world"]  # fixtures of the doors' own tests

URL = "/api/v1/executions/demo/development/e1/abort"


@pytest.fixture(autouse=True)
def _nobody_was_refused_before(object_store: str) -> None:
    refusals.forget()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.record._INSERT", "SELECT %s, %s, %s, %s, %s, %s, %s FROM a_table_that_is_gone")


def refused() -> list[tuple[Any, ...]]:
    rows = AuditEvent.objects.filter(verb__startswith="refused").order_by("pk")
    return list(rows.values_list("actor", "verb", "project", "domain", "subject"))


def test_rest_writes_down_what_was_refused_also_to_strangers_but_no_reads(api: Caller) -> None:
    make_execution()
    problem(api("vic").post(URL, {}), 403)
    problem(api("sue").post(URL, {}), 404)
    problem(api("sue").get("/api/v1/executions/demo/development/e1"), 404)
    problem(api("ann").post(URL.replace("e1", "none"), {}), 404)
    assert refused() == [
        ("vic", "refused.launch", "demo", "development", f"POST {URL}"),
        ("sue", "refused.launch", "demo", "development", f"POST {URL}"),
    ]
    assert "needs the role contributor" in AuditEvent.objects.filter(actor="vic").latest("pk").detail["message"]


def test_rest_undoes_a_change_whose_row_cannot_be_written(api: Caller, request: pytest.FixtureRequest) -> None:
    make_execution()
    client = api("ada")
    request.getfixturevalue("broken")
    problem(client.post(URL, {"cause": "why"}), 500)
    assert Execution.objects.get(name="e1").abort_cause == ""


def test_pages_write_down_what_was_refused(world: World, browse: Callable[[User], Client]) -> None:
    path = "/executions/demo/development/aevaluates/abort/"
    assert browse(world.viewer).post(path).status_code == 403
    assert browse(world.outsider).post(path).status_code == 404
    assert browse(world.outsider).get(path.removesuffix("abort/")).status_code == 404
    assert [(actor, verb, subject) for actor, verb, _, _, subject in refused()] == [
        ("viewer", "refused.launch", f"POST {path}"),
        ("outsider", "refused.launch", f"POST {path}"),
    ]


def test_pages_undo_a_change_whose_row_cannot_be_written(
    world: World, browse: Callable[[User], Client], broken: None
) -> None:
    with pytest.raises(DatabaseError):
        browse(world.admin).post("/executions/demo/development/aevaluates/abort/", {"cause": "why"})
    assert Execution.objects.get(name="aevaluates").abort_cause == ""


def test_who_tries_all_the_time_does_not_fill_the_trail(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "AN_HOUR", 3)
    make_execution()
    client = api("vic")
    for _ in range(10):
        client.post(URL, {})
    assert len(refused()) == 3
    problem(api("sue").post(URL, {}), 404)
    assert len(refused()) == 4  # everybody has an hour of their own
    monkeypatch.setattr(refusals, "AN_HOUR", 4)
    client.post(URL, {})
    assert AuditEvent.objects.latest("pk").detail["left_out"] == 7


def test_a_refusal_with_any_project_name_is_written_down(api: Caller) -> None:
    body = {"project": "p" * 200, "domain": "d", "launch_plan": {"name": "x"}}
    problem(api("sue").post("/api/v1/executions", body), 404)
    assert refused() == [("sue", "refused.launch", "p" * 64, "d", "POST /api/v1/executions")]


@pytest.mark.django_db
def test_an_event_lies_where_its_subject_does_unless_said_otherwise() -> None:
    execution = make_execution()
    assert (event := record("ann", "x.y", execution)) and (event.project, event.domain) == ("demo", "development")
    assert (event := record("ann", "x.y", str(execution))) and (event.project, event.domain) == ("", "")
    assert (event := record("ann", "x.y", execution, project="b")) and (event.project, event.domain) == ("b", "")
