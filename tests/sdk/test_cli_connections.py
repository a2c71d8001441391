"""`causeway connection` against the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from causeway.client import Client

from console.accounts.models import Role, RoleBinding
from scheduler.models import Connection
from scheduler.secrets.connections import secrets_of
from tests.sdk.conftest import Command


@pytest.fixture(autouse=True)
def administrator(client: Client) -> None:
    RoleBinding.objects.update(role=Role.ADMIN)


def test_it_is_set_with_a_password_that_is_piped_in(causeway: Command, tmp_path: Path) -> None:
    said = causeway(
        *("connection", "set", "warehouse", "--kind", "postgresql", "--host", "db.example.org", "--port", "5432"),
        *("--option", "sslmode=require", "--password"),
        typed="s3cr3t\n",
    )
    assert "warehouse is set for demo/development" in said
    (tmp_path / "more.json").write_text('{"token": "t0ken"}')
    causeway("connection", "set", "warehouse", "--host", "h", "--secrets", tmp_path / "more.json")
    row = Connection.objects.get()
    assert (row.host, row.port, secrets_of(row)) == ("h", None, {"password": "s3cr3t", "token": "t0ken"})
    (listed,) = json.loads(causeway("connection", "list", "--json"))
    assert listed["secret_names"] == ["password", "token"]
    assert "s3cr3t" not in causeway("connection", "list")
    assert "no connection warehouse" in causeway("connection", "remove", "warehouse", "--all-domains", exit_code=3)
    assert "is removed" in causeway("connection", "remove", "warehouse")
    assert not Connection.objects.exists()


def test_it_says_what_cannot_be(causeway: Command, tmp_path: Path) -> None:
    assert "not NAME=VALUE" in causeway("connection", "set", "w", "--option", "x", exit_code=2)
    assert "cannot be the name" in causeway("connection", "set", "W w", exit_code=1)
    (tmp_path / "list.json").write_text("[]")
    assert "not a JSON object" in causeway("connection", "set", "w", "--secrets", tmp_path / "list.json", exit_code=2)
