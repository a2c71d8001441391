"""Preemption with every process that there is: who is ended, what he is told, and that his work is done in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from causeway.client import CausewayError, Client

from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser

pytestmark = pytest.mark.e2e
PLAN = "ranks.flows.rest_wf"


@pytest.fixture
def client(user: FlytekitUser) -> Iterator[Client]:
    """Of a project that may run one attempt at a time, and asked for preemption."""
    user.register("ranks", "v1")
    found = Client(user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN)
    rows = [found.quotas.set(resource, 1, project=PROJECT) for resource in ("attempts", "preemption")]
    yield found
    for row in rows:
        found.quotas.remove(row["id"])


def until(look: Callable[[], bool], told: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, told()
        time.sleep(0.2)


def attempts(client: Client, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Oldest first; none while the launch waits for a worker to look at it."""
    path = "/".join(run[part] for part in ("project", "domain", "name"))
    try:
        return list(client.connection.pages(f"executions/{path}/nodes/n0/attempts"))[::-1]
    except CausewayError as error:
        if error.status != 404:
            raise
        return []


def test_what_is_urgent_takes_the_place_of_what_is_not_which_is_done_later(client: Client) -> None:
    low = client.launch(PLAN, {"seconds": 25.0}, priority="low")
    until(
        lambda: [one["phase"] for one in attempts(client, low)] == ["RUNNING"],
        lambda: [one["error"] for one in attempts(client, low)],
    )
    equal = client.launch(PLAN, {"seconds": 0.1}, priority="low")
    high = client.launch(PLAN, {"seconds": 0.1}, priority="high", wait=60)

    assert high["phase"] == "SUCCEEDED"
    first = attempts(client, low)[0]
    assert (first["phase"], first["error"]["code"], first["error"]["kind"]) == ("FAILED", "Preempted", "SYSTEM")
    assert "/".join(high[part] for part in ("project", "domain", "name")) in first["error"]["message"]
    ends = [client.wait(one, 120) for one in (low, equal)]
    assert [one["phase"] for one in ends] == ["SUCCEEDED"] * 2, [one["error"] for one in ends]
    assert [one["phase"] for one in attempts(client, low)] == ["FAILED", "SUCCEEDED"]
    assert [one["phase"] for one in attempts(client, equal)] == ["SUCCEEDED"], "of the same priority as the first"
