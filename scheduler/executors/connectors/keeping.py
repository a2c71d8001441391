"""Jobs written down together: whatever came while the last statement ran goes into the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scheduler.executors.connectors.jobs import Job, Jobs

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0


class Keeping:
    """For one event loop."""

    def __init__(self, jobs: Jobs, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self.jobs, self.in_thread = jobs, in_thread
        self._due: dict[int, Job | None] = {}
        self._done: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None

    async def keep(self, attempt: int, job: Job | None) -> None:
        """Returns once it is written, however long the place is away."""
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
        done = self._done
        self._due[attempt] = job
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())
        await asyncio.shield(done)

    async def load(self, attempt: int) -> Job | None:
        """What is known of an attempt, however long the place is away."""
        while True:
            try:
                found: Mapping[int, Job] = await self.in_thread(self.jobs.load, [attempt])
                return found.get(attempt)
            except Exception as error:  # noqa: BLE001 - the database may be away: it is asked again
                logger.warning("what was asked of connectors cannot be read, will try again: %s", error)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _write(self) -> None:
        while self._due:
            due, done = self._due, self._done
            self._due, self._done = {}, None
            while True:
                try:
                    await self.in_thread(self.jobs.save, due)
                    break
                except Exception as error:  # noqa: BLE001 - nobody goes on before it is written
                    logger.warning("jobs cannot be written down, will try again: %s", error)
                    await asyncio.sleep(AGAIN_SECONDS)
            if done is not None and not done.done():
                done.set_result(None)
        self._writing = None
