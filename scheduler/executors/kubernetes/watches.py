"""What is followed of one cluster: pods and jobs of each kind, in all namespaces where that may be, else in each."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.board import Board
from scheduler.executors.kubernetes.client import Api
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.rights import may_watch_all
from scheduler.executors.kubernetes.watch import OnListed, OnPod, OnRestored, Watcher
from scheduler.executors.vital import vital

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Followed:
    """`resource`: None, pods. The callbacks are called from a watcher's thread and must not wait."""

    on_object: OnPod
    on_listed: OnListed
    resource: Resource | None = None


class Watches:
    def __init__(self, board: Board, api: Api, owner: str, cluster: str, on_restored: OnRestored) -> None:
        """`owner`: the mark of the installation; what it has there for another cluster of its settings is not told."""
        self.board, self.api, self.selector, self.on_restored = board, api, names.selector(owner), on_restored
        self.cluster = cluster
        self.scoped = False  # whether rights are there for single namespaces only
        self.watchers: dict[tuple[Resource | None, str], Watcher] = {}  # by namespace, of all under ""

    def begin(self) -> None:
        """Before anything is followed. Waits for the cluster."""
        self.scoped = not may_watch_all(self.api)

    def follow(self, what: Followed, namespace: str = "") -> None:
        """In all namespaces where that may be, else in this one. Once, however often it is asked for."""
        place = namespace if self.scoped else ""
        if self.scoped and not place:
            return
        with self.board.lock:
            if (what.resource, place) in self.watchers or self.board.stopping:
                return
            watcher = Watcher(
                self.api,
                self.selector,
                self._of_this_cluster(what.on_object),
                what.on_listed,
                on_restored=self.on_restored,
                namespace=place,
                resource=what.resource,
            )
            self.watchers[what.resource, place] = watcher
        plural = what.resource.plural if what.resource is not None else "pods"
        vital(watcher.run, name=f"watch {plural} {place}".strip()).start()

    def _of_this_cluster(self, on_object: OnPod) -> OnPod:
        def told(found: pods.Json, gone: bool) -> None:
            if names.is_of(found, self.cluster):
                on_object(found, gone)

        return told

    def refused(self) -> frozenset[str]:
        """Namespaces whose pods may not be followed; "": those of all together."""
        with self.board.lock:
            return frozenset(place for (what, place), one in self.watchers.items() if what is None and one.refused)

    def narrow(self, what: Followed, namespaces: Iterable[str]) -> None:
        """Follow the pods of these namespaces where those of all may not be followed: a cluster that was away at the
        start could not be asked. Waits for the cluster.
        """
        watcher = self.watchers.get((None, ""))
        if watcher is None or not watcher.refused or may_watch_all(self.api):
            return
        logger.warning("pods of all namespaces may not be followed (%s): each by itself, then", watcher.refused)
        watcher.stop()
        with self.board.lock:
            del self.watchers[None, ""]
            self.scoped = True
            for namespace in namespaces:
                self.follow(what, namespace)

    def stop(self) -> None:
        for watcher in list(self.watchers.values()):
            watcher.stop()
