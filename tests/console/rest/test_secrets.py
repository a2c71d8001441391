from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from audit.models import AuditEvent
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import Secret
from tests.console.rest.conftest import Caller, problem

URL = "/api/v1/secrets"
VALUE = "s3cr3t-of-the-team"
BODY = {"project": "demo", "domain": "development", "group": "team", "key": "token", "value": VALUE}


def test_an_administrator_sets_replaces_and_removes_it_and_nobody_reads_it(api: Caller) -> None:
    ada = api("ada")
    made = ada.put(URL, BODY)
    assert made.status_code == 201, made.content
    again = ada.put(URL, {**BODY, "value": "another-value"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    shown = ada.get(URL)
    (row,) = shown.json()["results"]
    assert (row["group"], row["key"], row["updated_by"]) == ("team", "token", "ada")
    assert set(row) == {
        "id", "project", "domain", "group", "key", "version", "created_by", "created_at", "updated_by", "updated_at",
    }  # fmt: skip
    for answer in (made, again, shown):
        assert VALUE not in answer.content.decode() and "another-value" not in answer.content.decode()
    assert ada.delete(f"{URL}/{row['id']}").status_code == 204
    assert not Secret.objects.exists()
    events = list(AuditEvent.objects.filter(verb__startswith="secret.").order_by("pk"))
    assert [event.verb for event in events] == ["secret.create", "secret.replace", "secret.remove"]
    assert {event.subject for event in events} == {"team/token"}
    assert VALUE not in json.dumps([event.detail for event in events])


def test_others_may_not_set_or_remove_it(api: Caller) -> None:
    row = api("ada").put(URL, BODY).json()
    for name in ("vic", "ann", "abe", "sue"):
        problem(api(name).put(URL, BODY), 403)
    for name, status in {"vic": 403, "ann": 403, "abe": 403, "sue": 404}.items():
        problem(api(name).delete(f"{URL}/{row['id']}"), status)
    assert Secret.objects.get().updated_by == "ada"


def test_names_are_for_those_who_register_tasks_there(api: Caller) -> None:
    api("ada").put(URL, BODY)
    seen = {name: len(api(name).get(URL).json()["results"]) for name in ("vic", "ann", "abe", "ada", "sue", "root")}
    assert seen == {"vic": 0, "ann": 1, "abe": 1, "ada": 1, "sue": 0, "root": 1}


def test_wider_places_need_wider_roles(api: Caller, cast: dict[str, User]) -> None:
    everywhere = {**BODY, "project": "", "domain": ""}
    problem(api("ada").put(URL, everywhere), 403)
    assert api("root").put(URL, everywhere).status_code == 201
    assert api("ada").put(URL, {**BODY, "domain": ""}).status_code == 201
    RoleBinding.objects.filter(user=cast["ada"]).delete()
    RoleBinding.objects.create(user=cast["ada"], role=Role.ADMIN, project="demo", domain="development")
    problem(api("ada").put(URL, {**BODY, "domain": ""}), 403)
    assert api("ada").put(URL, BODY).status_code == 201


def test_what_is_not_text_comes_as_base64(api: Caller) -> None:
    body = {name: BODY[name] for name in ("project", "domain", "group", "key")}
    encoded = base64.b64encode(b"\xff\x00").decode()
    assert api("ada").put(URL, {**body, "value_base64": encoded}).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"value": ""},
        {"value_base64": "aGk="},
        {"value": None},
        {"value": "x" * 70_000},
        {"group": "", "key": ""},
        {"key": "a/b"},
        {"group": "@other"},
        {"version": ".."},
        {"domain": "moon"},
        {"colour": "red"},
        {"key": "k" * 300},
    ],
)
def test_it_explains_what_cannot_be_set_without_the_value(api: Caller, change: dict[str, Any]) -> None:
    answer = api("ada").put(URL, {**BODY, **change})
    problem(answer, 400)
    assert VALUE not in answer.content.decode() and "xxxx" not in answer.content.decode()
    assert not Secret.objects.exists() and not AuditEvent.objects.filter(verb__startswith="secret.").exists()
