"""The page that shows every component: nothing may be left out unseen."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from console.accounts.models import User
from console.pages import badges
from tests.console.pages.cast import World


def test_it_shows_every_badge_tone_and_chart(world: World, browse: Callable[[User], Client]) -> None:
    page = browse(world.outsider).get("/styleguide/").content.decode()

    tables = (badges.STATE, badges.EXECUTION, badges.NODE, badges.ATTEMPT, badges.FIRING, badges.KIND, badges.CHECK)
    for badge in (badge for table in tables for badge in table.values()):
        assert f">{badge.label}</span>" in page, badge
    for tone in ("neutral", "info", "good", "warn", "bad", "odd"):
        assert f'class="notice tone-{tone}"' in page
    for shape in (
        "chart-line",
        "chart-room",
        "chart-axis",
        "chart-strip",
        "matrix-gap",
        "node-box",
        "node-frame",
        "node-toggle",
        "quota-bar",
    ):
        assert shape in page, shape
    for world_of in ("ml-model", "atrains"):
        assert world_of not in page.split("<main", 1)[1]


def test_it_asks_for_a_login(world: World) -> None:
    assert Client().get("/styleguide/").status_code == 302
