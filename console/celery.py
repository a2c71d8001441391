"""The Celery application. Tasks live in each app's `tasks.py`; a message is only a wake-up, PostgreSQL is the truth."""

from __future__ import annotations

import logging
import os
import threading
import time

from celery import Celery
from celery.beat import Scheduler, Service
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

logger = logging.getLogger(__name__)

app = Celery("causeway")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _tick_for_ever() -> None:
    while True:
        try:
            Service(app, max_interval=1, scheduler_cls=Scheduler).start()
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


@worker_ready.connect
def say_alive(**_: object) -> None:
    from console.tasks import heartbeat

    heartbeat()
