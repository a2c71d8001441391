"""Pods of this installation that no attempt needs: found, named, and removed.

One that has ended may be an attempt's whose end is stored and whose log is not: the process that kept it was killed.
Then that is kept first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from artifacts.exceptions import NotFound
from artifacts.store import ObjectStore
from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.objects import Objects

logger = logging.getLogger(__name__)

LogOf = Callable[[int, str], str]
PATIENCE_SECONDS = 60.0  # what belongs to an attempt is known by then


@dataclass(frozen=True)
class Stray:
    namespace: str
    name: str
    uid: str
    since: float  # monotonic
    containers: tuple[str, ...] = ()  # the main one first
    attempt_id: int | None = None  # which it says it is of
    ended: bool = False


class Strays:
    """The caller sees to it that one thread at a time is here."""

    def __init__(
        self,
        objects: Objects,
        store: ObjectStore,
        *,
        folder: Path,
        log_of: LogOf,
        max_log_bytes: int = 0,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`log_of`: where the log of an attempt belongs whose end is stored, by its number and its pod; else empty. The
        pod itself is not asked: whoever may write pods could have anything in the store written over.
        """
        self.objects, self.store, self.log_of, self.patience = objects, store, log_of, patience
        self.folder, self.max_log_bytes = folder, max_log_bytes
        self._found: dict[str, Stray] = {}

    def saw(self, pod: pods.Json, *, gone: bool) -> None:
        uid = pods.uid_of(pod)
        if gone:
            self._found.pop(uid, None)
            return
        since = self._found[uid].since if uid in self._found else time.monotonic()
        self._found[uid] = _stray(pod, uid, since)

    def forget(self, uid: str) -> None:
        """It is an attempt's after all."""
        self._found.pop(uid, None)

    def due(self) -> list[Stray]:
        """Those that have been nobody's for long enough; each is told once, and again where it
        could not be removed.
        """
        now = time.monotonic()
        found = [stray for stray in list(self._found.values()) if now - stray.since > self.patience]
        for stray in found:
            del self._found[stray.uid]
        return found

    def remove(self, stray: Stray) -> None:
        logger.warning("removing the pod %s/%s, which no attempt needs", stray.namespace, stray.name)
        self._keep_log(stray)
        try:
            self.objects.delete_pod(stray.namespace, stray.name, stray.uid, grace=0)
            self.objects.release(stray.namespace, stray.name, stray.uid)
        except ApiError as error:
            logger.warning("the pod %s/%s cannot be removed for now: %s", stray.namespace, stray.name, error)
            self._found[stray.uid] = replace(stray, since=time.monotonic())

    def _keep_log(self, stray: Stray) -> None:
        """Unless a longer one is there: what was followed may be more than the node has still."""
        if stray.attempt_id is None or not stray.ended:
            return
        try:
            if uri := self.log_of(stray.attempt_id, f"{stray.namespace}/{stray.name}"):
                self._keep_at(uri, stray)
        except Exception as error:  # noqa: BLE001 - whatever the store says: a log is not worth a pod for ever
            logger.warning("the log of %s/%s could not be kept: %s", stray.namespace, stray.name, error)

    def _keep_at(self, uri: str, stray: Stray) -> None:
        main, *others = stray.containers
        path = self.folder / f"stray-{stray.uid}.log"
        handle = (stray.namespace, stray.name)
        keeper = LogKeeper(self.objects, handle, main, path, uri, self.store, self.max_log_bytes)
        try:
            keeper.finish(others, at_least=_size(self.store, uri) + 1)
        finally:
            keeper.discard()


def _stray(pod: pods.Json, uid: str, since: float) -> Stray:
    ended = pods.text(pod, "status", "phase") in ("Succeeded", "Failed")
    main = pods.primary_of(pod)
    return Stray(
        pods.namespace_of(pod),
        pods.name_of(pod),
        uid,
        since,
        (main, *(name for name in pods.container_names(pod) if name != main)),
        names.attempt_id_of(pod),
        ended,
    )


def _size(store: ObjectStore, uri: str) -> int:
    try:
        return store.size(uri)
    except NotFound:
        return 0
