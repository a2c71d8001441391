"""The connectors' executor: attempts as jobs of services, each followed by a coroutine of one thread's event loop.

calls      what is asked of a service          requests   what it is told of an attempt
directory  which services there are            results    what its word on a job means
keeping    jobs, written down together         life       one attempt from its start to its end
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from artifacts.store import ObjectStore
from scheduler.attempts.observations import Ended
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Emit, Executor
from scheduler.executors.connectors.connector import Connector
from scheduler.executors.connectors.directory import Directory, Notes
from scheduler.executors.connectors.held import Held
from scheduler.executors.connectors.jobs import Jobs
from scheduler.executors.connectors.keeping import Keeping
from scheduler.executors.connectors.life import Life, Means
from scheduler.executors.vital import vital

logger = logging.getLogger(__name__)

THREADS = 8  # for the store and the database
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Setting:
    """`task_seconds`: the timeout of tasks that have none of their own, 0: none; `max_deck_bytes`: 0: any."""

    task_seconds: float = 0.0
    max_deck_bytes: int = 0


class ConnectorsExecutor(Executor):
    name = "connectors"
    instance = "connectors"
    most = 2_000

    def __init__(
        self,
        store: ObjectStore,
        jobs: Jobs,
        connectors: Callable[[], list[Connector]],
        notes: Notes,
        setting: Setting = Setting(),  # noqa: B008 - it is frozen
    ) -> None:
        """`connectors` gives those that are set; it is asked again and again, as `jobs` and `notes` from threads."""
        self.store, self.jobs, self.setting = store, jobs, setting
        self.connectors, self.notes = connectors, notes
        self.loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="connectors")
        self._held: dict[int, Held] = {}  # of the event loop
        self._ready = threading.Event()

    def capacity(self) -> Resources:
        """Services queue by themselves: nothing is packed into them."""
        return Resources()

    def start(self, emit: Emit) -> None:
        self.emit = emit
        vital(self._run, name="connectors").start()
        self._ready.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        directory = Directory(self.connectors, self.notes, self._in_thread)
        self.directory = directory
        self.means = Means(
            directory,
            Keeping(self.jobs, self._in_thread),
            self.store,
            self._in_thread,
            lambda: len(self._held),
            task_seconds=self.setting.task_seconds,
            max_deck_bytes=self.setting.max_deck_bytes,
        )
        self._following = self.loop.create_task(directory.follow())
        self._ready.set()
        self.loop.run_forever()

    async def _in_thread(self, act: Callable[..., Any], *given: Any) -> Any:
        return await self.loop.run_in_executor(self._pool, act, *given)

    def submit(self, assignment: Assignment) -> None:
        self.loop.call_soon_threadsafe(self._take, assignment, False)

    def adopt(self, assignment: Assignment) -> None:
        self.loop.call_soon_threadsafe(self._take, assignment, True)

    def _take(self, assignment: Assignment, adopted: bool) -> None:
        if assignment.attempt_id in self._held:
            return
        held = self._held[assignment.attempt_id] = Held(assignment, self.emit, adopted=adopted)
        held.task = self.loop.create_task(self._live(held))

    async def _live(self, held: Held) -> None:
        """Known until its end is recorded: submitting it again must find it."""
        ended = await Life(self.means, held).live()

        def forget() -> None:
            self.loop.call_soon_threadsafe(self._held.pop, held.id, None)

        held.tell(Ended(ended.attempt_id, ended.outcome, ended.at, ended.started_at, forget))
        held.over = True

    def settle(self) -> None:
        """A job that no attempt is for was deleted, or has told its end, before its attempt was let go."""

    def cancel(self, attempt_id: int) -> None:
        self.loop.call_soon_threadsafe(self._cancel, attempt_id)

    def _cancel(self, attempt_id: int) -> None:
        held = self._held.get(attempt_id)
        if held is not None and not held.cancelled:
            held.cancelled = True
            held.wake.set()

    def tick(self) -> None:
        """Nothing: the event loop has its own clock."""

    def stop(self) -> None:
        if not self._ready.is_set() or self.loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(STOP_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _stop(self) -> None:
        """Jobs go on; what runs here ends where it is, and the next process reads what is written down."""
        tasks = [self._following, *(held.task for held in self._held.values() if held.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=STOP_SECONDS / 2)
        await self.directory.close()
