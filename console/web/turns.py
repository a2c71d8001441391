"""Requests take turns by who asks (console.fair), instead of in the order in which they come."""

from __future__ import annotations

from typing import Any

from django.db import connections

from console.fair import callers
from console.fair.pool import Pool


class TaskDispatcher:
    """What waitress asks of its own, with a pool of ours."""

    def __init__(self, threads: int) -> None:
        self._pool = Pool(threads, "web", connections.close_all)

    def add_task(self, channel: Any) -> None:
        request = channel.requests[0]
        address = str(channel.addr[0]) if isinstance(channel.addr, tuple) else ""
        self._pool.add(callers.of_request(request, address), channel.service)

    def shutdown(self, cancel_pending: bool = True, timeout: int = 5) -> None:
        """Nothing: threads end with their pool, and `Worker` waits for answers that are being made."""
