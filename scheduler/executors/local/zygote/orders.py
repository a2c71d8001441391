"""What a worker is handed, and how it tells what became of it: lines of JSON over its socket, see server.py."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from typing import Any


class Orders:
    """What the executor hands over, also while an attempt runs."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.unread, self.closed = sock, b"", False

    def next(self) -> dict[str, Any] | None:
        """Wait for it. None: the executor is gone, and what had not begun is other processes'."""
        while not self.more() and not self.closed:
            self._read(0)
        if self.closed:
            return None
        line, _, self.unread = self.unread.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order

    def more(self) -> bool:
        """Whether there is one already."""
        with contextlib.suppress(BlockingIOError):
            while not self.closed:
                self._read(socket.MSG_DONTWAIT)
        return b"\n" in self.unread

    def _read(self, flags: int) -> None:
        try:
            data = self.sock.recv(1 << 16, flags)
        except BlockingIOError:
            raise
        except OSError:
            data = b""
        self.unread += data
        self.closed = not data


class Ends:
    """Told over the worker's socket. Of several orders in a row a few ends are told together: to be woken for each is
    what costs the executor most.
    """

    HELD_SECONDS = 0.05

    def __init__(self, sock: socket.socket, more: Callable[[], bool], full: Callable[[], bool]) -> None:
        """`more`: whether there are orders behind the one that ends; `full`: whether the disk was while it ran."""
        self.sock, self.more, self.full = sock, more, full
        self.untold: list[dict[str, Any]] = []
        self.since = 0.0  # monotonic; of the first of them

    def teller(self, directory: str) -> Callable[[int], None]:
        began, before = time.monotonic(), waited()

        def tell(status: int) -> None:
            now = time.monotonic()
            message = {"is": "ended", "dir": directory, "status": status, "full": self.full()}
            took = {"seconds": now - began, "waited": waited() - before, "until": time.time()}
            self.untold.append({**message, **took})
            if len(self.untold) == 1:
                self.since = began
            if now - self.since > self.HELD_SECONDS or not self.more():
                self.flush()

        return tell

    def flush(self) -> None:
        told, self.untold = self.untold, []
        with contextlib.suppress(OSError):  # the executor may be away; `done` tells it later
            self.sock.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in told))


def waited() -> float:
    """Seconds that this process was ready to run and others did."""
    try:
        fd = os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return int(os.read(fd, 64).split()[1]) / 1e9
        finally:
            os.close(fd)
    except (OSError, ValueError, IndexError):  # not every kernel counts it
        return 0.0
