from __future__ import annotations

import json

import pytest
from causeway.client import CausewayError, Client

from console.accounts import tokens
from console.accounts.models import Role, RoleBinding, User
from lineage.actions.record import record_derivations
from tests.sdk.conftest import Command

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(client: Client) -> Client:
    """An admin of the project, beside the approver."""
    user = User.objects.create(username="ada")
    RoleBinding.objects.create(user=user, role=Role.ADMIN, project="demo")
    return Client(client.connection.url, tokens.create(user, "tests")[1], "demo", "development")


def test_the_client_and_the_command_follow_lineage_and_retention(admin: Client) -> None:
    raw = admin.create("raw", 1, version="v1", kind="dataset")
    model = admin.create("model", 2, version="v1", kind="model")
    record_derivations([(raw.id, model.id)])
    lineage = admin.lineage
    assert [node["id"] for node in lineage.graph(model)["nodes"]] == [model.id, raw.id]
    assert [node["id"] for node in lineage.graph(raw.id, direction="downstream", depth=1)["nodes"]] == [
        raw.id,
        model.id,
    ]
    assert [one["name"] for one in lineage.trained_on(model)] == ["raw"] and lineage.feeds(model) == []
    assert not lineage.staleness(model)["stale"] and lineage.stale() == []
    newer = admin.create("raw", 3, version="v2", kind="dataset")
    assert lineage.staleness(model)["reasons"][0]["newer"]["id"] == newer.id
    assert lineage.compare(raw, newer)["differences"]["value"] == [1, 3]
    assert lineage.export(model, "dot").startswith("digraph")
    assert {one["name"] for one in lineage.map(name="raw", project="demo", domain="development")["artifacts"]} == {
        "raw",
        "model",
    }
    token = admin.connection.session.headers["Authorization"].split()[1]  # type: ignore[union-attr]
    causeway = Command(admin.connection.url, str(token))
    assert "raw" in causeway("lineage", "upstream", "model")
    assert json.loads(causeway("lineage", "downstream", "raw", "--version", "v1", "--format", "json"))["edges"]
    assert causeway("lineage", "map", "model").startswith("flowchart")
    assert "v2" in causeway("lineage", "stale") and "raw" in causeway("lineage", "trained-on", "model")
    assert "value" in causeway("lineage", "compare", "raw", "v1", "v2")

    with pytest.raises(CausewayError, match="everything is kept"):
        admin.retention.policy("raw")
    causeway("retention", "set", "raw", "--newest", "1")
    assert "a kept version was made of it" in causeway("retention", "plan", "raw")
    assert "goes" in causeway("retention", "plan", "raw", "--newest", "1", "--drop-ancestors")
    assert causeway("retention", "run", "raw") == "0 removed\n"
    assert json.loads(causeway("artifact", "remove", "raw", "--version", "v1", "--dry-run"))["needs_tombstone"]
    assert "made of it" in causeway("artifact", "remove", "raw", "--version", "v1", exit_code=1)
    causeway("artifact", "remove", "raw", "--version", "v1", "--tombstone", "--reason", "wrong")
    assert [one["reason"] for one in admin.retention.removals("raw")] == ["wrong"]
    assert "wrong" in causeway("retention", "removals", "raw")
    assert json.loads(causeway("retention", "show", "raw"))["keep_newest"] == 1
    causeway("retention", "delete", "raw")
