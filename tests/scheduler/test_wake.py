"""Wake-ups reach the broker after the commit, and a broker that is down harms nobody."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
import redis
from celery.contrib.testing.worker import start_worker
from django.db import transaction
from pytest_django import Settings

from console.celery import app
from scheduler import wake
from scheduler.celery_protocol import message
from scheduler.tasks import evaluate_triggers_of


@pytest.mark.django_db(transaction=True)
def test_it_sends_a_wake_up_after_the_commit(valkey: redis.Redis) -> None:
    with transaction.atomic():
        wake.wake_execution(7)
        assert valkey.llen("causeway") == 0
    assert valkey.llen("causeway") == 1


@pytest.mark.django_db(transaction=True)
def test_it_sends_nothing_when_the_transaction_fails(valkey: redis.Redis) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        wake.wake_execution(7)
        wake.wake_executor("local")
        raise ZeroDivisionError
    assert valkey.dbsize() == 0


@pytest.mark.django_db(transaction=True)
def test_it_keeps_one_hint_for_an_executor(valkey: redis.Redis) -> None:
    wake.wake_executor("local")
    wake.wake_executor("local")
    assert valkey.llen(wake.executor_channel("local")) == 1


@pytest.mark.django_db(transaction=True)
def test_it_survives_a_broker_that_is_down(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.WAKE_URL = "unix:///nowhere/valkey.sock"
    wake.broker.cache_clear()
    try:
        wake.wake_executor("local")
    finally:
        wake.broker.cache_clear()
    assert "wake-up of executor local lost" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_versions_published_together_wake_their_triggers_together(valkey: redis.Redis) -> None:
    with transaction.atomic():
        wake.wake_triggers(1)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            wake.wake_triggers(2)
            raise ZeroDivisionError
        for version_id in (3, 4):
            wake.wake_triggers(version_id)
    assert valkey.llen("causeway") == 1
    (message,) = valkey.lrange("causeway", 0, -1)
    assert json.loads(base64.b64decode(json.loads(message)["body"]))[0] == [[1, 3, 4]]


def test_a_message_made_here_is_what_celery_would_send(valkey: redis.Redis) -> None:
    evaluate_triggers_of.delay([3, 4])
    valkey.lpush("causeway", message("scheduler.tasks.evaluate_triggers_of", ([3, 4],), queue="causeway"))
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        made_by_celery, made_here = (channel.basic_get("causeway", no_ack=True) for _ in range(2))
    assert made_here.decode() == made_by_celery.decode() and made_here.decode()[0] == [[3, 4]]
    for part in ("content_type", "content_encoding", "delivery_info"):
        assert getattr(made_here, part) == getattr(made_by_celery, part)
    said = made_by_celery.headers
    assert made_here.headers == {name: said[name] for name in made_here.headers} | {
        name: made_here.headers[name] for name in ("id", "root_id")
    }
    assert made_here.headers["id"] == made_here.properties["correlation_id"] != said["id"]


def test_a_worker_runs_what_a_message_made_here_asks_for(valkey: redis.Redis) -> None:
    """Celery's own consumer, without its process: it finds the task and calls it with the arguments."""
    ran = []

    @app.task(name="tests.note")
    def note(version_ids: list[int]) -> None:
        ran.append(version_ids)

    valkey.lpush("causeway", message("tests.note", ([1, 2],), queue="causeway"))
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        deadline = time.monotonic() + 10
        while not ran and time.monotonic() < deadline:
            time.sleep(0.01)
    app.tasks.unregister("tests.note")
    assert ran == [[1, 2]]
    assert valkey.llen("causeway") == 0 and valkey.hlen("unacked") == 0
