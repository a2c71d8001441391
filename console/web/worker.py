"""gunicorn's worker that serves with waitress: `--worker-class console.web.worker.Worker`."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from django.conf import settings
from gunicorn.workers.base import Worker as GunicornWorker  # type: ignore[import-untyped]
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

if TYPE_CHECKING:
    from console.web.channels import Server
    from console.web.turns import TaskDispatcher

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MOST_CONNECTIONS = 4000
OTHER_FILES = 256  # descriptors for everything but connections and what their bodies and answers are kept in
# Ten partition values of 1024 characters, each of them up to 12 bytes in an address, make the longest query.
LONGEST_HEAD = 160 * 1024  # bytes


class Worker(GunicornWorker):  # type: ignore[misc]
    """One process: a loop that reads and writes, threads that make answers, and one that says that it lives."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.map: dict[int, Any] = {}  # what waitress's loop watches, by descriptor
        self.servers: list[Server] = []

    def run(self) -> None:
        receive_into(settings.CAUSEWAY_HOME / "spool")
        from console.web.turns import TaskDispatcher  # as in _serve

        tasks, alive = TaskDispatcher(self.cfg.threads), ThreadedTaskDispatcher()
        alive.set_thread_count(1)
        self.servers = [self._serve(listener, tasks) for listener in self.sockets]
        for server in self.servers:
            server.alive = alive
        while self.alive:
            self._turn()
        self._finish()

    def _serve(self, listener: Any, tasks: TaskDispatcher) -> Server:
        from console.web.channels import Server  # Django's applications are there since gunicorn loaded ours

        # gunicorn's object stands for a socket; waitress wants the socket itself
        found = listener.sock
        found.setblocking(False)
        shape = (found.family, found.type, found.proto, found.getsockname())
        application = without_body_for_head(self.wsgi)
        return Server(
            application, self.map, _sock=found, dispatcher=tasks, adj=adjustments(), sockinfo=shape, bind_socket=False
        )

    def _turn(self) -> None:
        self.notify()
        if self.ppid != os.getppid():
            self.log.info("gunicorn itself is gone, stopping: %s", self)
            self.alive = False
        wasyncore.loop(timeout=1.0, use_poll=True, map=self.map, count=1)

    def _finish(self) -> None:
        """Answers that are being made are finished, as long as gunicorn waits; nothing new is begun."""
        until = time.monotonic() + self.cfg.graceful_timeout
        for server in self.servers:
            server.stop_listening()
        while time.monotonic() < until and any(server.is_busy() for server in self.servers):
            self.notify()
            wasyncore.loop(timeout=0.1, use_poll=True, map=self.map, count=1)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        for server in self.servers:
            server.pull_trigger()


def adjustments() -> Adjustments:
    """What waitress is told; `channels` has the deadlines and `requests` the limits of bodies."""
    proxy = settings.CAUSEWAY_TRUSTED_PROXY
    return Adjustments(
        connection_limit=connections_there_may_be(),
        cleanup_interval=1,
        ident="Causeway",
        max_request_header_size=LONGEST_HEAD,
        max_request_body_size=settings.CAUSEWAY_MAX_UPLOAD_BYTES * 2,  # for all; each request has its own
        recv_bytes=128 * 1024,
        # What an answer may be ahead of its reader, on disk beyond a megabyte, before its thread has to wait for him.
        outbuf_high_watermark=256 * 1024**2,
        log_socket_errors=False,
        clear_untrusted_proxy_headers=True,
        **({"trusted_proxy": proxy, "trusted_proxy_count": 1} if proxy else {}),
        **({"trusted_proxy_headers": "x-forwarded-for x-forwarded-proto"} if proxy else {}),
    )


def connections_there_may_be() -> int:
    """As many as there are descriptors for: a connection may hold three, with what its body and answer are kept in."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS * 2 + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MOST_CONNECTIONS, (soft - OTHER_FILES) // 2) if soft != resource.RLIM_INFINITY else MOST_CONNECTIONS


def receive_into(directory: Path) -> None:
    """Large bodies are kept in unnamed files there: beside the store, and not in a /tmp that may be memory."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tempfile.tempdir = str(directory)


def without_body_for_head(application: Application) -> Application:
    """waitress sends what the application returns, whatever was asked."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = application(environ, start_response)
        if environ["REQUEST_METHOD"] != "HEAD":
            return body
        if hasattr(body, "close"):
            body.close()
        return []

    return answer
