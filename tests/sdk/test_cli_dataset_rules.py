"""`causeway dataset-rule` against the real API."""

from __future__ import annotations

import json

from causeway.client import Client

from console.accounts.models import Role, RoleBinding
from lineage.models import DatasetRule
from tests.sdk.conftest import Command

RULE = ("dataset-rule", "create", "postgres://*", "shop.public.{table}")


def test_a_rule_is_made_listed_and_removed_by_an_administrator(client: Client, causeway: Command) -> None:
    causeway(*RULE, "raw-{table}", exit_code=4)
    RoleBinding.objects.update(role=Role.ADMIN)
    assert "{nothing} is in no pattern" in causeway(*RULE, "{nothing}", exit_code=1)
    assert "KEY=VALUE" in causeway(*RULE, "raw", "-P", "region", exit_code=2)
    said = causeway(*RULE, "raw-{table}", "-P", "table={table}", "--by-time", "day", "--position", 7)
    assert "postgres://* shop.public.{table} -> raw-{table}" in said
    rule = DatasetRule.objects.get()
    assert (rule.partitions, rule.by_time, rule.position) == ({"table": "{table}"}, "day", 7)
    assert [one["id"] for one in json.loads(causeway("dataset-rule", "list", "--json"))] == [rule.pk]
    causeway("dataset-rule", "remove", rule.pk)
    assert not DatasetRule.objects.exists()
    causeway("dataset-rule", "remove", rule.pk, exit_code=3)
