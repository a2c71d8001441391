"""Reads what Kueue says of the pods that it holds back: one list of each namespace where some are, again and again.

Their own events tell nothing of it, and to ask for the Workload of each of thousands would cost as many calls.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

from scheduler.executors.kubernetes import kueue
from scheduler.executors.kubernetes.board import Board, waited
from scheduler.executors.kubernetes.client import FORBIDDEN, NOT_FOUND, ApiError
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.held import Held, Stage
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.refusals import BY_RIGHTS
from scheduler.executors.kubernetes.wait import Wait

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0  # between two looks
SHARE = 10  # a look that took longer is not repeated before so many times its own time


class Queues:
    """`go_on` with every tick."""

    def __init__(self, board: Board, objects: Objects, graces: Graces) -> None:
        self.board, self.objects, self.graces = board, objects, graces
        self._due: dict[str, float] = {}  # by namespace, monotonic; while one is read: never
        self._asked_at = 0.0

    def go_on(self) -> None:
        """Read what is due, in other threads."""
        now = time.monotonic()
        if now - self._asked_at < PAUSE_SECONDS / 4:
            return
        self._asked_at = now
        with self.board.lock:
            used = {held.namespace for held in self.board.held.values() if _is_queued(held)}
            for namespace in [one for one in self._due if one not in used and self._due[one] < float("inf")]:
                del self._due[namespace]
            for namespace in used:
                if now >= self._due.setdefault(namespace, now + PAUSE_SECONDS / 4):
                    self._due[namespace] = float("inf")
                    self.board.do(partial(self._read, namespace))

    def _read(self, namespace: str) -> None:
        began = time.monotonic()
        try:
            self._tell(namespace)
        finally:
            took = time.monotonic() - began
            with self.board.lock:
                self._due[namespace] = time.monotonic() + max(PAUSE_SECONDS, SHARE * took)

    def _tell(self, namespace: str) -> None:
        try:
            found = kueue.line(self.objects.workloads(namespace))
        except ApiError as error:
            self._unread(namespace, error)
            return
        with self.board.lock:
            for held in self._queued_in(namespace):
                if (wait := kueue.wait(found, held.uid, waited(held), self.graces)) is not None:
                    self.board.waits(held, wait)

    def _unread(self, namespace: str, error: ApiError) -> None:
        if error.status not in (FORBIDDEN, NOT_FOUND):
            logger.warning("Kueue's Workloads of namespace %s cannot be read for now: %s", namespace, error)
            return
        if error.status == NOT_FOUND:
            words = "the pod has a gate of Kueue's, which the cluster does not have any more: nobody lets the pod go"
            wait = Wait("KueueSilent", words, 0, short=True, queued=True)
        else:
            words = f"in a queue of Kueue; why it waits may not be asked: {error.message}; {BY_RIGHTS}"
            wait = Wait("QueueUnseen", words, 0, short=True, queued=True)
        with self.board.lock:
            for held in self._queued_in(namespace):
                self.board.waits(held, wait)

    def _queued_in(self, namespace: str) -> Sequence[Held]:
        return [held for held in self.board.held.values() if held.namespace == namespace and _is_queued(held)]


def _is_queued(held: Held) -> bool:
    return held.stage == Stage.MADE and held.wait is not None and held.wait.queued
