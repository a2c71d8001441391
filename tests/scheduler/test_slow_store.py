"""A store that is far away: what a turn writes there is on its way while the turn goes on, and there when it ends."""

from __future__ import annotations

import threading

import pytest
from flyteidl.core import literals_pb2

from artifacts.exceptions import NotFound
from scheduler.shell import data
from scheduler.shell.data import Literals


class Far:
    """Answers no write until told so."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.objects: dict[str, bytes] = {}
        self.coming: list[str] = []

    def put(self, uri: str, content: bytes) -> None:
        self.coming.append(uri)
        assert self.answers.wait(10)
        if uri == "refused":
            raise OSError("the store is full")
        self.objects[uri] = content

    def get(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise NotFound(f"nothing is at {uri}")
        return self.objects[uri]


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Far:
    store = Far()
    monkeypatch.setattr(data, "store", lambda: store)
    data._settled.cache_clear()
    return store


def saying(text: str) -> literals_pb2.LiteralMap:
    values = literals_pb2.LiteralMap()
    values.literals["o0"].scalar.primitive.string_value = text
    return values


def said(values: literals_pb2.LiteralMap) -> str:
    return values.literals["o0"].scalar.primitive.string_value


def test_a_turn_goes_on_while_its_writes_are_on_their_way_and_ends_when_they_are_there(far: Far) -> None:
    turn = Literals()
    with turn.settled():
        for place in ("a", "b", "c"):
            turn.write(place, saying(place))
        assert said(turn.read("b")) == "b", "it remembers them itself"
        assert not far.objects
        far.answers.set()
    assert set(far.objects) == {"a", "b", "c"}


def test_what_is_too_large_to_remember_is_waited_for_where_it_is_read(far: Far) -> None:
    turn, large = Literals(), "x" * (data.SMALL + 1)
    with turn.settled():
        turn.write("a", saying(large))
        far.answers.set()
        assert said(turn.read("a")) == large


def test_what_is_written_twice_in_one_place_is_what_was_written_last(far: Far) -> None:
    far.answers.set()
    turn = Literals()
    with turn.settled():
        for text in map(str, range(50)):
            turn.write("a", saying(text))
    assert said(data.read("a")) == "49"


def test_what_the_store_refuses_ends_the_turn_when_nothing_is_on_its_way_any_more(far: Far) -> None:
    turn = Literals()
    with pytest.raises(OSError, match="the store is full"), turn.settled():
        turn.write("refused", saying("a"))
        for place in ("b", "c"):
            turn.write(place, saying(place))
        far.answers.set()
    assert set(far.objects) == {"b", "c"}


def test_a_turn_that_fails_leaves_nothing_on_its_way(far: Far) -> None:
    """It would come after what is written in the same place by the turn that repeats it."""
    turn = Literals()
    threading.Timer(0.2, far.answers.set).start()
    with pytest.raises(ZeroDivisionError), turn.settled():
        turn.write("a", saying("of the turn that failed"))
        raise ZeroDivisionError
    assert said(data.read("a")) == "of the turn that failed"


def test_what_is_about_to_be_read_is_read_at_the_same_time_and_what_is_gone_is_told_to_its_reader(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, get = threading.Barrier(3), far.get
    for place in ("a", "b"):
        far.objects[place] = saying(place).SerializeToString()

    def wait_for_the_others(uri: str) -> bytes:
        together.wait(timeout=10)
        return get(uri)

    monkeypatch.setattr(far, "get", wait_for_the_others)
    turn = Literals()
    turn.look_ahead(["a", "gone", "b"])
    assert [said(turn.read(place)) for place in ("a", "b")] == ["a", "b"], "without another question"
    monkeypatch.setattr(far, "get", get)
    with pytest.raises(data.Unresolved, match="wrote no outputs"):
        turn.read_outputs("gone", "n0")
