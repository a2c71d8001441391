"""Follows the jobs of each kind that the cluster has, and sees to those that no attempt needs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.form import Means
from scheduler.executors.kubernetes.held import Held, is_missing
from scheduler.executors.kubernetes.jobs.registry import KINDS
from scheduler.executors.kubernetes.jobs.strays import StrayJobs
from scheduler.executors.kubernetes.making import NoOperator
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.watches import Followed

logger = logging.getLogger(__name__)


OnJob = Callable[[Held, pods.Json, bool], None]


class JobWatching:
    """`on_job` is told of an attempt's job, under the board's lock; and whether it is gone, and this its last state."""

    def __init__(self, means: Means, on_job: OnJob) -> None:
        self.means, self.board, self.maker = means, means.board, means.maker
        self._on_job = on_job
        self.strays = StrayJobs(means.objects)

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
        self.means.watches.follow(Followed(self.on_job, partial(self._listed, resource), resource), namespace)

    def on_job(self, job: pods.Json, gone: bool) -> None:
        """From the watch, and from who makes it."""
        with self.board.lock:
            held = self.board.held.get(names.attempt_id_of(job) or 0)
            if held is None or not held.job or not _is_job_of(job, held):
                self.strays.saw(job, gone=gone)
                return
            self.strays.forget(pods.uid_of(job))
            self._on_job(held, job, gone)
            self.means.deadlines.tend(held)

    def remove_strays(self) -> None:
        with self.board.lock:
            for job in self.strays.due():
                self.board.do(partial(self.strays.remove, job))

    def _listed(self, resource: Resource, present: frozenset[str], began: float, namespace: str) -> None:
        """Of jobs that should be there and were not listed it is asked what became of them."""
        with self.board.lock:
            for held in self.board.held.values():
                ours = held.job and resource in KINDS[held.job].resources and namespace in ("", held.namespace)
                if ours and is_missing(held, present, began):
                    self.means.looks.one(held)


def _is_job_of(job: pods.Json, held: Held) -> bool:
    return (held.namespace, held.name) == (pods.namespace_of(job), pods.name_of(job))
