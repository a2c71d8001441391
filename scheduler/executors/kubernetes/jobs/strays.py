"""Jobs of this installation that no attempt needs: found, named, and removed. Their pods alone would come again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.jobs.registry import resource_of
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.strays import PATIENCE_SECONDS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StrayJob:
    resource: Resource
    namespace: str
    name: str
    uid: str
    since: float  # monotonic


class StrayJobs:
    """The caller sees to it that one thread at a time is here, except in `remove`."""

    def __init__(self, objects: Objects, patience: float = PATIENCE_SECONDS) -> None:
        self.objects, self.patience = objects, patience
        self._found: dict[str, StrayJob] = {}

    def saw(self, job: pods.Json, *, gone: bool) -> None:
        uid, resource = pods.uid_of(job), resource_of(job)
        if gone or resource is None:
            self._found.pop(uid, None)
            return
        since = self._found[uid].since if uid in self._found else time.monotonic()
        self._found[uid] = StrayJob(resource, pods.namespace_of(job), pods.name_of(job), uid, since)

    def forget(self, uid: str) -> None:
        """It is an attempt's after all."""
        self._found.pop(uid, None)

    def due(self) -> list[StrayJob]:
        """Those that have been nobody's for long enough; each is told once."""
        now = time.monotonic()
        found = [job for job in list(self._found.values()) if now - job.since > self.patience]
        for job in found:
            del self._found[job.uid]
        return found

    def remove(self, job: StrayJob) -> None:
        """One that cannot be removed now is found by the next list again."""
        logger.warning("removing the %s %s/%s, which no attempt needs", job.resource.kind, job.namespace, job.name)
        try:
            self.objects.delete_job(job.resource, job.namespace, job.name, job.uid)
        except ApiError as error:
            logger.warning("%s/%s cannot be removed for now: %s", job.namespace, job.name, error)
