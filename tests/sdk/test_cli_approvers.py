"""Rules, groups, delegations and evidence from a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.accounts.models import Role, RoleBinding, User
from scheduler.models import ApprovalRule, Delegation
from tests.console.rest.rows import make_execution, make_gate
from tests.sdk.conftest import Command


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("CAUSEWAY_EVIDENCE_KEYS", str(path))
    return path


def test_who_decides_is_set_from_a_shell(causeway: Command) -> None:
    User.objects.create(username="vic")
    causeway("approver-group", "set", "board", "abe", "vic", exit_code=4)
    RoleBinding.objects.filter(user__username="abe").update(role=Role.ADMIN)
    causeway("approver-group", "set", "board", "abe", "vic")
    assert "board" in causeway("approver-group", "list")
    causeway("approval-rule", "set", "--signal", "ok", "--group", "board", "--quorum", "3", exit_code=1)
    causeway("approval-rule", "set", "--signal", "ok", "--group", "board", "--quorum", "2")
    assert "board" in causeway("approval-rule", "list")
    gate = make_gate(make_execution())
    assert causeway("approve", gate.pk) == f"your vote about {gate.pk} is kept: 1 of 2\n"
    causeway("approval-rule", "remove", ApprovalRule.objects.get().pk)
    causeway("approver-group", "remove", "board")


def test_delegations_are_made_and_revoked(causeway: Command) -> None:
    User.objects.create(username="vic")
    assert "vic decides until" in causeway("delegation", "add", "vic", "--until", "2027-01-01")
    assert "vic" in causeway("delegation", "list")
    causeway("delegation", "revoke", Delegation.objects.get().pk)
    assert Delegation.objects.get().revoked_at is not None


def test_evidence_is_verified_offline_and_a_forged_one_is_not(causeway: Command, keys: Path, tmp_path: Path) -> None:
    gate = make_gate(make_execution())
    causeway("approve", gate.pk, "--comment", "gut genug für Köln")
    file = tmp_path / "evidence.json"
    causeway("evidence", "get", gate.pk, "-o", file)
    offline = Command("http://127.0.0.1:1", "none")
    assert "approved" in offline("evidence", "verify", file) and keys.exists()
    assert json.loads(offline("evidence", "verify", file, "--json"))["valid"] is True

    document = json.loads(file.read_text())
    document["decision"]["approved"] = False
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps(document))
    assert "the signature does not fit" in offline("evidence", "verify", forged, exit_code=1)
    document["key"]["id"] = "f" * 16
    forged.write_text(json.dumps(document))
    assert "not trusted here" in offline("evidence", "verify", forged, exit_code=1)
    forged.write_text("no json")
    assert "is no JSON" in offline("evidence", "verify", forged, exit_code=1)
    keys.unlink()
    assert "not trusted here" in offline("evidence", "verify", file, exit_code=1)
    causeway("evidence", "keys", "--trust")
    offline("evidence", "verify", file)
