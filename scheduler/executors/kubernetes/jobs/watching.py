"""Follows the jobs of each kind that the cluster has, and sees to those that no attempt needs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.board import Board
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.held import Held, is_missing
from scheduler.executors.kubernetes.jobs.following import Jobs, is_job_of
from scheduler.executors.kubernetes.jobs.registry import KINDS
from scheduler.executors.kubernetes.jobs.strays import StrayJobs
from scheduler.executors.kubernetes.making import Maker, NoOperator
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.watch import Watcher
from scheduler.executors.vital import vital

logger = logging.getLogger(__name__)


class JobWatching:
    """`look` reads a job anew, `tend` sees to its deadlines; both are called under the board's lock."""

    def __init__(
        self,
        board: Board,
        maker: Maker,
        jobs: Jobs,
        *,
        look: Callable[[Held], None],
        tend: Callable[[Held], object],
        on_restored: Callable[[], None],
    ) -> None:
        self.board, self.maker, self.jobs = board, maker, jobs
        self._look, self._tend, self._on_restored = look, tend, on_restored
        self.strays = StrayJobs(maker.objects)
        self.scoped = False  # whether rights are there for single namespaces only
        self._watchers: dict[tuple[Resource, str], Watcher] = {}  # by namespace, of all under ""

    def begin(self) -> None:
        """Each kind that is there now; of others the first job begins it. Waits for the cluster."""
        for kind in KINDS.values():
            try:
                self.follow(self.maker.resource_of(kind), "")
            except NoOperator:
                continue
            except ApiError as error:
                logger.warning("whether the cluster has %s cannot be asked for now: %s", kind.words, error)

    def made(self, held: Held, job: pods.Json) -> None:
        """A job that the cluster has taken."""
        for resource in KINDS[held.job].resources:
            if resource.api_version == pods.text(job, "apiVersion"):
                self.follow(resource, held.namespace)
        self.on_job(job, False)

    def follow(self, resource: Resource, namespace: str) -> None:
        """In all namespaces where that may be, else in this one."""
        place = namespace if self.scoped else ""
        if self.scoped and not place:
            return
        with self.board.lock:
            if (resource, place) in self._watchers or self.board.stopping:
                return
            watcher = Watcher(
                self.maker.objects.api,
                names.selector(self.maker.owner),
                self.on_job,
                partial(self._listed, resource),
                on_restored=self._on_restored,
                namespace=place,
                resource=resource,
            )
            self._watchers[resource, place] = watcher
        vital(watcher.run, name=f"watch {resource.plural} {place}".strip()).start()

    def on_job(self, job: pods.Json, gone: bool) -> None:
        """From the watch, and from who makes it."""
        with self.board.lock:
            held = self.board.held.get(names.attempt_id_of(job) or 0)
            if held is None or not held.job or not is_job_of(job, held):
                self.strays.saw(job, gone=gone)
                return
            self.strays.forget(pods.uid_of(job))
            self.jobs.on_job(held, job, gone=gone)
            self._tend(held)

    def remove_strays(self) -> None:
        with self.board.lock:
            for job in self.strays.due():
                self.board.do(partial(self.strays.remove, job))

    def stop(self) -> None:
        for watcher in list(self._watchers.values()):
            watcher.stop()
        self.jobs.stop()

    def _listed(self, resource: Resource, present: frozenset[str], began: float, namespace: str) -> None:
        """Of jobs that should be there and were not listed it is asked what became of them."""
        with self.board.lock:
            for held in self.board.held.values():
                ours = held.job and resource in KINDS[held.job].resources and namespace in ("", held.namespace)
                if ours and is_missing(held, present, began):
                    self._look(held)
