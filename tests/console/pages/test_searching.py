"""The search boxes of executions, launch plans, workflows and tasks."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from scheduler.phases import ExecutionPhase
from tests.console.pages.cast import World, make_execution

Browse = Callable[[User], Client]
YESTERDAY = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%d")  # the newest may be of before midnight


def found(client: Client, path: str, text: str) -> list[str]:
    response = client.get(f"{path}?q={quote(text)}")
    assert response.status_code == 200 and not response.context["problem"], response.context["problem"]
    return sorted(row.name.rpartition(".")[2] for row in response.context["page"].rows)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["aevaluates", "afailed", "amakes", "atrains"]),
        ("atra", ["atrains"]),
        ("make_dataset", ["amakes"]),
        ("phase:failed", ["afailed"]),
        ("phase:FAILED phase:gated", ["aevaluates", "afailed"]),
        ("phase:running", []),
        ("phase:2", ["aevaluates"]),
        ("phase:unfinished", ["aevaluates"]),
        ("plan:train_on_dataset -phase:failed", ["atrains"]),
        ("plan:train_on*", ["afailed", "atrains"]),
        ("workflow:evaluate_model", ["aevaluates"]),
        ("workflow:evaluate", []),
        ("mode:trigger", ["atrains"]),
        ("by:admin project:demo domain:development version:v1", ["aevaluates", "afailed", "amakes", "atrains"]),
        ("by:nobody", []),
        (f"created>={YESTERDAY} created<2099-01-01 atrains", ["atrains"]),
        ("created<2020-01-01", []),
    ],
)
def test_it_finds_executions(world: World, browse: Browse, text: str, names: list[str]) -> None:
    assert found(browse(world.admin), "/executions/", text) == names


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("/launch-plans/", "state:active", ["train_on_dataset"]),
        ("/launch-plans/", "starts:trigger", ["train_on_dataset"]),
        ("/launch-plans/", "artifact:ml-dataset", ["train_on_dataset"]),
        ("/launch-plans/", "make_dataset -state:active", ["make_dataset"]),
        ("/workflows/", "evaluate", ["evaluate_model"]),
        ("/workflows/", "name:make_dataset version:v1", ["make_dataset"]),
        ("/workflows/", "version:v2", []),
        ("/tasks/", "type:python-task name:train", ["train"]),
        ("/tasks/", "created<2020-01-01", []),
    ],
)
def test_it_finds_what_is_registered(world: World, browse: Browse, path: str, text: str, names: list[str]) -> None:
    assert found(browse(world.admin), path, text) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phase:fine", "phase: is one of queued, waiting, gated, starting, running"),
        ("colour:red", "is no filter here; filters: phase:, workflow:, plan:"),
        ("phase:", "phase: needs a value"),
        ("created>soon", "soon"),
        ("x" * 2001, "at most 2000"),
    ],
)
def test_it_says_what_is_wrong_with_a_search(world: World, browse: Browse, text: str, said: str) -> None:
    response = browse(world.admin).get(f"/executions/?q={quote(text)}")
    assert response.status_code == 200 and "That search cannot be read" in response.content.decode()
    assert said in response.context["problem"]


def test_it_counts_and_a_click_narrows_and_widens_again(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    groups = {group.title: group.values for group in client.get("/executions/").context["facets"]}
    counts = {value.value: value.count for value in groups["Phase"]}
    assert counts == {"succeeded": "2", "failed": "1", "gated": "1"}

    failed = next(value for value in groups["Phase"] if value.value == "failed")
    narrowed = client.get(f"/executions/{failed.href}")
    assert [row.name for row in narrowed.context["page"].rows] == ["afailed"]
    chosen = next(value for group in narrowed.context["facets"] for value in group.values if value.chosen)
    assert chosen.href == "?q="


def test_it_takes_filters_of_other_pages_into_the_box(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    for address in re.findall(r'href="(/executions/\?[^"]+)"', client.get("/").content.decode()):
        assert re.fullmatch(r"phase:(running|idle|succeeded|failed)|workflow:[\w.]+", client.get(address).context["q"])
    response = client.get("/executions/?plan=train_on_dataset&phase=6")
    assert response.context["q"] == "phase:6 plan:train_on_dataset"
    assert [row.name for row in response.context["page"].rows] == ["afailed"]


def test_it_pages_what_was_found_with_the_same_queries(
    world: World, browse: Browse, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        phase = ExecutionPhase.ABORTED if number % 2 else ExecutionPhase.SUCCEEDED
        make_execution(f"more{number}", "train_on_dataset", phase, age=timedelta(hours=number), ended_at=None)
    client = browse(world.admin)
    with django_assert_max_num_queries(8):
        first = client.get("/executions/?q=more")
    second = client.get(f"/executions/{first.context['page'].older}")
    assert len(first.context["page"].rows) == 50 and len(second.context["page"].rows) == 10
    assert not {row.pk for row in first.context["page"].rows} & {row.pk for row in second.context["page"].rows}


def test_it_counts_only_what_one_may_read(world: World, browse: Browse) -> None:
    assert browse(world.outsider).get("/executions/").context["facets"] == []
