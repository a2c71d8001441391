"""Wake-ups reach the broker after the commit, and a broker that is down harms nobody."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import get_args

import pytest
import redis
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from console.celery import app as celery_app
from scheduler import wake


@pytest.mark.django_db(transaction=True)
def test_it_sends_a_wake_up_after_the_commit(valkey: redis.Redis) -> None:
    with transaction.atomic():
        wake.wake_execution(7)
        assert valkey.llen("causeway") == 0
    assert valkey.llen("causeway") == 1


def test_every_task_that_is_woken_by_its_name_is_there() -> None:
    celery_app.loader.import_default_modules()  # as a worker does when it starts
    assert {f"scheduler.tasks.{name}" for name in get_args(wake.TaskName)} <= set(celery_app.tasks)


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
def test_it_does_not_wait_for_ever_for_a_broker_that_hangs(
    silent_broker: None, caplog: pytest.LogCaptureFixture
) -> None:
    wake.wake_executor("local")
    wake.wake_execution(7)
    wake.wake_triggers(7)
    for what in ("executor local", "execution 7", "triggers of versions [7]"):
        assert f"wake-up of {what} lost" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_of_admissions_to_come_one_is_asked_for_and_it_expires(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "_admission_to_come", [])
    now = timezone.now()
    soon, later = now + timedelta(seconds=20), now + timedelta(seconds=40)
    for at, sent in ((later, 1), (later, 1), (later + timedelta(seconds=1), 1), (soon, 2), (later, 2)):
        wake.wake_admission_at(at)
        assert valkey.llen("causeway") == sent
    newest = json.loads(valkey.lrange("causeway", 0, -1)[0])["headers"]
    told = [datetime.fromisoformat(newest[name]) for name in ("eta", "expires")]
    assert told == [soon, soon + timedelta(seconds=60)]
    monkeypatch.setattr(wake, "_admission_to_come", [now - timedelta(seconds=1)])
    wake.wake_admission_at(later)
    assert valkey.llen("causeway") == 3, "the one before has been"


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


@pytest.mark.django_db(transaction=True)
def test_one_turn_does_what_follows_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(wake, "_send", lambda *args, **options: sent.append(args))
    with wake.one_turn() as turn:
        wake.wake_happening(1)
        wake.wake_execution(7)
        wake.wake_execution(8)
    assert (turn.executions, sent) == ([7], [("advance_execution", 8), ("handle_happening", 1)])


@pytest.mark.django_db(transaction=True)
def test_one_turn_is_not_held_by_a_chain_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(wake, "_send", lambda *args, **options: sent.append(args))
    with wake.one_turn() as turn:
        wake.wake_happening(0)
        for number in range(1, 100):  # each sets off the next
            if turn.happenings:
                del turn.happenings[0]
                wake.wake_happening(number)
    assert len(sent) == 1


@pytest.mark.django_db(transaction=True)
def test_only_a_commit_that_another_of_the_turn_follows_does_not_wait_for_the_disk(valkey: redis.Redis) -> None:
    def commits(*happenings: int, room: int = 1) -> str:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = on")  # as outside of tests
            if turn := wake._turn.get():
                turn.room = room
            for pk in happenings:
                wake.wake_happening(pk)
            wake.commit_with_the_next()
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    assert commits(7) == "on"  # nobody goes on with it: another worker does
    with wake.one_turn() as turn:
        assert [commits(), commits(7), commits(), commits(8, room=0)] == ["on", "off", "on", "on"]
        turn.happenings.clear()
