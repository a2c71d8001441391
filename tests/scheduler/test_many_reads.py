"""Outputs of many items are read several at a time where each read takes its time."""

from __future__ import annotations

import threading

import pytest
from flyteidl.core import literals_pb2

from artifacts.exceptions import NotFound
from scheduler.shell import data


class Far:
    """A store whose answers to the first reads come only when several were asked for."""

    def __init__(self) -> None:
        self.together = threading.Barrier(4)
        self.asked = 0

    def get(self, uri: str) -> bytes:
        self.asked += 1
        if self.asked <= 4:
            self.together.wait(timeout=10)
        if uri == "gone":
            raise NotFound("nothing is there")
        values = literals_pb2.LiteralMap()
        values.literals["at"].scalar.primitive.string_value = uri
        return bytes(values.SerializeToString())


@pytest.fixture(autouse=True)
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Far()
    monkeypatch.setattr(data, "store", lambda: store)


def test_they_come_in_their_order() -> None:
    uris = [f"item {number}" for number in range(1100)]
    found = [values.literals["at"].scalar.primitive.string_value for values in data.read_many(uris)]
    assert found == uris


def test_one_that_is_gone_is_told() -> None:
    with pytest.raises(NotFound):
        list(data.read_many(["a", "b", "gone", "c"]))
