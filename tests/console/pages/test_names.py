from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin

import pytest
from django.test import Client
from django.urls import reverse
from flytekit import LaunchPlan

from console.accounts.models import User
from scheduler.phases import AttemptPhase, NodePhase
from tests.console.pages import program
from tests.console.pages.cast import World, make_attempt, make_node
from tests.flyte import register_all


@pytest.mark.parametrize(
    "name",
    ["page/daily", "page/launch", "state/state", "page b", "page 50%", "page?b#c", "page//b", "page/../b", "./b"],
)
def test_the_page_of_a_launch_plan_of_any_name_is_found(
    world: World, browse: Callable[[User], Client], name: str
) -> None:
    register_all(LaunchPlan.get_or_create(program.train_model, name=name))
    for page in ("launch-plan", "launch-plan-launch"):
        address = reverse(page, args=["demo", "development", name])
        found = browse(world.admin).get(urljoin("/", address))  # as a browser goes there
        assert found.status_code == 200
        assert found.context["plan"].name == name
    state = browse(world.admin).post(reverse("launch-plan-state", args=["demo", "development", name]))
    assert state.status_code == 302


@pytest.mark.parametrize("node_id", ["load/clean", "load b", "50%?#", "../n0", "logs/1"])
def test_the_pages_of_a_node_of_any_name_are_found(
    world: World, browse: Callable[[User], Client], node_id: str
) -> None:
    node = make_node(world.trains, node_id, NodePhase.SUCCEEDED)
    client = browse(world.admin)
    where = ["demo", "development", "atrains", node_id]
    attempt = make_attempt(node, AttemptPhase.SUCCEEDED)
    for address in (reverse("node", args=where), reverse("node-logs", args=[*where, attempt.pk])):
        found = client.get(urljoin("/", address))
        assert (found.status_code, found.context["node"].node_id) == (200, node_id)
    for tab in ("", "graph/", "data/", "events/"):
        assert client.get(f"/executions/demo/development/atrains/{tab}").status_code == 200
