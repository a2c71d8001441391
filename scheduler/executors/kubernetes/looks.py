"""Attempts that are read once more: those that wait without saying why, and those that the watch is silent of.

Few threads do it, so that ends do not come behind it, and few calls: to find the events of one pod the API server reads
all of its namespace. Of many pods that wait at once it is asked which of them have warnings at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.board import Board, Job
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.held import Held, Stage
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.threads import Threads

logger = logging.getLogger(__name__)

LOOKERS = 2
LOOK_SECONDS = 10.0  # after which one is read that waits without saying why
FEW = 10  # pods whose events are read one by one


class Looks:
    def __init__(self, board: Board, objects: Objects) -> None:
        self.board, self.objects = board, objects
        self._threads = Threads(LOOKERS, "looks")
        self.unseen: frozenset[str] = frozenset()  # namespaces that no watch tells of; "": all
        self._asked = 0

    def one(self, held: Held, events: Sequence[pods.Json] | None = None) -> None:
        """`events`: of its pod, where they are known."""
        self._do(partial(held.form.look, held, events))

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

    def unseen_are(self, refused: frozenset[str]) -> None:
        """Namespaces whose pods may not be followed: they are read one by one."""
        self.unseen = refused
        with self.board.lock:
            for held in self.board.held.values() if refused else ():
                if {"", held.namespace} & refused and held.stage == Stage.MADE and held.look_at is None:
                    held.look_at = time.monotonic() + LOOK_SECONDS

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

    def _look_around(self, namespace: str, due: Sequence[Held]) -> None:
        try:
            warnings = self.objects.warnings(namespace)
        except ApiError as error:
            logger.warning("the events of namespace %s cannot be read for now: %s", namespace, error)
            warnings = {}  # those that are looked at for other reasons are read all the same
        unseen = bool({"", namespace} & self.unseen)
        for held in due:
            if not held.form.told_by_warnings:
                held.form.look(held, None)
                continue
            wanted = held.wait is not None and held.wait.looks_at_events and not held.abort_sent
            events = warnings.get(held.uid, ())
            if events or unseen or not wanted:
                held.form.look(held, events)
