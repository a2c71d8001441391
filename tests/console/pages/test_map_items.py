"""A map at a glance: squares, durations, the slowest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.accounts.models import User
from console.pages import map_items
from console.pages.map_items import items_context
from scheduler.models import Execution, NodeExecution, NodeKind, TaskExecution
from scheduler.phases import AttemptPhase, NodePhase
from tests.console.pages.cast import World, make_attempt, make_node

Browse = Callable[[User], Client]
ADDRESS = "/executions/demo/development/aevaluates/nodes/m/"


@pytest.fixture
def node(world: World) -> NodeExecution:
    """120 items: item i took i seconds; 7 failed and was repeated, 100 runs, the last ten are queued."""
    made = make_node(Execution.objects.get(name="aevaluates"), "m", NodePhase.RUNNING, kind=NodeKind.ARRAY)
    start = made.created_at
    rows = []
    for index in range(120):
        phase = AttemptPhase.SUCCEEDED if index < 110 else AttemptPhase.QUEUED
        phase = AttemptPhase.RUNNING if index == 100 else phase
        ended = start + timedelta(seconds=index) if phase == AttemptPhase.SUCCEEDED else None
        rows.append((index, phase, ended))
    for index, phase, ended in rows:
        make_attempt(
            made,
            phase,
            index=index,
            name=f"m-{index}",
            attempt=1 if index == 7 else 0,
            started_at=None if phase == AttemptPhase.QUEUED else start,
            ended_at=ended,
        )
    make_attempt(made, AttemptPhase.FAILED, index=7, name="m-7-first")
    return made


def test_each_item_is_one_square_in_the_colour_of_its_newest_attempt(world: World, node: NodeExecution) -> None:
    context = items_context(node)

    squares = context["squares"]
    assert [square.index for square in squares] == list(range(120))
    assert len({(square.x, square.y) for square in squares}) == 120
    assert {badge.label: count for badge, count in context["item_counts"]} == {
        "Succeeded": 109,
        "Queued": 10,
        "Running": 1,
    }


def test_durations_are_counted_and_the_slowest_named(world: World, node: NodeExecution) -> None:
    context = items_context(node)

    assert sum(int(one.words.split()[0]) for one in context["bins"]) == 109
    slowest = [one.index for one in context["slowest"]]
    assert slowest[0] == 100 and slowest[1:] == [109, 108, 107, 106], "what still runs counts as long as it has run"


def test_the_page_leads_to_each_item_and_asks_no_more_for_more(
    world: World, browse: Browse, node: NodeExecution, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browse(world.admin)
    with CaptureQueriesContext(connection) as many:
        page = client.get(ADDRESS).content.decode()
    assert f'{ADDRESS}?item=77"' in page and "item 77, succeeded" in page
    TaskExecution.objects.filter(node=node, index__gt=70, phase=AttemptPhase.SUCCEEDED).delete()
    with CaptureQueriesContext(connection) as few:
        client.get(ADDRESS)
    assert len(few) == len(many)
    monkeypatch.setattr(map_items, "LINKED", 10)
    assert "?item=20" not in client.get(ADDRESS).content.decode()


def test_it_polls_by_itself_while_the_map_runs(world: World, browse: Browse, node: NodeExecution) -> None:
    client = browse(world.admin)
    headers = {"HX-Request": "true"}
    assert "every 5s" in client.get(f"{ADDRESS}items/", headers=headers).content.decode()
    again = client.get(ADDRESS, headers=headers).content.decode()
    assert '<div id="items-frame" hx-preserve="true"></div>' in again
    NodeExecution.objects.filter(pk=node.pk).update(phase=NodePhase.SUCCEEDED)
    ended = client.get(f"{ADDRESS}items/", headers=headers)
    assert ended.status_code == 286 and "hx-trigger" not in ended.content.decode()


def test_a_task_has_no_items(world: World, browse: Browse) -> None:
    page = browse(world.admin).get("/executions/demo/development/atrains/nodes/n0/").content.decode()
    assert "item-grid" not in page
