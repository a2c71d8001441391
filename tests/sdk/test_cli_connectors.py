"""`causeway connector` against the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from causeway.client import CausewayError, Client
from django.utils import timezone

from console.accounts.models import Role, RoleBinding
from scheduler.models import ConnectorCatalogue, ConnectorSettings
from tests.sdk.conftest import Command


@pytest.fixture(autouse=True)
def administrator(client: Client) -> None:
    RoleBinding.objects.update(role=Role.ADMIN, project="", domain="")


def test_one_is_set_changed_shown_listed_and_removed(causeway: Command, tmp_path: Path) -> None:
    made = causeway("connector", "set", "yard", "--endpoint", "yard:8000")
    assert "yard is set, open for new attempts" in made
    assert "closed" in causeway("connector", "set", "yard", "--closed")
    types = [
        {"agent": "Yard", "type": "ship", "version": 2, "sync": False},
        {"agent": "S", "type": "sensor", "version": 0, "sync": False},
    ]
    now = timezone.now()
    ConnectorCatalogue.objects.create(name="yard", endpoint="yard:8000", types=types, read_at=now, asked_at=now)
    shown = causeway("connector", "show", "yard")
    assert "yard:8000" in shown and "ship v2, sensor" in shown
    (tmp_path / "yard.yaml").write_text("endpoint: yard:9000\nprojects: [isles]\n")
    causeway("connector", "set", "yard", "--from-file", tmp_path / "yard.yaml", "--closed")
    (row,) = json.loads(causeway("connector", "list", "--json"))
    assert (row["name"], row["open"], row["endpoint"], row["description"]["projects"]) == (
        "yard", False, "yard:9000", ["isles"],
    )  # fmt: skip
    assert "yard is removed" in causeway("connector", "remove", "yard")
    assert not ConnectorSettings.objects.exists()


def test_it_says_what_is_wrong(causeway: Command) -> None:
    assert "no connector yard" in causeway("connector", "show", "yard", exit_code=3)
    assert "nothing to set" in causeway("connector", "set", "yard", exit_code=2)
    RoleBinding.objects.update(role=Role.ADMIN, project="demo")
    assert "whole platform" in causeway("connector", "list", exit_code=4)


def test_the_client_does_the_same(client: Client) -> None:
    client.connectors.set("yard", {"endpoint": "yard:8000", "at_once": 3})
    assert client.connectors.change("yard", {"at_once": None})["description"] == {"endpoint": "yard:8000"}
    assert client.connectors.get("yard")["open"]
    with pytest.raises(CausewayError, match="has no setting"):
        client.connectors.change("yard", {"nothing": 1})
    client.connectors.remove("yard")
    assert client.connectors.list() == []
