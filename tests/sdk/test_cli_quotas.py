"""`causeway quota` and `causeway queue` against the real API."""

from __future__ import annotations

import json

import pytest
from causeway.client import Client

from console.accounts.models import Role, RoleBinding
from scheduler.models import Project, Quota
from tests.sdk.conftest import Command


@pytest.fixture(autouse=True)
def administrator(client: Client) -> None:
    RoleBinding.objects.update(role=Role.ADMIN, project="", domain="")
    Project.objects.get_or_create(identifier="demo")


def test_one_is_set_shown_listed_and_removed(causeway: Command) -> None:
    made = causeway("quota", "set", "gpu", "4", "--of", "demo", "--guaranteed", "1")
    number = str(Quota.objects.get().pk)
    assert made.strip() == f"nvidia.com/gpu of project demo: 0 of 4 in use (quota {number})"
    causeway("quota", "set", "gpu-hours", "500", "--of", "demo", "--window", "week", "--until", "2099-01-01")
    shown = causeway("quota", "show", number)
    assert "guaranteed   1.0" in shown and "project demo" in shown
    rows = json.loads(causeway("quota", "list", "--json"))
    assert [(row["resource"], row["limit"]) for row in rows] == [("gpu-hours", 500.0), ("nvidia.com/gpu", 4.0)]
    assert rows[0]["valid_until"] == "2099-01-01T00:00:00Z"
    assert "gpu-hours/week" in causeway("quota", "list", "--of", "demo")
    assert f"quota {number} is removed" in causeway("quota", "remove", number)
    assert "PROJECT" in causeway("queue")
    assert "PROCESSES" in causeway("queue", "--places")
    assert causeway("usage", "--by", "project,user").split() == ["PROJECT", "USER", "RESOURCE", "HOURS", "COST"]
    assert json.loads(causeway("usage", "--start", "2026-01-01", "--json")) == []
    assert "not kept by colour" in causeway("usage", "--by", "colour", exit_code=1)


def test_prices(causeway: Command) -> None:
    made = causeway("price", "set", "gpu", "2.5", "--currency", "EUR", "--from", "2026-01-01")
    assert made.startswith("nvidia.com/gpu: 2.5 EUR an hour from 2026-01-01T00:00:00Z")
    (row,) = json.loads(causeway("price", "list", "--json"))
    assert (row["resource"], row["per_hour"]) == ("nvidia.com/gpu", 2.5)
    assert "between 0 and" in causeway("price", "set", "gpu", "-1", exit_code=1)
    assert "removed" in causeway("price", "remove", str(row["id"]))
    assert json.loads(causeway("price", "list", "--json")) == []


def test_it_says_what_is_wrong(causeway: Command) -> None:
    assert "no quota 99" in causeway("quota", "show", "99", exit_code=3)
    assert "cannot be negative" in causeway("quota", "set", "gpu", "--", "-4", exit_code=1)
    assert "the limit cannot be negative: -1" in causeway("quota", "set", "cpu", "-1", exit_code=1)
    assert "1 to 100 percent of the limit, not -5" in causeway(
        "quota", "set", "cpu", "1", "--warn-at", "-5", exit_code=1
    )
    assert "No such option" in causeway("quota", "set", "cpu", "1", "--whom", "demo", exit_code=2)
    RoleBinding.objects.update(role=Role.VIEWER, project="demo")
    assert "demo" in causeway("quota", "set", "gpu", "4", "--of", "demo", exit_code=4)
