"""How an attempt ends (form.Form): judged, its log kept, its pod or job gone. In this order, that nothing be lost."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial

from artifacts.store import ObjectStore
from scheduler.attempts.judge import Showing
from scheduler.attempts.observations import Ended
from scheduler.attempts.outcomes import SYSTEM, Outcome, aborted, failure
from scheduler.executors.kubernetes import judging
from scheduler.executors.kubernetes.board import Board, waited
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.ending import timed_out, verdict
from scheduler.executors.kubernetes.held import Held, Stage
from scheduler.executors.kubernetes.observe import Over
from scheduler.executors.kubernetes.threads import Threads
from scheduler.executors.kubernetes.waiting import MENDED_BY
from scheduler.phases import AttemptPhase

logger = logging.getLogger(__name__)

ARCHIVERS = 32
AGAIN_SECONDS = 2.0
PATIENCE_SECONDS = 300.0  # an attempt's end waits so long for the store


class Finisher:
    """Its methods are jobs for other threads: they wait for the store and the cluster."""

    def __init__(
        self,
        board: Board,
        cluster: Cluster,
        store: ObjectStore,
        *,
        max_deck_bytes: int,
        freed: Callable[[str], None],
    ) -> None:
        self.board, self.cluster, self.store = board, cluster, store
        self.max_deck_bytes, self.freed = max_deck_bytes, freed
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
            tail = held.form.tail(held) if found.failed or not held.runs else ""
            outcome = judging.judge(
                held.spec, found, self.store, self._shown(held), log_tail=tail, max_deck_bytes=self.max_deck_bytes
            )
        except Exception as error:  # noqa: BLE001 - whatever the store says: it is asked again
            self._ask_again(held, over, error)
            return
        self.conclude(held, outcome)

    def lost(self, held: Held) -> None:
        """Its pod was there and is gone, or its job, and nobody saw how it ended: then the files decide."""
        with self.board.lock:
            if self.board.to_judge(held):
                self.board.do(partial(self.judge, held, Over(verdict({}, gone=True), None, None)))

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
            held.form.delete(held, grace=0)
        self.conclude(held, outcome)

    def abort(self, held: Held) -> None:
        """Ask its pod to end; that it has ended will be seen."""
        try:
            held.form.delete(held, grace=self.cluster.abort_grace_seconds)
        except ApiError as error:
            logger.warning("%s cannot be deleted for now: %s", held.handle, error)
            held.abort_sent = False

    def conclude(self, held: Held, outcome: Outcome) -> None:
        """Tell its end, once, and see to the rest."""
        held.form.last_words(held)
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
            held.form.keep_log(held)
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
        try:
            if held.uid:
                keep = self.cluster.keep_ended_seconds
                if not keep:
                    held.form.delete(held, grace=0)
                held.form.release(held)
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
            held.form.delete(held, grace=0)
        self._forget(held)

    def _forget(self, held: Held) -> None:
        held.form.forget(held)
        with self.board.lock:
            if self.board.held.get(held.id) is held:
                del self.board.held[held.id]

    def _shown(self, held: Held) -> Showing:
        return Showing(hidden=held.hidden)
