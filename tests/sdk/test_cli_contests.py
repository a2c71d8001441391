"""Champion and challengers from a shell."""

from __future__ import annotations

import json

from console.accounts.models import Role, RoleBinding, User
from tests.scheduler.contests.program import World
from tests.sdk.conftest import Command


def test_a_contest_is_set_looked_at_and_decided_from_a_shell(causeway: Command) -> None:
    abe = User.objects.get(username="abe")
    RoleBinding.objects.create(user=abe, role=Role.ADMIN, project="flytesnacks")
    causeway.environment["CAUSEWAY_PROJECT"] = "flytesnacks"
    world = World()
    causeway("contest", "remove", "demand")
    members = ("--member", "linear", "--member", "forest")
    wanted = ("contest", "set", "demand", "--dataset", "rides", *members, "--metric", "auc", "--shadow")
    causeway(*wanted, "x", exit_code=2)
    said = causeway(*wanted, "infer:model")
    assert json.loads(said)["out_of_step"] == {}
    assert "linear, forest" in causeway("contest", "list")
    assert json.loads(causeway("contest", "show", "demand"))["shadow_plan"] == "infer"
    board = causeway("contest", "board", "demand")
    assert "winner, champion" in board and "0.8" in board
    assert json.loads(causeway("contest", "board", "demand", "--json"))["rounds"][0]["winner"] == "linear"
    causeway("contest", "crown", "demand", exit_code=2)
    assert world.challenger.version in causeway("contest", "crown", "demand", "--member", "forest", "--reason", "small")
    assert "every member has trained on it" in causeway("contest", "catch-up", "demand")
    world.production(world.challenger)
    assert world.champion.version in causeway("contest", "shadows", "demand")
    assert "is over" in causeway("contest", "remove", "demand")
    causeway("contest", "show", "demand", exit_code=3)
