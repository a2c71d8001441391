"""The end of an attempt: how it ended, its log kept, its pod or job gone. In this order, so that nothing is lost."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Protocol

from artifacts.store import ObjectStore
from scheduler.attempts.judge import Showing
from scheduler.attempts.observations import Ended
from scheduler.attempts.outcomes import SYSTEM, Outcome, aborted, failure
from scheduler.executors.kubernetes import judging
from scheduler.executors.kubernetes.board import Board, waited
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.ending import timed_out
from scheduler.executors.kubernetes.held import Held, Stage
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.observe import Over
from scheduler.executors.kubernetes.reuse.logs import TaskLog
from scheduler.executors.kubernetes.threads import Threads
from scheduler.executors.kubernetes.waiting import MENDED_BY
from scheduler.phases import AttemptPhase

logger = logging.getLogger(__name__)

ARCHIVERS = 32
AGAIN_SECONDS = 2.0
PATIENCE_SECONDS = 300.0  # an attempt's end waits so long for the store


class Things(Protocol):
    """What an attempt is made of on a cluster: a pod, or a job. All raise what Api and the store raise."""

    def delete(self, held: Held, *, grace: int) -> None:
        """Have it end, with `grace` seconds for its programs; what is gone is fine."""

    def release(self, held: Held) -> None:
        """Its end is stored: what it keeps of others is given back."""

    def forget(self, held: Held) -> None:
        """Nobody asks of it any more."""

    def keep_log(self, held: Held) -> None:
        """All of its logs to the store."""

    def tail(self, held: Held) -> str:
        """The end of the log that tells how it ended."""

    def last_words(self, held: Held) -> None:
        """What is to be told before its end is."""


class Pods:
    """Of attempts that are one pod each."""

    def __init__(self, board: Board, objects: Objects, log_of: Callable[[Held], LogKeeper]) -> None:
        self.board, self.objects, self.log_of = board, objects, log_of

    def delete(self, held: Held, *, grace: int) -> None:
        self.objects.delete_pod(held.namespace, held.name, held.uid, grace=grace)

    def release(self, held: Held) -> None:
        self.objects.release(held.namespace, held.name, held.uid)

    def forget(self, held: Held) -> None:
        """Nothing more is known of it than what is held."""

    def keep_log(self, held: Held) -> None:
        if (log := self._log(held)) is not None and (held.uid or held.pool):
            log.finish(held.others)
            log.discard()

    def tail(self, held: Held) -> str:
        log = self._log(held)
        return log.peek() if log is not None else ""

    def last_words(self, held: Held) -> None:
        """Its phases have told all."""

    def _log(self, held: Held) -> LogKeeper | TaskLog | None:
        """None: it has none, or never began one."""
        with self.board.lock:
            if held.log is None and held.main and held.log_uri:
                held.log = self.log_of(held)
            return held.log


class Finisher:
    """Its methods are jobs for other threads: they wait for the store and the cluster."""

    def __init__(
        self,
        board: Board,
        things_of: Callable[[Held], Things],
        cluster: Cluster,
        store: ObjectStore,
        *,
        max_deck_bytes: int,
        freed: Callable[[str], None],
    ) -> None:
        self.board, self.of, self.cluster, self.store = board, things_of, cluster, store
        self.max_deck_bytes, self.freed = max_deck_bytes, freed
        self.left: Callable[[Held], None] = lambda held: None  # told of one that shared a pod: nothing more is to come
        self._archivers = Threads(ARCHIVERS, "keep-logs")

    def early(self, held: Held) -> None:
        """Its main container has ended well: where its outputs are there already nobody needs to wait for the pod."""
        with contextlib.suppress(Exception):  # then the pod's own end will tell
            told = judging.early(held.spec, self.store, self._shown(held), max_deck_bytes=self.max_deck_bytes)
            if told is not None and self.board.to_judge(held):
                self.conclude(held, told)

    def judge(self, held: Held, over: Over) -> None:
        """Of one that is to be judged by the caller (`Board.to_judge`)."""
        found = over.verdict
        held.started_at = held.started_at or over.started_at
        if held.cancelled and (found.cut_off or found.failed):
            self.conclude(held, aborted(held.cancelled))
            return
        if held.overdue and (found.cut_off or found.failed):
            found = timed_out(held.timeout)
        try:
            tail = self.of(held).tail(held) if found.failed or not held.runs else ""
            outcome = judging.judge(
                held.spec, found, self.store, self._shown(held), log_tail=tail, max_deck_bytes=self.max_deck_bytes
            )
        except Exception as error:  # noqa: BLE001 - whatever the store says: it is asked again
            self._ask_again(held, over, error)
            return
        self.conclude(held, outcome)

    def _ask_again(self, held: Held, over: Over, error: Exception) -> None:
        if held.failing_for() < PATIENCE_SECONDS:
            logger.warning("%s: how it ended cannot be found out for now: %s", held.handle, error)
            self.board.later(AGAIN_SECONDS, partial(self.judge, held, over))
            return
        said = f"how the task ended could not be found out: {error}"
        self.conclude(held, failure("StoreUnavailable", said, SYSTEM, retryable=True))

    def give_up(self, held: Held) -> None:
        """It has waited for longer than the grace of its reason."""
        wait = held.wait
        if wait is None:
            return
        after = "" if wait.fails_at_once else f" (waited {waited(held):.0f} s)"
        mended_by = f"; {MENDED_BY[wait.code]}" if wait.code in MENDED_BY else ""
        outcome = failure(wait.code, f"{wait.message}{after}{mended_by}", wait.kind, retryable=wait.retryable)
        with contextlib.suppress(ApiError):  # it is tried again when its end is written down
            self.of(held).delete(held, grace=0)
        self.conclude(held, outcome)

    def abort(self, held: Held) -> None:
        """Ask its pod to end; that it has ended will be seen."""
        try:
            self.of(held).delete(held, grace=self.cluster.abort_grace_seconds)
        except ApiError as error:
            logger.warning("%s cannot be deleted for now: %s", held.handle, error)
            held.abort_sent = False

    def conclude(self, held: Held, outcome: Outcome) -> None:
        """Tell its end, once, and see to the rest."""
        self.of(held).last_words(held)
        with self.board.lock:
            if held.stage == Stage.OVER:
                return
            held.stage, held.look_at = Stage.OVER, None
            started = held.started_at if held.runs or outcome.phase == AttemptPhase.SUCCEEDED else None
            recorded = partial(self._apart, self._settled, held)
            self.board.emit(Ended(held.id, outcome, datetime.now(timezone.utc), started, recorded))
            held.failing_since = None
        self.freed(held.namespace)
        self._archive(held)

    def _archive(self, held: Held) -> None:
        self._apart(self._keep_log, held)

    def _apart(self, step: Callable[[Held], None], held: Held) -> None:
        """In threads of their own: what is left to do after an end takes a while, and others' ends must not wait.
        Shutting down, the next process does it (strays).
        """
        self._archivers.submit(partial(step, held))

    def stop(self) -> None:
        self._archivers.stop()

    def _keep_log(self, held: Held) -> None:
        try:
            self.of(held).keep_log(held)
        except Exception as error:  # noqa: BLE001 - the log is worth some tries, not the pod's staying for ever
            if held.failing_for() < PATIENCE_SECONDS:
                self.board.later(AGAIN_SECONDS, partial(self._archive, held))
                return
            logger.error("the log of %s is lost: %s", held.handle, error)
        self._settled(held)

    def _settled(self, held: Held) -> None:
        with self.board.lock:
            held.to_settle -= 1
            if held.to_settle > 0:
                return
        self._let_go(held)

    def _let_go(self, held: Held) -> None:
        """Its end is in the database and its log in the store: nobody needs the pod."""
        if held.pool:
            self.left(held)
            self._forget(held)
            return
        try:
            if held.uid:
                keep = self.cluster.keep_ended_seconds
                if not keep:
                    self.of(held).delete(held, grace=0)
                self.of(held).release(held)
                if keep:  # until then it is known, and so no stray
                    self.board.later(keep, partial(self._remove, held))
                    return
        except ApiError as error:
            logger.warning("the pod %s cannot be let go for now: %s", held.handle, error)
            self.board.later(AGAIN_SECONDS, partial(self._apart, self._let_go, held))
            return
        self._forget(held)

    def _remove(self, held: Held) -> None:
        with contextlib.suppress(ApiError):  # else it is found as one that nobody needs
            self.of(held).delete(held, grace=0)
        self._forget(held)

    def _forget(self, held: Held) -> None:
        self.of(held).forget(held)
        with self.board.lock:
            if self.board.held.get(held.id) is held:
                del self.board.held[held.id]

    def _shown(self, held: Held) -> Showing:
        return Showing(hidden=held.hidden)
