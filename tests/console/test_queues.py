"""What waits for strangers goes through a queue of its own, and nothing is done twice because it took long."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery.schedules import schedule
from django.conf import settings

from console.celery import Ticks, app
from console.tasks import note_last_published, send_password_reset
from lineage.actions import export
from lineage.tasks import send_run_events
from scheduler import wake
from scheduler.actions import retention
from scheduler.notifications import deliver, smtp, webhooks
from scheduler.shell import flush
from scheduler.tasks import (
    apply_retention,
    deliver_notifications,
    fire_schedules,
    index_plain_values,
    judge_data_of,
    send_traces,
    sweep,
)

SLOW: tuple[Any, ...] = (
    deliver_notifications,
    apply_retention,
    index_plain_values,
    send_run_events,
    send_password_reset,
    judge_data_of,
    send_traces,
    note_last_published,
)
ARGUMENTS: dict[Any, list[Any]] = {send_password_reset: ["ann@example.com"], judge_data_of: [1]}


def test_every_task_that_waits_for_strangers_is_routed_to_the_slow_queue(valkey: redis.Redis) -> None:
    for task in SLOW:
        task.delay(*ARGUMENTS.get(task, []))
    assert (valkey.llen("causeway"), valkey.llen("causeway-slow")) == (0, len(SLOW))
    for task in (sweep, fire_schedules):
        task.delay()
    assert (valkey.llen("causeway"), valkey.llen("causeway-slow")) == (2, len(SLOW))
    assert {task.name for task in SLOW} == set(settings.CELERY_TASK_ROUTES)


@pytest.mark.django_db(transaction=True)
def test_wake_ups_take_the_same_way(valkey: redis.Redis) -> None:
    wake.wake_notifications()
    wake.continue_retention(3)
    wake.wake_execution(7)
    assert (valkey.llen("causeway"), valkey.llen("causeway-slow")) == (1, 2)


def test_a_message_is_not_delivered_again_while_its_task_goes_on_or_its_timer_waits() -> None:
    visible = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    assert timedelta(seconds=visible / 2) > flush.NEAR
    one = max(webhooks.SECONDS, smtp.SECONDS, export.SECONDS)
    assert max(deliver.BUDGET, export.BUDGET, retention.BUDGET) + one < visible / 2


@pytest.mark.django_db
def test_while_the_broker_is_down_the_ticker_does_not_wait_for_strangers(
    silent_broker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Event(), threading.Event()
    calls: list[int] = []

    def slow() -> None:
        calls.append(1)
        begun.set()
        let_go.wait(30)

    monkeypatch.setattr("scheduler.tasks.deliver_due", slow)
    ticks = Ticks(app, lazy=True)
    ticks._alone_until = time.monotonic() + 60
    name = deliver_notifications.name
    entry: Any = ticks.Entry(name="n", task=name, schedule=schedule(timedelta(seconds=1)), app=app)
    before = time.monotonic()
    ticks.apply_entry(entry)
    assert begun.wait(10)
    ticks.apply_entry(entry)
    assert time.monotonic() - before < 10
    assert len(calls) == 1, "one at a time"
    let_go.set()
    assert ticks._slow is not None
    ticks._slow.join(10)
