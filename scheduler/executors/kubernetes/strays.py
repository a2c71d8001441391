"""Pods of this installation that no attempt needs: found, named, and removed."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.objects import Objects

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0  # what belongs to an attempt is known by then


@dataclass(frozen=True)
class Stray:
    namespace: str
    name: str
    uid: str
    since: float  # monotonic


class Strays:
    """The caller sees to it that one thread at a time is here."""

    def __init__(self, objects: Objects, *, patience: float = PATIENCE_SECONDS) -> None:
        self.objects, self.patience = objects, patience
        self._found: dict[str, Stray] = {}

    def saw(self, pod: pods.Json, *, gone: bool) -> None:
        uid = pods.uid_of(pod)
        if gone:
            self._found.pop(uid, None)
        elif uid not in self._found:
            self._found[uid] = Stray(pods.namespace_of(pod), pods.name_of(pod), uid, time.monotonic())

    def forget(self, uid: str) -> None:
        """It is an attempt's after all."""
        self._found.pop(uid, None)

    def due(self) -> list[Stray]:
        """Those that have been nobody's for long enough; each is told once."""
        now = time.monotonic()
        found = [stray for stray in self._found.values() if now - stray.since > self.patience]
        for stray in found:
            del self._found[stray.uid]
        return found

    def remove(self, stray: Stray) -> None:
        logger.warning("removing the pod %s/%s, which no attempt needs", stray.namespace, stray.name)
        try:
            self.objects.delete_pod(stray.namespace, stray.name, stray.uid, grace=0)
            self.objects.release(stray.namespace, stray.name, stray.uid)
        except ApiError as error:
            logger.warning("the pod %s/%s cannot be removed: %s", stray.namespace, stray.name, error)
