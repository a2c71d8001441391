"""What a worker is handed several of, and how it tells their ends."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from scheduler.executors.local.zygote.orders import Ends, Orders


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The executor's and the worker's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def hand(sock: socket.socket, *names: str) -> None:
    sock.sendall(b"".join(json.dumps({"dir": name}).encode() + b"\n" for name in names))


def heard(sock: socket.socket) -> list[str]:
    sock.setblocking(False)
    try:
        return [json.loads(line)["dir"] for line in sock.recv(1 << 16).splitlines()]
    except BlockingIOError:
        return []


def run(orders: Orders, ends: Ends) -> str:
    order = orders.next()
    assert order is not None
    ends.teller(order["dir"])(0)
    return str(order["dir"])


def test_ends_of_those_with_others_behind_them_are_told_together(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    executor, worker = sockets
    orders = Orders(worker)
    ends = Ends(worker, orders.more, lambda: False)
    hand(executor, "a", "b")
    assert run(orders, ends) == "a" and heard(executor) == []
    hand(executor, "c")  # while it runs
    assert run(orders, ends) == "b" and heard(executor) == []
    assert run(orders, ends) == "c" and heard(executor) == ["a", "b", "c"]
    hand(executor, "d")
    assert run(orders, ends) == "d" and heard(executor) == ["d"]


def test_they_are_not_held_for_long(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, worker = sockets
    monkeypatch.setattr(Ends, "HELD_SECONDS", 0.0)
    orders = Orders(worker)
    ends = Ends(worker, orders.more, lambda: False)
    hand(executor, "a", "b")
    assert run(orders, ends) == "a" and heard(executor) == ["a"]


@pytest.mark.parametrize("begun", [False, True])
def test_of_a_dead_executor_nothing_is_begun_any_more(
    sockets: tuple[socket.socket, socket.socket], begun: bool
) -> None:
    executor, worker = sockets
    orders = Orders(worker)
    ends = Ends(worker, orders.more, lambda: False)
    hand(executor, "a", "b")
    executor.sendall(b'{"dir": "ha')
    if begun:
        run(orders, ends)
    executor.close()
    assert orders.next() is None
