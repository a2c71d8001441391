"""`causeway sql` and `causeway reader` against the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from causeway.client import Client
from django.core.management import call_command

from console.accounts.models import Reader, Role, RoleBinding
from tests.console.sql_readers import MINE
from tests.sdk.conftest import Command


def test_a_query_is_shown_as_a_table_json_or_a_file(client: Client, causeway: Command, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    file.write_text("city,amount\na,1\nb,2\n")
    causeway("artifact", "create", "sales", "--file", file)
    query = "SELECT city, amount FROM artifact('sales') ORDER BY 2 DESC"
    assert causeway("sql", query).split() == ["city", "amount", "b", "2", "a", "1"]
    own = "SELECT 1 AS _a_b, '2026-01-01T00:00:00+09:00' AS made_at"
    assert causeway("sql", own).split() == ["_a_b", "made_at", "1", "2026-01-01T00:00:00+09:00"]
    assert json.loads(causeway("sql", "-", "--json", typed=query))[0] == {"city": "b", "amount": 2}
    out = tmp_path / "out.csv"
    causeway("sql", query, "--format", "csv", "-o", out)
    assert out.read_bytes() == b"city,amount\r\nb,2\r\na,1\r\n"
    assert "no" in causeway("sql", "SELECT * FROM artifact('nothing')", exit_code=3)
    assert "syntax error" in causeway("sql", "SELEC", exit_code=1)


def test_a_reader_is_made_changed_rotated_and_removed(client: Client, causeway: Command) -> None:
    call_command("harden_database", run=True)
    name = f"{MINE}_cli"
    causeway("reader", "create", name, "--sees", "demo", exit_code=4)
    RoleBinding.objects.update(role=Role.ADMIN)
    said = causeway("reader", "create", name, "--sees", "demo", "--seconds", 5)
    try:
        assert f"causeway_reader_{name}" in said and "password" in said
        assert name in causeway("reader", "list")
        assert "demo/staging" in causeway("reader", "change", name, "--sees", "demo/staging")
        assert "nothing to change" in causeway("reader", "change", name, exit_code=2)
        assert "password" in json.loads(causeway("reader", "rotate", name, "--json"))
    finally:
        causeway("reader", "remove", name)
    assert not Reader.objects.exists()
    causeway("reader", "remove", name, exit_code=3)


@pytest.mark.parametrize("name", ["Ann", "a-b", "a" * 41])
def test_a_name_that_cannot_be_a_role_is_refused(client: Client, causeway: Command, name: str) -> None:
    RoleBinding.objects.update(role=Role.ADMIN)
    causeway("reader", "create", name, "--sees", "demo", exit_code=1)
