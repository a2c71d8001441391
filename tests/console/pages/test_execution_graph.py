"""The drawing of an execution: what nodes are made of inside them, and the items of maps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from console.accounts.models import User
from console.pages import execution_graph
from console.pages.execution_graph import Box, Frame
from scheduler.models import Execution, NodeKind
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.console.pages.cast import World, make_attempt, make_execution, make_node

Browse = Callable[[User], Client]


def nested() -> Execution:
    run = make_execution("nested", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=5))
    outer = make_node(run, "n0", NodePhase.RUNNING, kind=NodeKind.WORKFLOW)
    make_node(run, "n0-0-a", NodePhase.SUCCEEDED, spec_node_id="a", parent=outer)
    items = make_node(run, "n0-0-b", NodePhase.RUNNING, spec_node_id="b", parent=outer, kind=NodeKind.ARRAY)
    for index in range(3):
        for attempt in range(2 if index == 1 else 1):
            phase = AttemptPhase.SUCCEEDED if attempt == 0 and index != 1 else AttemptPhase.FAILED
            make_attempt(items, phase, attempt=attempt, index=index, name=f"nested-{index}-{attempt}")
    return run


def drawn(client: Client, query: str = "") -> tuple[list[Frame], list[Box], str]:
    answer = client.get(f"/executions/demo/development/nested/graph/{query}")
    assert answer.status_code == 200
    return answer.context["frames"], answer.context["boxes"], answer.content.decode()


def test_what_a_node_is_made_of_is_drawn_inside_it(world: World, browse: Browse) -> None:
    nested()
    frames, boxes, page = drawn(browse(world.admin))

    (frame,) = frames
    inside = [box for box in boxes if "/nodes/n0-0-" in box.url]
    assert len(inside) == 2
    for box in inside:
        assert frame.x <= box.x and box.x + 220 <= frame.x + frame.width
        assert frame.y < box.y and box.y + box.height <= frame.y + frame.height
    assert 'aria-label="Close ' in page


def test_it_is_closed_and_opened_by_an_address(world: World, browse: Browse) -> None:
    nested()
    client = browse(world.admin)
    frames, boxes, page = drawn(client, "?close=n0")

    assert not frames and all("/nodes/n0-0-" not in box.url for box in boxes)
    assert 'aria-label="Open ' in page
    (outer,) = (box for box in boxes if box.toggle)
    assert len(drawn(client, outer.toggle)[0]) == 1
    assert f'id="{outer.toggle_id}"' in page and outer.toggle.endswith(f"#{outer.toggle_id}")


def test_an_address_says_the_same_however_many_nodes_come(
    world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested()
    client = browse(world.admin)
    assert len(drawn(client, "?open=n0")[0]) == 1 and not drawn(client, "?close=n0")[0]
    monkeypatch.setattr(execution_graph, "OPEN", 0)
    assert len(drawn(client, "?open=n0")[0]) == 1 and not drawn(client)[0]


def test_a_map_shows_a_square_for_the_newest_try_of_each_item(world: World, browse: Browse) -> None:
    nested()
    _, boxes, _ = drawn(browse(world.admin))

    (items,) = (box for box in boxes if box.marks)
    assert [mark.tone for mark in items.marks] == ["good", "bad", "good"]
    assert items.sub.startswith("3 items")
