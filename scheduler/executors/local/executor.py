"""The local executor: attempts as processes of this machine, forked from warm zygotes.

means       what there is to work with          starting   how an attempt comes to a process
runs        the attempts it holds               following  what becomes of it meanwhile
spares      run directories used again
pools       zygotes for each Python             ending     how its end is found out and told
sampling    what its processes use
clusters    of Spark, Dask and Ray that stay for later tasks
steps       each step guarded, some put off     tending    what need not be done at once
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from artifacts.store import ObjectStore
from artifacts.task_users import TaskUsers
from scheduler.attempts.observations import Observation
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Emit, Executor, Rows
from scheduler.executors.local import blocks, machine, stopping
from scheduler.executors.local.clusters import Clusters
from scheduler.executors.local.ending import Ending
from scheduler.executors.local.following import Following
from scheduler.executors.local.identities import let_group_through
from scheduler.executors.local.limits import Limits
from scheduler.executors.local.line import Line
from scheduler.executors.local.machine import Processors, machine_resources
from scheduler.executors.local.means import Means, SecretsOf
from scheduler.executors.local.pools import Pools
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import RunDirectory
from scheduler.executors.local.runs import Runs
from scheduler.executors.local.sampling import Sampling
from scheduler.executors.local.spares import Spares
from scheduler.executors.local.starting import Starting
from scheduler.executors.local.steps import Steps, quietly
from scheduler.executors.local.tending import Tending
from scheduler.executors.local.zygote.together import CLUSTERS

logger = logging.getLogger(__name__)


class LocalExecutor(Executor):
    name = "local"

    def __init__(
        self,
        home: Path,
        store: ObjectStore,
        *,
        total: Resources | None = None,
        warm_limit: int = 4,
        endpoint: str = "",
        token_of: Callable[[int], str] | None = None,
        environments: Mapping[str, str] | None = None,
        built: Path | None = None,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        secrets_of: SecretsOf | None = None,
        users: TaskUsers | None = None,
        may_read: Callable[[int, str, str], bool] | None = None,
        may_launch: Callable[[], bool] | None = None,
    ) -> None:
        """See Means. `may_launch`: whether there is anything to launch, see Zygotes."""
        self.means = Means(
            home,
            store,
            total or machine_resources(home),
            limits=limits,
            environments=dict(environments or {}),
            built=built,
            endpoint=endpoint,
            token_of=token_of,
            secrets_of=secrets_of,
            users=users,
            may_read=may_read,
        )
        self.runs = Runs(home / "run")
        self.workers = ThreadPoolExecutor(4, thread_name_prefix="local-executor")
        self.line = Line(self.workers)
        self.spares = Spares(self.runs.folder)
        self.ending = Ending(self.means, self.runs, self.spares, self.line, self._tell)
        self.steps = Steps(self.workers, self.line, self.ending.break_off)
        self.following = Following(self.means, self.runs, self.steps, self.ending, self._tell)
        self.pools = Pools(
            self.following.on_message,
            self.following.on_lost,
            home=home,
            warm_limit=warm_limit,
            group=users.group if users is not None else None,
            needed=may_launch,
        )
        places = machine.processors()
        self.rows = Rows(self.pools.quick, places, places * blocks.MOST)
        self.clusters = Clusters(self.means, self.pools)
        self.starting = Starting(self.means, self.runs, self.spares, self.steps, self.pools, self.ending, self.clusters)
        self.following.launch = self.starting.launch
        self.sampling = Sampling(self.workers, self._tell)
        self.processors = Processors()
        self.tending = Tending(self.means, self.runs, self.pools, self.clusters, self.workers)

    def _tell(self, seen: Observation) -> None:
        self.emit(seen)

    def capacity(self) -> Resources:
        return self.means.total

    def kept(self) -> list[dict[str, Any]]:
        return [asdict(one) for one in self.clusters.seen()]

    def is_busy(self) -> bool:
        return self.processors.busy

    def start(self, emit: Emit) -> None:
        self.emit = emit
        shutil.rmtree(self.means.home / "tmp", ignore_errors=True)  # of earlier zygotes; attempts have theirs in `run`
        self.runs.folder.mkdir(parents=True, exist_ok=True)
        let_group_through(self.runs.folder, self.means.users)
        self.pools.own.start()

    def together(self) -> contextlib.AbstractContextManager[None]:
        return self.pools.together()

    def submit(self, assignment: Assignment) -> None:
        self.steps.do(self.runs.new(assignment), self.starting.start)

    def adopt(self, assignment: Assignment) -> None:
        self.steps.do(self.runs.new(assignment), self._adopt)

    def _adopt(self, run: Run) -> None:
        if run.directory.process() is None and run.directory.result() is None:
            self.starting.start(run)
            return
        self.starting.equip(run)
        run.gpus, run.clusters = run.directory.gpus(), run.directory.variable(CLUSTERS)
        self.following.found(run)

    def settle(self) -> None:
        for path in self.runs.folder.iterdir():
            if path not in self.runs.by_directory:
                if (process := RunDirectory(path).working()) is not None:
                    logger.warning("stopping a process that no attempt needs any more: %s", path.name)
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                self.workers.submit(RunDirectory(path).remove)

    def cancel(self, attempt_id: int) -> None:
        with self.runs.lock:
            run = self.runs.by_id.get(attempt_id)
            if run is not None and not run.stopped:
                stopping.stop(run, "cancelled", "cancelled")

    def tick(self) -> None:
        """Each part by itself: what fails in one, for want of descriptors or of rights, keeps none of the others."""
        self.means.disks.full()
        quietly(self.processors.tick)
        quietly(self.line.tick)
        held = self.runs.held()
        runs = [run for run in held if run.process is not None and not run.ended]
        for run in held:
            quietly(partial(self.steps.try_again, run))
        for run in runs:
            quietly(partial(self.following.watch, run))
        for zygotes in self.pools.all():
            quietly(zygotes.tick)
        quietly(self.clusters.tick)
        quietly(self.spares.tick)
        quietly(partial(self.tending.tend, runs))
        quietly(partial(self.sampling.sample, runs))
        limited = [run for run in runs if run.assignment.memory_limit and not run.stopped]
        quietly(partial(stopping.kill_what_uses_too_much, limited))

    def stop(self) -> None:
        quietly(self.clusters.stop)
        for zygotes in self.pools.all():
            zygotes.stop()
        self.workers.shutdown(wait=False, cancel_futures=True)
