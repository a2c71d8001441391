"""Pods that are read once more: those that wait without saying why, and those that the watch is silent of.

Few threads do it, so that ends do not come behind it, and few calls: to find the events of one pod the API server reads
all of its namespace. Of many pods that wait at once it is asked which of them have warnings at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.board import Board, Job
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.held import Held
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.threads import Threads

logger = logging.getLogger(__name__)

LOOKERS = 2
FEW = 10  # pods whose events are read one by one

Consider = Callable[[Held, pods.Json, Sequence[pods.Json]], None]


class Looks:
    """`consider` is called with a pod and its events, `failed` where it cannot be read, `lost` where it is gone."""

    def __init__(
        self,
        board: Board,
        objects: Objects,
        consider: Consider,
        failed: Callable[[Held, ApiError], None],
        lost: Callable[[Held], None],
        look_at_job: Callable[[Held], None],
    ) -> None:
        self.board, self.objects = board, objects
        self.consider, self.failed, self.lost = consider, failed, lost
        self.look_at_job = look_at_job
        self._threads = Threads(LOOKERS, "looks")
        self.unseen: frozenset[str] = frozenset()  # namespaces that no watch tells of; "": all
        self._asked = 0

    def one(self, held: Held) -> None:
        self._do(partial(self._look, held))

    def some(self, due: Sequence[Held]) -> None:
        """Under the board's lock. Those whose time has come; not before what was asked for is done."""
        if self._asked or not due:
            return
        for held in due:
            held.look_at = None
        if len(due) <= FEW:
            for held in due:
                self.one(held)
            return
        for namespace in {held.namespace for held in due}:
            self._do(partial(self._look_around, namespace, [held for held in due if held.namespace == namespace]))

    def stop(self) -> None:
        self._threads.stop()

    def _do(self, job: Job) -> None:
        def done() -> None:
            try:
                job()
            finally:
                with self.board.lock:
                    self._asked -= 1

        with self.board.lock:
            if self.board.stopping:
                return
            self._asked += 1
            self._threads.submit(done)

    def _look(self, held: Held, events: Sequence[pods.Json] | None = None) -> None:
        """Read its pod, and what events say of it where those are not known; or all of its job."""
        if held.job:
            self.look_at_job(held)
            return
        try:
            pod = self.objects.pod(held.namespace, held.name)
            if pod is None or (held.uid and pods.uid_of(pod) != held.uid):
                self.lost(held)
                return
            wanted = events is None and held.wait is not None and held.wait.looks_at_events
            found = self.objects.events(held.namespace, held.name, held.uid) if wanted else events or ()
        except ApiError as error:
            self.failed(held, error)
            return
        self.consider(held, pod, found)

    def _look_around(self, namespace: str, due: Sequence[Held]) -> None:
        try:
            warnings = self.objects.warnings(namespace)
        except ApiError as error:
            logger.warning("the events of namespace %s cannot be read for now: %s", namespace, error)
            warnings = {}  # those that are looked at for other reasons are read all the same
        unseen = bool({"", namespace} & self.unseen)
        for held in due:
            if held.job:
                self._look(held)
                continue
            wanted = held.wait is not None and held.wait.looks_at_events and not held.abort_sent
            events = warnings.get(held.uid, ())
            if events or unseen or not wanted:
                self._look(held, events)
