"""Lists cost the same number of queries however long they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from artifacts.models import Kind
from console.accounts.models import User
from scheduler.phases import ExecutionPhase
from tests.console.pages.cast import World, make_execution, make_version

# Session and user are 2; the frame of a page takes 2 more: projects and the count of waiting gates.
MOST = {
    # What unfinished executions do is counted in three, of those shown asked in six; two for what is decided about.
    "/": 28,
    "/artifacts/": 14,  # searched for within limits, set and taken off again; facets of one page are told by its rows
    "/executions/": 15,  # of all for the facets, and of those shown
    "/approvals/": 8,  # two for what is decided about
    "/launch-plans/": 8,  # with one for the runs of all
    "/workflows/": 7,
    "/tasks/": 7,
    # Three for the matrix, five for charts and approvals, three for who uses it
    "/artifacts/demo/development/ml-dataset/": 21,
    "/artifacts/names/": 12,  # the newest of all, and all of those on the page
    "/artifacts/names/?sort=-stale": 13,  # and what all are ordered by
    "/map/": 8,
    "/search/?q=train": 19,  # one for the projects that its words name
    "/schedules/": 5,
}


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize("address", sorted(MOST))
def test_it_asks_no_more_for_longer_lists(world: World, browse: Callable[[User], Client], address: str) -> None:
    client = browse(world.admin)
    before = queries(client, address)
    for number in range(12):
        make_version("ml-dataset", Kind.DATASET, number=100 + number)
        make_execution(f"more{number}", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(hours=number))

    assert queries(client, address) == before
    assert before <= MOST[address]
