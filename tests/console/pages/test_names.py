from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from flytekit import LaunchPlan

from console.accounts.models import User
from tests.console.pages import program
from tests.console.pages.cast import World
from tests.flyte import register_all


@pytest.mark.parametrize(
    "name", ["page/daily", "page/launch", "state/state", "page b", "page 50%", "page?b#c", "page//b"]
)
def test_the_page_of_a_launch_plan_of_any_name_is_found(
    world: World, browse: Callable[[User], Client], name: str
) -> None:
    register_all(LaunchPlan.get_or_create(program.train_model, name=name))
    for page in ("launch-plan", "launch-plan-launch"):
        found = browse(world.admin).get(reverse(page, args=["demo", "development", name]))
        assert found.status_code == 200
        assert found.context["plan"].name == name
    state = browse(world.admin).post(reverse("launch-plan-state", args=["demo", "development", name]))
    assert state.status_code == 302
