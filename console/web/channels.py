"""Connections: each has a deadline for everything that it is waited for, and none of that takes a thread."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

from console.web.requests import Request

# Seconds. They hold for the whole, not for each byte, so that one who sends a byte now and then gains nothing.
IDLE = 30.0  # a connection that nothing was ever sent on, or that is kept after an answer
HEAD = 20.0  # from the first byte of a request to the end of its head
TRANSFER = 30.0  # a body, or an answer, may take this and what it takes at SLOWEST
SLOWEST = 8 * 1024  # bytes a second
LINGER = 5.0  # how long one who is still sending what nobody reads gets to read why
ALIVE = "/healthz"


class Task(WSGITask):  # type: ignore[misc]
    def finish(self) -> None:
        if self.request.command == "HEAD":
            self.chunked_response = False  # the end of a body that was not sent
        super().finish()


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection. The server's loop asks `is_late` every second."""

    parser_class = Request
    task_class = Task
    _request_began = 0.0  # monotonic; 0: no request has begun
    _answer_began = 0.0  # likewise; 0: nothing waits to be sent
    _sent = 0  # bytes since then
    _lingers_until = 0.0
    _cut_short = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._quiet_since = time.monotonic()
        super().__init__(*arguments, **named)

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self._request_began = time.monotonic()
        taken = bool(super().received(data))
        self._cut_short = self._cut_short or any(request.is_cut_short for request in self.requests)
        self._quiet_since = time.monotonic()
        if self.request is None:
            self._request_began = 0.0
        return taken

    def send(self, data: bytes, do_close: bool = True) -> int:
        if not self._answer_began:
            self._answer_began, self._sent = time.monotonic(), 0
        count = int(super().send(data, do_close))
        self._sent += count
        return count

    def is_late(self, now: float) -> bool:
        if self._lingers_until:
            return now > self._lingers_until
        if self.total_outbufs_len:
            return bool(self._answer_began) and now > self._answer_began + TRANSFER + self._sent / SLOWEST
        if self._answer_began:
            self._answer_began, self._quiet_since = 0.0, now
        if self.requests:
            return False  # an answer is being made
        request = self.request
        if request is None or not self._request_began:
            return now > self._quiet_since + IDLE
        if not request.headers_finished:
            return now > self._request_began + HEAD
        return bool(now > self._request_began + TRANSFER + request.body_bytes_received / SLOWEST)

    @property
    def is_waited_for(self) -> bool:
        """Whether it is the other side's turn and nothing of an answer is at stake."""
        return not self.requests and not self.total_outbufs_len

    def handle_close(self) -> None:
        """After an answer to a request whose body was not read, say that no more is coming and let the rest arrive:
        closed at once, the other side would often see a broken connection instead of the answer.
        """
        if self._cut_short and self.connected and not self._lingers_until:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                self.will_close = self.close_when_flushed = False
                self._lingers_until = time.monotonic() + LINGER
                return
        super().handle_close()

    def readable(self) -> bool:
        return True if self._lingers_until else bool(super().readable())

    def handle_read(self) -> None:
        if not self._lingers_until:
            super().handle_read()
            return
        try:
            data = self.recv(self.adj.recv_bytes)
        except OSError:
            data = b""
        if not data:
            super().handle_close()


class Server(TcpWSGIServer):  # type: ignore[misc]
    """The listening socket and its connections."""

    channel_class = Channel
    alive: ThreadedTaskDispatcher | None = None  # has a thread of its own, so that load is not taken for death

    def add_task(self, channel: Channel) -> None:
        request = channel.requests[0]
        if self.alive is not None and request.error is None and request.path == ALIVE:
            self.alive.add_task(channel)
        else:
            super().add_task(channel)

    def maintenance(self, now: float) -> None:
        """Close what is late; and when there is no room for more connections, those that are longest waited for."""
        moment = time.monotonic()
        channels = list(self.active_channels.values())
        for channel in channels:
            if channel.is_late(moment):
                channel.will_close = True
        if self.in_connection_overflow:
            waiting = sorted((each for each in channels if each.is_waited_for), key=lambda each: each.creation_time)
            for channel in waiting[: max(1, len(channels) // 4)]:
                channel.will_close = True

    def is_busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in self.active_channels.values())

    def stop_listening(self) -> None:
        self.accepting = False
        self.del_channel()
