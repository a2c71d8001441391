"""`causeway secret` against the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from causeway.client import CausewayError, Client

from console.accounts.models import Role, RoleBinding
from scheduler.models import Secret
from scheduler.secrets.cipher import open_sealed
from scheduler.secrets.lookup import bound_to
from tests.sdk.conftest import Command


def value_of(row: Secret) -> bytes:
    return open_sealed(bytes(row.sealed), bound_to=bound_to(row))


@pytest.fixture(autouse=True)
def administrator(client: Client) -> None:
    RoleBinding.objects.update(role=Role.ADMIN)


def test_a_value_is_piped_in_and_only_its_name_comes_out(causeway: Command, tmp_path: Path) -> None:
    assert "team/token is set for demo/development" in causeway("secret", "set", "team/token", typed="s3cr3t\n")
    assert value_of(Secret.objects.get()) == b"s3cr3t"
    (tmp_path / "key.der").write_bytes(b"\xff\x00\n")
    causeway("secret", "set", "cert", "--all-domains", "--version", "v1", "--from-file", tmp_path / "key.der")
    assert value_of(Secret.objects.get(key="cert")) == b"\xff\x00\n"
    listed = json.loads(causeway("secret", "list", "--json"))
    assert [(row["group"], row["key"], row["version"], row["domain"]) for row in listed] == [
        ("", "cert", "v1", ""),
        ("team", "token", "", "development"),
    ]
    assert "s3cr3t" not in causeway("secret", "list")


def test_it_is_removed_where_it_was_set_only(causeway: Command) -> None:
    causeway("secret", "set", "team/token", typed="v")
    assert "no secret team/token" in causeway("secret", "remove", "team/token", "--all-domains", exit_code=3)
    assert "is removed" in causeway("secret", "remove", "TEAM/token")
    assert not Secret.objects.exists()


def test_it_says_who_may_not_and_what_cannot_be(causeway: Command) -> None:
    assert "whole platform" in causeway("secret", "set", "k", "--all-projects", typed="v", exit_code=4)
    assert "needs a value" in causeway("secret", "set", "k", typed="", exit_code=1)


def test_the_client_sets_lists_and_removes(client: Client) -> None:
    client.secrets.set("token", "v", group="team")
    with pytest.raises(CausewayError, match="cannot be the key"):
        client.secrets.set("a/b", "v")
    assert [row["key"] for row in client.secrets.list()] == ["token"]
    assert client.secrets.remove("token", group="team")
    assert not client.secrets.remove("token", group="team")
