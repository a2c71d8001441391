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

from scheduler import pulse
from scheduler.attempts import claims, reports, wire
from scheduler.attempts.claims import Packing
from scheduler.attempts.observations import Ended, Observation
from scheduler.attempts.outcomes import system_failure
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Executor
from scheduler.executors.pacing import LEAST, Pacing
from scheduler.executors.packing import Held, InRows, MachinePacking, Unbounded
from scheduler.executors.vital import may_pass, vital
from scheduler.models import TaskExecution
from scheduler.wake import broker, executor_channel

logger = logging.getLogger(__name__)

DEFAULT_CPU = 0.125  # cores counted for a task that does not say
POLL_SECONDS = 1.0
TICK_SECONDS = 0.5
HEARTBEAT_SECONDS = 5.0
NOTHING = Resources()
TRIES = 3  # to hand over an assignment, and to write a report that the database refuses
TRY_AGAIN_SECONDS = 0.2
LOST_AFTER = timedelta(hours=1)  # other machines' attempts fail when nothing was heard of them for so long


class Daemon:
    def __init__(self, executor: Executor, instance: str) -> None:
        self.executor, self.instance = executor, instance
        self.stopping = threading.Event()
        self._started_at = datetime.now(timezone.utc)
        self._work = threading.Event()  # something may be claimable or cancelled
        self._told = threading.Event()  # somebody else says so: it is not only that a place became free
        # Several ends, and several claims, share a transaction: none follows the one before sooner than it says. And a
        # start is written that much later: of tasks that end sooner both are written at once.
        self._pacing = Pacing()
        self._took = False  # whether the last claim took any
        self._short = True  # whether, for all we know, queued attempts wait for what others hold
        self._counted = False  # whether quotas had a say in the last claim: they count what the database says is held
        self._recorded_at = 0.0  # monotonic; the last ends
        self._events: queue.Queue[Observation] = queue.Queue()
        self._held: dict[int, Held] = {}
        self._unrecorded: set[int] = set()  # ended, and not yet so in the database
        self._refused: dict[int, int] = {}  # how often each attempt could not be handed over
        self._lock = threading.Lock()

    def run(self) -> None:
        """Work until stop() is called; running attempts then go on without it."""
        self.executor.start(self._emit)
        if self.stopping.is_set():  # perhaps while it waited for its turn: then nothing is its own
            self.executor.stop()
            return
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
        self._told.set()
        self._work.set()
        self.executor.give_up()

    def _emit(self, event: Observation) -> None:
        """From any thread. An end frees its slot at once; that it is recorded may come a moment later."""
        if isinstance(event, Ended):
            with self._lock:
                held = self._held.pop(event.attempt_id, None)
                self._unrecorded.add(event.attempt_id)
            if held is not None:
                self._pacing.note(time.monotonic() - held.since)
            if self._short:
                self._work.set()
        self._events.put(event)

    def _adopt(self) -> None:
        now = datetime.now(timezone.utc)
        self._say_alive(now, starting=True)
        self._adopt_unknown()

    def _adopt_unknown(self) -> None:
        """Attempts that are ours in the database and that this process knows nothing of.

        An earlier process claimed them, or a claim whose commit succeeded although it seemed to fail. What is known is
        noted before the database is asked: an attempt that ends meanwhile must not look unknown.
        """
        with self._lock:
            known = self._held.keys() | self._unrecorded
        adopted = 0
        for row in claims.held_by(self.instance, known=known):
            self._hand_over(row, self.executor.adopt)
            adopted += 1
        if adopted:
            logger.info("adopted %d attempts", adopted)

    def _hand_over(self, row: TaskExecution, take: Callable[[Assignment], None]) -> None:
        """One that cannot be handed over keeps nothing from the others. It is adopted with the next sign of life, and
        ends as a system failure when that has failed a few times.
        """
        try:
            self._hold(row)
            take(assignment(row, self._total()))
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
        total = self._total()
        with self._lock:  # of a cluster, which counts by itself, that it is held is all
            needs = Resources.parse(row.resources, default_cpu=DEFAULT_CPU, within=total) if total else NOTHING
            self._held[row.pk] = Held(needs, row.task_id, time.monotonic())

    def _total(self) -> Resources | None:
        """What a machine has in all; None: the place is none."""
        return None if self.executor.most else self.executor.capacity()

    def _packing(self) -> Packing | None:
        """None: there is no room for anything."""
        if self.executor.most:
            with self._lock:
                left = self.executor.most - len(self._held)
            return Unbounded(left) if left > 0 else None
        total, in_rows = self.executor.capacity(), InRows(self.executor.rows, DEFAULT_CPU)
        with self._lock:
            held = list(self._held.values())
        free, now = in_rows.left(total, held), datetime.now(timezone.utc)
        packing = MachinePacking(free, total, now=now, default_cpu=DEFAULT_CPU, in_rows=in_rows)
        return packing if packing.has_room() else None

    def _claim_forever(self) -> None:
        claimed = ticked = beaten = 0.0
        while not self.stopping.is_set():
            pulse.beat()
            self._work.wait(TICK_SECONDS)
            woken = self._work.is_set()
            if self._held:  # else nothing ends meanwhile
                self._told.wait(max(0.0, claimed + self._pacing.seconds() - time.monotonic()))
            if self._held or not self._took:  # what others take, or cannot be run here, may be told of all the time
                self.stopping.wait(max(0.0, claimed + LEAST - time.monotonic()))
            self._told.clear()
            if woken:  # what came since is for the next round
                self._work.clear()
            if woken or time.monotonic() - claimed > POLL_SECONDS:
                self._try(self._claim)
                claimed = time.monotonic()
            if time.monotonic() - ticked > TICK_SECONDS:
                ticked = time.monotonic()
                self._try(self._cancel)
                self._try(self.executor.tick)
                self._pacing.busy = self.executor.is_busy()
            if time.monotonic() - beaten > HEARTBEAT_SECONDS:
                beaten = time.monotonic()
                self._try(self._beat)

    def _claim(self) -> None:
        self._short, self._took = True, False
        while not self.stopping.is_set():
            packing = self._packing()
            if packing is None:
                return
            now = datetime.now(timezone.utc)
            claim = claims.claim(self.executor.name, self.instance, packing, now=now, cluster=self.executor.cluster)
            with self.executor.together():
                for row in claim.rows:
                    self._hand_over(row, self.executor.submit)
            self._took = self._took or bool(claim.rows)
            self._counted = claim.counted
            if not claim.more:
                self._short = False
                return
            if not claim.rows:
                return

    def _cancel(self) -> None:
        if self._held:
            for attempt_id in claims.cancelled(self.instance):
                self.executor.cancel(attempt_id)

    def _beat(self) -> None:
        now = datetime.now(timezone.utc)
        self._say_alive(now)
        self._adopt_unknown()
        # Not of a cluster: what runs there outlives those who look after it. After an outage of everything others get
        # time to show up first.
        if not self.executor.most and now - self._started_at > LOST_AFTER:
            claims.expire_lost(self.executor.name, now=now, silent_for=LOST_AFTER, actor=self.instance)

    def _say_alive(self, now: datetime, *, starting: bool = False) -> None:
        of = self.executor
        claims.heartbeat(
            self.instance, of.name, of.capacity(), cluster=of.cluster, kept=of.kept(), now=now, starting=starting
        )

    def _wait_for_wake_ups(self) -> None:
        channel = executor_channel(self.executor.name, self.executor.cluster)
        told = False
        while not self.stopping.is_set():
            try:
                if broker().blpop([channel], timeout=2):
                    self._told.set()
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

    def _next_events(self) -> list[Observation]:
        """Those that came and, for a moment, those that come after them; nothing if none comes for a while."""
        try:
            batch = [self._events.get(timeout=0.5)]
        except queue.Empty:
            return []
        together = self._pacing.seconds()
        due = time.monotonic() + together
        while True:
            if isinstance(batch[-1], Ended):
                due = min(due, self._recorded_at + together)
            if not self._held:  # nothing is left that could end
                due = 0.0
            try:
                batch.append(self._events.get(timeout=max(0.0, due - time.monotonic())))
            except queue.Empty:
                return batch

    def _write_down(self, events: list[Observation]) -> None:
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

    def _set_aside(self, event: Observation, error: Exception) -> None:
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

    def _write(self, events: list[Observation]) -> None:
        ended = reports.ends_of(events)
        if ended:
            reports.report_ends(ended.values(), actor=self.instance)
            self._recorded_at = time.monotonic()
            if self._short and self._counted:
                self._work.set()  # only now is what they held free for the quotas
        if others := [event for event in events if event.attempt_id not in ended]:
            reports.report(others, actor=self.instance)
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
            pulse.beat()


def assignment(row: TaskExecution, total: Resources | None) -> Assignment:
    """`total`: what the executor's machine has in all. Raises what wire.of_row raises."""
    needs = Resources.parse(row.resources, default_cpu=DEFAULT_CPU, within=total)
    return Assignment(
        attempt_id=row.pk,
        spec=wire.of_row(row),
        resources=needs,
        memory_limit=int(row.resources.get("memory_limit") or needs.memory),
        log_uri=row.log_uri,
        handle=row.handle,
        task=row.task_id,
    )
