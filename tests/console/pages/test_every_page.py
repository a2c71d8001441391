"""What holds for every page: it answers, it is guarded, it obeys its own content security policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client

from console.accounts.models import User
from console.pages import badges
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.console.pages.cast import World

Browse = Callable[[User], Client]
RUN, NODE = "/executions/demo/development/{}/", "/executions/demo/development/{}/nodes/{}/"


def addresses(world: World) -> list[str]:
    version = f"/artifacts/versions/{world.model.pk}/"
    workflow = world.trains.workflow.name
    return [
        "/",
        "/artifacts/",
        "/artifacts/demo/development/ml-model/",
        f"/artifacts/governance/{world.model.artifact_id}/",
        *(version + tab for tab in ("", "object/", "object/preview/", "card/", "lineage/", "graph/", "canvas/")),
        f"/compare/?v={world.model.pk}&v={world.dataset.pk}",
        f"/compare/?x={world.trains.key}&x={world.failed.key}",
        "/executions/",
        *(RUN.format(name) for name in ("amakes", "atrains", "aevaluates", "afailed")),
        *(RUN.format("atrains") + tab for tab in ("graph/", "data/", "events/")),
        NODE.format("atrains", "n0"),
        NODE.format("aevaluates", "n1"),
        NODE.format("atrains", "n0") + f"logs/{world.attempt.pk}/",
        "/approvals/",
        f"/approvals/{world.gate.pk}/",
        *(version + tab for tab in ("why/", "keep/", "erase/", "erase/?derived=on")),
        RUN.format("atrains") + "why/",
        "/approvers/",
        "/promotions/",
        "/service-levels/",
        "/contests/",
        "/launch-plans/",
        "/launch-plans/demo/development/train_on_dataset/",
        f"/launch-plans/demo/development/{workflow}/launch/",
        "/workflows/",
        f"/workflows/demo/development/{workflow}/",
        "/tasks/",
        "/tasks/demo/development/tests.console.pages.program.train/",
        "/tasks/demo/development/tests.console.pages.program.train/launch/",
        "/tokens/",
        "/password/",
        "/notifications/",
        "/sessions/",
        "/projects/",
        "/schedules/calendar/",
        "/oauth2/device",
        "/sql/",
        "/elsewhere/",
        "/elsewhere/?kind=jobs",
    ]


def test_it_shows_every_page_to_an_admin(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    for address in addresses(world):
        response = client.get(address)
        assert response.status_code == 200, address
        assert len(response.content) < 100_000, address


def test_every_link_leads_to_something(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    known: dict[str, str] = {}
    for address in addresses(world):
        for link in re.findall(r'href="([^"#]+)', client.get(address).content.decode()):
            target = urljoin(address, unescape(link))
            if urlsplit(target).netloc or target.startswith(("/static/", "/admin/")):
                continue
            known.setdefault(target, address)
    assert len(known) > 50
    dead = {target: address for target, address in known.items() if client.get(target).status_code >= 400}
    assert not dead, dead


def test_it_asks_for_a_login_on_every_page(world: World) -> None:
    for address in addresses(world):
        response = Client().get(address)
        assert response.status_code == 302 and response["Location"].startswith("/login/"), address


def test_it_writes_no_inline_script_style_or_handler(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    forbidden = re.compile(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|href=\"javascript:", re.IGNORECASE)
    for address in addresses(world):
        response = client.get(address)
        assert "default-src 'self'" in response["Content-Security-Policy"], address
        found = forbidden.search(response.content.decode())
        assert found is None, f"{address}: {found.group() if found else ''}"


def test_it_keeps_an_href_beside_every_hx_link(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    for address in addresses(world):
        for tag in re.findall(r"<a\s[^>]*hx-get[^>]*>", client.get(address).content.decode()):
            assert "href=" in tag, f"{address}: {tag}"


def test_it_tells_an_outsider_nothing(world: World, browse: Browse) -> None:
    client = browse(world.outsider)
    for address in addresses(world):
        response = client.get(address)
        if response.status_code == 200:
            text = response.content.decode()
            for secret in ("ml-model", "atrains", "approve_model", "train_on_dataset", "program.train"):
                assert secret not in text, f"{address} shows {secret}"
        else:
            assert response.status_code == 404, address


def test_it_lets_a_viewer_read_but_offers_no_action(world: World, browse: Browse) -> None:
    client = browse(world.viewer)
    assert "Abort" not in client.get(RUN.format("aevaluates")).content.decode()
    assert "needs the role approver" in client.get(f"/approvals/{world.gate.pk}/").content.decode()
    plan = client.get("/launch-plans/demo/development/train_on_dataset/").content.decode()
    assert "Deactivate" not in plan and ">Update<" not in plan


@pytest.mark.parametrize("address", ["/nothing/", "/artifacts/versions/999999/", "/executions/demo/development/no/"])
def test_it_answers_404_with_a_page_of_its_own(world: World, browse: Browse, address: str) -> None:
    response = browse(world.admin).get(address)

    assert response.status_code == 404
    assert b"To the overview" in response.content


def test_it_has_a_badge_for_every_phase() -> None:
    assert set(badges.EXECUTION) == set(ExecutionPhase)
    assert set(badges.NODE) == set(NodePhase)
    assert set(badges.ATTEMPT) == set(AttemptPhase)
