"""Messages to and from zygotes and workers: lines of JSON over sockets, read by one thread."""

from __future__ import annotations

import array
import contextlib
import json
import logging
import selectors
import socket
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from scheduler.executors.local.warm import Worker, Zygote

logger = logging.getLogger(__name__)

MOST_UNREAD = 1 << 20  # bytes of a message: who sends more is none of our zygotes any more

Peer: TypeAlias = Zygote | Worker


class Wires:
    """`take` is called with each message, `lose` with a peer that is gone or is not heard any more."""

    def __init__(self, take: Callable[[Peer, dict[str, Any]], None], lose: Callable[[Peer], None]) -> None:
        self.take, self.lose = take, lose
        self._selector = selectors.DefaultSelector()

    def watch(self, peer: Peer) -> None:
        self._selector.register(peer.sock, selectors.EVENT_READ, peer)

    def close(self, peer: Peer) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(peer.sock)
        peer.sock.close()

    def send(self, zygote: Zygote, message: Mapping[str, Any], fd: int | None = None) -> None:
        """`fd` goes along. If it died, nothing is said: the reader or a tick finds out, and its runs go elsewhere."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
        with contextlib.suppress(OSError):
            data = json.dumps(message).encode() + b"\n"
            sent = zygote.sock.sendmsg([data], rights)
            zygote.sock.sendall(data[sent:])

    def read(self, *, timeout: float) -> None:
        """Take what comes within so many seconds."""
        for key, _ in self._selector.select(timeout=timeout):
            self._read(key.data)

    def _read(self, peer: Peer) -> None:
        try:
            data = peer.sock.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.lose(peer)
            return
        *lines, peer.unread = (peer.unread + data).split(b"\n")
        if len(peer.unread) > MOST_UNREAD:
            logger.warning("a process of tasks says more than it has to say, so it is not heard any more")
            self.lose(peer)
            return
        for line in lines:
            try:
                self.take(peer, json.loads(line))
            except Exception:
                logger.exception("a message could not be taken: %.200r", line)
