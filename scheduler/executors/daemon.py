"""The process behind an executor: claims attempts, hands them over, writes down what becomes of them.

Three threads: one waits for wake-ups, one claims and hands over, one records. The database is the truth, wake-ups are
hints: without a broker the daemon looks once a second, without a database it waits and repeats.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from django.db import close_old_connections
from flyteidl.core import execution_pb2

from scheduler.actions import attempts
from scheduler.executors.base import Assignment, Ended, Event, Executor, Outcome, Started
from scheduler.executors.resources import Resources
from scheduler.executors.vital import may_pass, vital
from scheduler.messages import bounded
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.wake import broker, executor_channel

logger = logging.getLogger(__name__)

DEFAULT_CPU = 0.125  # cores counted for a task that does not say
POLL_SECONDS = 1.0
TICK_SECONDS = 0.5
HEARTBEAT_SECONDS = 5.0
# Under load several ends, and several claims, share a transaction: none follows the one before sooner than this.
TOGETHER_SECONDS = 0.02
# A start is written this much later: of tasks that end sooner both are written at once.
START_SECONDS = 0.02
TRIES = 3  # to hand over an assignment, and to write a report that the database refuses
TRY_AGAIN_SECONDS = 0.2
LOST_AFTER = timedelta(hours=1)  # other machines' attempts fail when nothing was heard of them for so long


class Daemon:
    def __init__(self, executor: Executor, instance: str) -> None:
        self.executor, self.instance = executor, instance
        self.stopping = threading.Event()
        self._started_at = datetime.now(timezone.utc)
        self._work = threading.Event()  # something may be claimable or cancelled
        self._short = True  # whether, for all we know, queued attempts wait for what others hold
        self._recorded_at = 0.0  # monotonic; the last ends
        self._events: queue.Queue[Event] = queue.Queue()
        self._held: dict[int, Resources] = {}
        self._unrecorded: set[int] = set()  # ended, and not yet so in the database
        self._refused: dict[int, int] = {}  # how often each attempt could not be handed over
        self._lock = threading.Lock()

    def run(self) -> None:
        """Work until stop() is called; running attempts then go on without it."""
        self.executor.start(self._emit)
        threads = [vital(self._wait_for_wake_ups, name="wake-ups"), vital(self._record, name="recorder")]
        self._until_done(self._adopt)
        self.executor.settle()
        for thread in threads:
            thread.start()
        self._claim_forever()
        threads[1].join(timeout=5)
        self.executor.stop()

    def stop(self) -> None:
        self.stopping.set()
        self._work.set()

    def _emit(self, event: Event) -> None:
        """From any thread. An end frees its slot at once; that it is recorded may come a moment later."""
        if isinstance(event, Ended):
            with self._lock:
                self._held.pop(event.attempt_id, None)
                self._unrecorded.add(event.attempt_id)
            if self._short:
                self._work.set()
        self._events.put(event)

    def _adopt(self) -> None:
        now = datetime.now(timezone.utc)
        attempts.heartbeat(self.instance, self.executor.name, self.executor.capacity(), now=now, starting=True)
        self._adopt_unknown()

    def _adopt_unknown(self) -> None:
        """Attempts that are ours in the database and that this process knows nothing of.

        An earlier process claimed them, or a claim whose commit succeeded although it seemed to fail. What is known is
        noted before the database is asked: an attempt that ends meanwhile must not look unknown.
        """
        with self._lock:
            known = self._held.keys() | self._unrecorded
        rows = [row for row in attempts.held_by(self.instance) if row.pk not in known]
        if rows:
            logger.info("adopting %d attempts", len(rows))
        for row in rows:
            self._hand_over(row, self.executor.adopt)

    def _hand_over(self, row: TaskExecution, take: Callable[[Assignment], None]) -> None:
        """One that cannot be handed over keeps nothing from the others. It is adopted with the next sign of life, and
        ends as a system failure when that has failed a few times.
        """
        try:
            self._hold(row)
            take(assignment(row, self.executor.capacity()))
            self._refused.pop(row.pk, None)
        except Exception as error:
            logger.exception("%s could not be handed over", row)
            tries = self._refused[row.pk] = self._refused.get(row.pk, 0) + 1
            if tries >= TRIES:
                del self._refused[row.pk]
                said = f"the attempt could not be handed to the executor: {type(error).__name__}: {error}"
                self._emit(Ended(row.pk, system_failure("StartFailed", said), datetime.now(timezone.utc)))
            else:
                with self._lock:
                    self._held.pop(row.pk, None)

    def _hold(self, row: TaskExecution) -> None:
        with self._lock:
            total = self.executor.capacity()
            self._held[row.pk] = Resources.parse(row.resources, default_cpu=DEFAULT_CPU, within=total)

    def _free(self) -> Resources:
        free = self.executor.capacity()
        with self._lock:
            for held in self._held.values():
                free -= held
        return free

    def _claim_forever(self) -> None:
        claimed = ticked = beaten = 0.0
        while not self.stopping.is_set():
            self._work.wait(TICK_SECONDS)
            woken = self._work.is_set()
            time.sleep(max(0.0, claimed + TOGETHER_SECONDS - time.monotonic()))
            self._work.clear()
            if woken or time.monotonic() - claimed > POLL_SECONDS:
                self._try(self._claim)
                claimed = time.monotonic()
            if time.monotonic() - ticked > TICK_SECONDS:
                ticked = time.monotonic()
                self._try(self._cancel)
                self._try(self.executor.tick)
            if time.monotonic() - beaten > HEARTBEAT_SECONDS:
                beaten = time.monotonic()
                self._try(self._beat)

    def _claim(self) -> None:
        self._short = True
        while not self.stopping.is_set():
            free = self._free()
            if free.cpu <= 0:
                return
            claim = attempts.claim(
                self.executor.name,
                self.instance,
                free,
                self.executor.capacity(),
                now=datetime.now(timezone.utc),
                default_cpu=DEFAULT_CPU,
            )
            for row in claim.rows:
                self._hand_over(row, self.executor.submit)
            if not claim.more:
                self._short = False
                return
            if not claim.rows:
                return

    def _cancel(self) -> None:
        if self._held:
            for attempt_id in attempts.cancelled(self.instance):
                self.executor.cancel(attempt_id)

    def _beat(self) -> None:
        now = datetime.now(timezone.utc)
        attempts.heartbeat(self.instance, self.executor.name, self.executor.capacity(), now=now)
        self._adopt_unknown()
        if now - self._started_at > LOST_AFTER:  # after an outage of everything, others get time to show up first
            attempts.expire_lost(self.executor.name, now=now, silent_for=LOST_AFTER, actor=self.instance)

    def _wait_for_wake_ups(self) -> None:
        channel = executor_channel(self.executor.name)
        told = False
        while not self.stopping.is_set():
            try:
                if broker().blpop([channel], timeout=2):
                    self._work.set()
                told = False
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the broker, polling goes on
                if not told:
                    logger.warning("no wake-ups from the broker (%s); looking every %g s", error, POLL_SECONDS)
                told = True
                self.stopping.wait(2)

    def _record(self) -> None:
        """Starts and ends in batches: whatever came while the last transaction ran goes into the next."""
        while not (self.stopping.is_set() and self._events.empty()):
            if batch := self._next_events():
                self._write_down(batch)

    def _next_events(self) -> list[Event]:
        """Those that came and, for a moment, those that come after them; nothing if none comes for a while."""
        try:
            batch = [self._events.get(timeout=0.5)]
        except queue.Empty:
            return []
        due = time.monotonic() + START_SECONDS
        while True:
            if isinstance(batch[-1], Ended):
                due = min(due, self._recorded_at + TOGETHER_SECONDS)
            try:
                batch.append(self._events.get(timeout=max(0.0, due - time.monotonic())))
            except queue.Empty:
                return batch

    def _write_down(self, events: list[Event]) -> None:
        """All of them, as soon as the database takes them. One that it refuses keeps none of the others from it: each
        is written by itself then, and what is refused again and again is set aside.
        """
        tries = 0
        while True:
            try:
                self._write(events)
                return
            except Exception as error:  # noqa: BLE001 - this thread has to outlive whatever is wrong with a report
                close_old_connections()
                if may_pass(error):
                    logger.warning("the database does not take reports, will try again: %s", error)
                    if self.stopping.wait(1.0):
                        return  # the next process finds out by itself how these ended
                elif len(events) > 1:
                    for event in events:
                        self._write_down([event])
                    return
                elif (tries := tries + 1) >= TRIES:
                    self._set_aside(events[0], error)
                    return
                else:
                    self.stopping.wait(TRY_AGAIN_SECONDS)

    def _set_aside(self, event: Event, error: Exception) -> None:
        """The attempt ends as a system failure that says why; the report itself is in the log. Of a start that cannot
        be written the end will tell.
        """
        logger.error("this report cannot be written and is set aside: %.2000r", event, exc_info=error)
        if not isinstance(event, Ended):
            return
        said = f"the attempt ended, but how cannot be written down: {type(error).__name__}: {error}"
        instead = Ended(event.attempt_id, system_failure("ReportRefused", said), event.at, None, event.on_recorded)
        try:
            self._write([instead])
        except Exception:
            logger.exception("attempt %d: that it ended cannot be written either", event.attempt_id)
            with self._lock:  # with the next sign of life it is adopted, and judged, once more
                self._unrecorded.discard(event.attempt_id)

    def _write(self, events: list[Event]) -> None:
        ended = {event.attempt_id: event for event in events if isinstance(event, Ended)}
        started = [event for event in events if isinstance(event, Started) and event.attempt_id not in ended]
        if ended:
            attempts.report_ends(ended.values(), actor=self.instance)
            self._recorded_at = time.monotonic()
        if started:
            attempts.report_running(started, actor=self.instance)
        with self._lock:
            self._unrecorded -= ended.keys()
        for event in ended.values():
            if event.on_recorded is not None:
                self._try(event.on_recorded)

    def _try(self, act: Callable[[], None]) -> bool:
        """Whether it went well. What goes wrong in a round of the daemon is told, and the next round comes."""
        try:
            act()
        except Exception as error:
            if may_pass(error):
                logger.warning("the database does not answer, will try again: %s", error)
            else:
                logger.exception("a step of the executor failed, will try again")
            close_old_connections()
            return False
        return True

    def _until_done(self, act: Callable[[], None]) -> None:
        while not self._try(act) and not self.stopping.wait(1.0):
            pass


def system_failure(code: str, message: str) -> Outcome:
    """An end that is nobody's fault but Causeway's or the machine's, and may be repeated."""
    message = bounded(message)
    error = execution_pb2.ExecutionError(code=code, message=message, kind=execution_pb2.ExecutionError.SYSTEM)
    return Outcome(AttemptPhase.FAILED, reason=message[:500], error=error.SerializeToString(), retryable=True)


def assignment(row: TaskExecution, total: Resources) -> Assignment:
    """`total`: what the executor has in all."""
    needs = Resources.parse(row.resources, within=total)
    return Assignment(
        attempt_id=row.pk,
        name=row.name,
        command=row.command,
        resources=Resources.parse(row.resources, default_cpu=DEFAULT_CPU, within=total),
        memory_limit=int(row.resources.get("memory_limit") or needs.memory),
        log_uri=row.log_uri,
    )
