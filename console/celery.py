"""The Celery application. Tasks live in each app's `tasks.py`; a message is only a wake-up, PostgreSQL is the truth."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import Any

from celery import Celery, Task, bootsteps
from celery.beat import ScheduleEntry, Scheduler, SchedulingError, Service
from celery.signals import task_prerun, worker_ready

from scheduler import pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

logger = logging.getLogger(__name__)

app = Celery("causeway")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Celery's Django support closes the database connection before and after each task, and a PostgreSQL session costs tens
# of milliseconds to begin. We keep it, and close only what is broken or too old.
app.conf["CELERY_DB_REUSE_MAX"] = sys.maxsize // 2


@task_prerun.connect
def drop_broken_connections(task: Task[..., object] | None = None, **_: object) -> None:
    if task is not None and not task.request.is_eager:  # an eager task runs in its caller's transaction
        from django.db import close_old_connections

        close_old_connections()


class Ticks(Scheduler):
    """Sends the periodic messages. While the broker does not take them it does itself what they ask for, so that work
    goes on at the pace of the sweep, and schedules fire. What waits for strangers waits in a thread of its own then.
    """

    PAUSE = 10.0  # seconds before the broker is tried again: one that hangs takes its time to fail
    _alone_until = 0.0  # monotonic
    _slow: threading.Thread | None = None

    def tick(self, *args: Any, **options: Any) -> float:
        if threading.current_thread() is threading.main_thread():  # not of a worker that ticks besides
            pulse.beat()
        return float(super().tick(*args, **options))

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **options: Any) -> Any:
        if time.monotonic() >= self._alone_until:
            try:
                return super().apply_async(entry, producer=producer, advance=advance, **options)
            except SchedulingError as error:
                logger.warning("no messages through the broker, doing without: %s", error)
                self._alone_until = time.monotonic() + self.PAUSE
        if entry.task not in app.conf.task_routes:
            return _do(entry)
        if self._slow is None or not self._slow.is_alive():
            self._slow = threading.Thread(target=_do, args=(entry,), name="slow", daemon=True)
            self._slow.start()
        return None


def _do(entry: ScheduleEntry) -> Any:
    from django.db import close_old_connections, connections

    close_old_connections()
    try:
        return app.tasks[str(entry.task)](*entry.args or (), **entry.kwargs or {})
    finally:
        if threading.current_thread().name == "slow":
            connections.close_all()  # the thread's own


def _tick_for_ever() -> None:
    while True:
        try:
            Service(app, max_interval=1, scheduler_cls=Ticks).start()
        except Exception:
            logger.exception("the ticks stopped, starting them again")
        time.sleep(1)


@worker_ready.connect
def tick_in_this_worker(**_: object) -> None:
    """With CAUSEWAY_TICK=1 a thread of the worker sends the periodic messages: a few a second need no process.

    A second ticker would do no harm: every periodic task is idempotent.
    """
    if os.environ.get("CAUSEWAY_TICK") == "1":
        threading.Thread(target=_tick_for_ever, name="tick", daemon=True).start()


class Pulse(bootsteps.StartStopStep):
    """A worker's loop beats. While it waits for the broker it neither goes round nor hangs: then a thread does."""

    requires = ("celery.worker.components:Timer",)

    def start(self, worker: Any) -> None:
        pulse.beat()
        worker.timer.call_repeatedly(pulse.SECONDS, pulse.beat)
        threading.Thread(target=self._wait, args=(worker,), name="pulse", daemon=True).start()

    def _wait(self, worker: Any) -> None:
        while True:
            consumer = getattr(worker, "consumer", None)
            if consumer is None or consumer.connection is None:
                pulse.beat()
            time.sleep(pulse.SECONDS)


app.steps["worker"].add(Pulse)


@worker_ready.connect
def say_alive(**_: object) -> None:
    """A worker that takes what is urgent does so with every tick that it gets, now for the first time. Ticks would wait
    behind strangers in the slow queue: the worker of that one has a thread for it.
    """
    from django.conf import settings

    from console.tasks import heartbeat

    taken = app.amqp.queues.consume_from
    if app.conf.task_default_queue in taken:
        heartbeat()
    if settings.SLOW_QUEUE in taken:
        threading.Thread(target=_live_for_ever, name="sign of life", daemon=True).start()


def _live_for_ever() -> None:
    from scheduler.heartbeat import SECONDS, report_alive

    while True:
        report_alive("slow")
        time.sleep(SECONDS / 4)
