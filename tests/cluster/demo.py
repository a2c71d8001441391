"""The reactive demo on pods: from a published version to what is deployed of it; nobody calls anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from causeway.client import CausewayError, Client, Version

from tests.cluster.driving import PATIENCE
from tests.cluster.running import eventually

T = TypeVar("T")
MADE = ("rows-on-pods", "model-on-pods", "approved-on-pods", "deployed-on-pods")


def play(client: Client, publish: Callable[[], int], between: Callable[[], None] = lambda: None) -> None:
    """`publish`: of Ostend's rows; `between`: something that happens after each step, while the next goes on."""
    assert publish() == 6
    between()
    model = published(client, "model-on-pods")
    between()
    assert "made of 6 rows" in model.card()
    waiting = eventually(lambda: through(client.approvals), PATIENCE)
    assert waiting is not None and len(waiting) == 1
    assert newest(client, "deployed-on-pods") is None, "nobody has approved it"
    between()
    eventually(lambda: through(lambda: approved(client, waiting[0]["id"])), PATIENCE)
    between()

    deployed = published(client, "deployed-on-pods")
    assert deployed.value == "deployed: Ostend 6"
    assert model.fields["producer"].startswith("task:reactive.work.train")
    (producing,) = deployed.lineage()["producers"]
    assert "approved-on-pods" in {fields["name"] for fields in producing["versions"]}


def published(client: Client, name: str) -> Version:
    found = eventually(lambda: through(lambda: newest(client, name)), PATIENCE)
    assert found is not None
    return found


def newest(client: Client, name: str) -> Version | None:
    try:
        return client.get(name, partitions={"harbour": "Ostend"})
    except CausewayError as error:
        if error.status != 404:
            raise
        return None


def approved(client: Client, gate: int) -> bool:
    """Also where it was said before, and the answer was lost."""
    if all(one["id"] != gate for one in client.approvals()):
        return True
    client.approve(gate, comment="it floats")
    return True


def through(read: Callable[[], T]) -> T | None:
    """None while nobody answers."""
    try:
        return read()
    except CausewayError as error:
        if not error.unavailable:
            raise
        return None
