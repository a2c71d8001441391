"""Makes the pods of attempts: in turn, a few at a time, once each whatever happens to the answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from artifacts.exceptions import CausewayError, InvalidArgument, NotFound
from scheduler.attempts.outcomes import SYSTEM, USER, Outcome, aborted, failure
from scheduler.executors.kubernetes import kueue, pods
from scheduler.executors.kubernetes.board import Board, waited
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.held import Held, Stage
from scheduler.executors.kubernetes.jobs.registry import KINDS
from scheduler.executors.kubernetes.making import Maker, NoOperator, Taken
from scheduler.executors.kubernetes.refusals import Kind, refusal, without_use
from scheduler.executors.kubernetes.threads import Threads
from scheduler.executors.kubernetes.wait import Wait
from scheduler.executors.vital import may_pass

logger = logging.getLogger(__name__)

Conclude = Callable[[Held, Outcome], None]
AGAIN_SECONDS = 1.0
OPERATOR_SECONDS = 2.0  # between two looks for an operator that is not there
PATIENCE_SECONDS = 300.0  # for what fails without a known reason


class Submission:
    """`conclude` ends an attempt that gets no pod; `lost` one whose pod was there and is gone."""

    def __init__(self, board: Board, maker: Maker, *, conclude: Conclude, lost: Callable[[Held], None]) -> None:
        self.board, self.maker = board, maker
        self.conclude, self.lost = conclude, lost
        self._threads = Threads(board.turns.most, "make-pods")
        self._unqueued: set[str] = set()  # namespaces of which it was said

    def add(self, held: Held, execution: str = "") -> None:
        """`execution`: its name, where the caller knows it."""
        execution = execution or held.spec.identity.execution
        with self.board.lock:
            self.board.turns.add(held.id, held.namespace, execution)
        self.go_on()

    def go_on(self) -> None:
        """Begin whatever may be tried now."""
        with self.board.lock:
            while (attempt_id := self.board.turns.next(time.monotonic())) is not None:
                held = self.board.held.get(attempt_id)
                if held is None or self.board.stopping:
                    self.board.turns.made(attempt_id)
                else:
                    self._threads.submit(partial(self._try, held))

    def freed(self, namespace: str) -> None:
        with self.board.lock:
            self.board.turns.freed(namespace)
        self.go_on()

    def stop(self) -> None:
        self._threads.stop()

    def _try(self, held: Held) -> None:
        try:
            self._step(held)
        except Exception as error:
            logger.exception("%s: its pod could not be made", held.handle)
            self._put_off(held, f"{type(error).__name__}: {error}")
        finally:
            self.go_on()

    def _step(self, held: Held) -> None:
        try:
            if held.stage == Stage.TO_MAKE and not self._needs_none(held):
                pod, held.hidden = self._find_or_make(held)
                self._made(held, pod)
                return
            self._done(held)
        except ApiError as error:
            self._refused(held, error)
        except InvalidArgument as error:
            self._end(held, failure("BadTaskSpecification", error.message, USER, retryable=False))
        except NotFound as error:  # a secret that is not set
            self._end(held, failure("SecretNotFound", error.message, USER, retryable=False))
        except NoOperator as error:
            self._wait_for_operator(held, str(error))
        except Taken as error:
            self._end(held, failure("PodNameTaken", str(error), SYSTEM, retryable=True))
        except CausewayError as error:
            self._end(held, failure("SecretUnreadable", error.message, SYSTEM, retryable=False))
        except Exception as error:
            if not may_pass(error):
                raise
            self._put_off(held, f"the database does not answer: {error}")

    def _needs_none(self, held: Held) -> bool:
        """Whether it was cancelled before anybody made a pod, and so is over."""
        if not held.cancelled or held.adopted:
            return False
        self._end(held, aborted(held.cancelled))
        return True

    def _find_or_make(self, held: Held) -> tuple[pods.Json, tuple[str, ...]]:
        if held.adopted:
            found = self.maker.find(held.namespace, held.name, held.id, KINDS.get(held.job))
            if found is not None:
                return found, held.hidden
            if held.given or held.cancelled:
                return {}, held.hidden  # it was there
        return self.maker.make(held.assignment)

    def _made(self, held: Held, pod: pods.Json) -> None:
        with self.board.lock:
            self._done(held)
            if held.stage == Stage.TO_MAKE:
                held.stage = Stage.MADE
            held.made_at, held.failing_since = time.monotonic(), None
            held.uid = held.uid or pods.uid_of(pod)
        if not pod:
            self.lost(held)
            return
        self._see_whether_it_is_queued(held, pod)
        self.board.accepted(held)
        held.form.made(held, pod)

    def _see_whether_it_is_queued(self, held: Held, pod: pods.Json) -> None:
        """A pod that names a queue and is not held was let go at once: said once for each namespace."""
        queue = kueue.queue_of(pod)
        if not queue or held.job or held.adopted or kueue.is_held(pod) or held.namespace in self._unqueued:
            return
        self._unqueued.add(held.namespace)
        logger.warning(
            "pods of namespace %s name the queue %s of Kueue, and wait in none: cluster %s has no Kueue, or its Kueue "
            "does not look after pods of that namespace",
            held.namespace,
            queue,
            self.maker.cluster.name,
        )

    def _refused(self, held: Held, error: ApiError) -> None:
        found = refusal(error)
        if found.kind == Kind.REFUSED:
            message = f"the cluster does not take the pod: {found.message}; {found.mended_by}"
            self._end(held, failure("PodRefused", message, USER, retryable=False))
        elif found.kind == Kind.NO_RIGHT:
            cluster = self.maker.cluster.name
            message = f"Causeway lacks a right on cluster {cluster}: {found.message}; {found.mended_by}"
            self._end(held, failure("RightMissing", message, SYSTEM, retryable=False))
        elif found.kind == Kind.NO_NAMESPACE:
            self._make_namespace(held)
        elif found.kind == Kind.QUOTA:
            grace = self.maker.cluster.graces.quota
            words = f"the cluster's own quota of namespace {held.namespace}: {without_use(found.message)}"
            self._wait_for_namespace(held, Wait("QuotaExceeded", words, grace, short=True), found.after)
        elif found.kind == Kind.CLOSING:
            grace = self.maker.cluster.graces.creating
            self._wait_for_namespace(held, Wait("NamespaceTerminating", found.message, grace), found.after)
        elif found.kind == Kind.WEBHOOK:  # other namespaces may have none: they do not wait for it
            self._wait_for_namespace(held, Wait("WebhookAway", found.message), found.after)
        elif found.kind in (Kind.EXISTS, Kind.SOON):
            self._put_off(held, found.message)
        else:
            wait = Wait("ClusterBusy", f"the cluster does not take pods for now: {found.message}")
            self._put_back(held, wait, quota=False, after=found.after)
            self.board.waits(held, wait)

    def _make_namespace(self, held: Held) -> None:
        project, domain = held.spec.identity.place
        try:
            self.maker.prepare_namespace(held.namespace, project, domain)
        except InvalidArgument as error:
            self._end(held, failure("NamespaceMissing", error.message, SYSTEM, retryable=False))
        except ApiError as error:
            self._put_off(held, str(error))
        else:
            self._put_off(held, f"namespace {held.namespace} is being made", seconds=0.0)

    def _wait_for_namespace(self, held: Held, wait: Wait, after: float) -> None:
        """Others of the namespace wait with it."""
        self.board.waits(held, wait)
        if wait.grace and waited(held) > wait.grace:
            words = f"waited {wait.grace:g} s: {wait.message}"
            self._end(held, failure(wait.code, words, SYSTEM, retryable=False))
            return
        self._put_back(held, wait, quota=True, after=after)

    def _wait_for_operator(self, held: Held, words: str) -> None:
        """Somebody may install it; other attempts do not wait with it."""
        wait = Wait("OperatorMissing", words, self.maker.cluster.graces.operator)
        self.board.waits(held, wait)
        if wait.grace and waited(held) > wait.grace:
            self._end(held, failure(wait.code, f"waited {wait.grace:g} s: {words}", SYSTEM, retryable=False))
            return
        self._done(held)
        self.board.later(OPERATOR_SECONDS, lambda: self.add(held))

    def _put_back(self, held: Held, wait: Wait, *, quota: bool, after: float) -> None:
        with self.board.lock:
            self.board.turns.refused(held.id, wait.reason, time.monotonic(), quota=quota, after=after)

    def _put_off(self, held: Held, why: str, *, seconds: float = AGAIN_SECONDS) -> None:
        """What concerns this attempt alone; for some minutes."""
        if held.failing_for() > PATIENCE_SECONDS:
            self._end(held, failure("StartFailed", f"its pod could not be made: {why}", SYSTEM, retryable=True))
            return
        self._done(held)
        self.board.waits(held, Wait("Submitting", why))
        if seconds:
            self.board.later(seconds, lambda: self.add(held))
        else:
            self.add(held)

    def _end(self, held: Held, outcome: Outcome) -> None:
        self._done(held)
        if self.board.to_judge(held):
            if not held.uid and held.spec.secrets:
                self.maker.forget_secret(held.namespace, held.name)
            self.conclude(held, outcome)

    def _done(self, held: Held) -> None:
        with self.board.lock:
            if held.id in self.board.turns.trying:
                self.board.turns.made(held.id)
