"""Attempts that are one pod each: what the pod says, its log, and its end."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import looks, names, pods
from scheduler.executors.kubernetes.board import from_now
from scheduler.executors.kubernetes.client import FORBIDDEN, ApiError
from scheduler.executors.kubernetes.ending import NO_SHELL
from scheduler.executors.kubernetes.finishing import AGAIN_SECONDS
from scheduler.executors.kubernetes.form import Form, Log, Means
from scheduler.executors.kubernetes.held import ACTIVE, Held, Stage, is_missing, is_newer
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.observe import Ending, Over, Runs, Seen, Waits, given_up_at, observe
from scheduler.executors.kubernetes.refusals import BY_RIGHTS
from scheduler.executors.kubernetes.single.follows import Follows
from scheduler.executors.kubernetes.wait import Wait

logger = logging.getLogger(__name__)


class SinglePods(Form):
    told_by_warnings = True

    def __init__(self, means: Means) -> None:
        self.means, self.board = means, means.board
        self.follows = Follows(means.board, self._log_keeper)

    def takes(self, assignment: Assignment) -> bool:
        return True

    def add(self, held: Held, spec: AttemptSpec) -> None:
        self.means.submission.add(held, spec.identity.execution)

    def take_over(self, held: Held) -> None:
        """One that shares no pod after all."""
        spec = held.spec
        held.form, held.stage, held.pool, held.given = self, Stage.TO_MAKE, "", ""
        held.name = names.pod_name(spec.identity, self.means.maker.owner)
        held.log = held.wait = held.look_at = None
        self.add(held, spec)

    def made(self, held: Held, found: pods.Json) -> None:
        with self.board.lock:
            self.on_pod(found, gone=False)

    def cancel(self, held: Held) -> None:
        self.means.deadlines.tend(held)

    def on_pod(self, pod: pods.Json, *, gone: bool) -> bool:
        held = self.board.held.get(names.attempt_id_of(pod) or 0)
        if held is None or (held.namespace, held.name) != (pods.namespace_of(pod), pods.name_of(pod)):
            return False
        uid = pods.uid_of(pod)
        if held.stage in (Stage.JUDGED, Stage.OVER) or (held.uid and held.uid != uid):
            return True
        held.form, held.uid = self, uid  # adopted as one that shares a pod, it may have one of its own
        if gone or is_newer(held, pod):
            self._consider(held, pod, self._observe(held, pod, gone=gone))
        return True

    def listed(self, present: frozenset[str], began: float, namespace: str) -> None:
        """Of pods that should be there and were not listed it is asked what became of them."""
        for held in self.board.held.values():
            if held.form is self and namespace in ("", held.namespace) and is_missing(held, present, began):
                self.means.looks.one(held)

    def look(self, held: Held, events: Sequence[pods.Json] | None) -> None:
        objects = self.means.objects
        try:
            pod = objects.pod(held.namespace, held.name)
            if pod is None or (held.uid and pods.uid_of(pod) != held.uid):
                self.means.finisher.lost(held)
                return
            wanted = events is None and held.wait is not None and held.wait.looks_at_events
            found = objects.events(held.namespace, held.name, held.uid) if wanted else events or ()
        except ApiError as error:
            self._not_read(held, error)
            return
        with self.board.lock:
            if held.stage == Stage.MADE and is_newer(held, pod):
                self._consider(held, pod, self._observe(held, pod, events=found))

    def tick(self) -> None:
        self.follows.go_on()

    def send_grown(self) -> None:
        self.follows.send_grown()

    def stop(self) -> None:
        for held in list(self.board.held.values()):
            if held.log is not None:
                held.log.stop()
        self.follows.stop()

    def delete(self, held: Held, *, grace: int) -> None:
        self.means.objects.delete_pod(held.namespace, held.name, held.uid, grace=grace)

    def release(self, held: Held) -> None:
        self.means.objects.release(held.namespace, held.name, held.uid)

    def log_of(self, held: Held) -> Log | None:
        with self.board.lock:
            if held.log is None and held.main and held.log_uri:
                held.log = self._log_keeper(held)
            return held.log

    def _observe(self, held: Held, pod: pods.Json, *, gone: bool = False, events: Sequence[pods.Json] = ()) -> Seen:
        now = datetime.now(timezone.utc)
        return observe(pod, graces=self.means.cluster.graces, now=now, events=events, gone=gone, whole=held.whole)

    def _consider(self, held: Held, pod: pods.Json, seen: Seen) -> None:
        """Under the lock."""
        match seen:
            case Waits(wait):
                if not (wait.queued and held.wait is not None and held.wait.queued):  # else its Workload says more
                    self.means.hopeless.saw(held, wait)
                    self.board.waits(held, wait)
            case Runs(since):
                self._keep_log(held, pod, follow=True)
                self.board.runs(held, since)
                self._time(held, pod)
            case Ending(well, until):
                self._keep_log(held, pod, follow=False)
                self.board.runs(held, pods.started_at(pod, pods.primary_of(pod)))
                if until is not None:
                    held.look_at = from_now(until)
                if well and not held.ends:
                    held.ends = True
                    self.board.do(partial(self.means.finisher.early, held))
            case Over(found, _, _):
                if found.code == NO_SHELL:
                    self.means.maker.has_no_shell(held.spec.image or self.means.cluster.image)
                self._keep_log(held, pod, follow=False)
                if self.board.to_judge(held):
                    self.board.do(partial(self.means.finisher.judge, held, seen))
        if (due := given_up_at(pod, self.means.cluster.graces)) is not None:
            held.look_at = min(from_now(due), held.look_at or math.inf)
        self.means.deadlines.tend(held)

    def _time(self, held: Held, pod: pods.Json) -> None:
        """Under the lock. A task's timeout counts from its container's start, which nobody knows before: so its node is
        told now, and ends it whatever becomes of us.
        """
        if not held.timed and (seconds := pods.deadline_to_set(pod, held.timeout)):
            held.timed = True
            self.board.do(partial(self._set_deadline, held, seconds))

    def _set_deadline(self, held: Held, seconds: int) -> None:
        if held.stage not in ACTIVE:  # that it was made may be known later than that it runs
            return
        try:
            self.means.objects.set_deadline(held.namespace, held.name, held.uid, seconds)
        except ApiError as error:
            logger.warning("%s: its node cannot be told its timeout for now: %s", held.handle, error)
            self.board.later(AGAIN_SECONDS, partial(self._set_deadline, held, seconds))

    def _not_read(self, held: Held, error: ApiError) -> None:
        logger.warning("%s cannot be read for now: %s", held.handle, error)
        with self.board.lock:
            held.look_at = time.monotonic() + looks.LOOK_SECONDS
        if error.status == FORBIDDEN:
            words = f"what becomes of its pod may not be seen: {error.message}; {BY_RIGHTS}"
            grace = self.means.cluster.graces.creating
            self.board.waits(held, Wait("RightMissing", words, grace, retryable=False))

    def _keep_log(self, held: Held, pod: pods.Json, *, follow: bool) -> None:
        if held.main:
            if held.log is not None and not follow:
                held.log.container_ended()
            return
        held.main = sys.intern(pods.primary_of(pod))
        held.others = tuple(sys.intern(name) for name in pods.container_names(pod) if name != held.main)
        if held.log_uri and follow:
            self.follows.add(held)

    def _log_keeper(self, held: Held) -> LogKeeper:
        means, handle = self.means, (held.namespace, held.name)
        path = means.home / f"{held.id}.log"
        return LogKeeper(
            means.objects, handle, held.main, path, held.log_uri, means.store, means.max_log_bytes, held.masked
        )
