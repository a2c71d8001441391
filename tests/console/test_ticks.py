"""What happens by the clock happens without a broker, too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from celery.schedules import schedule

from console.celery import Ticks, app

done: list[int] = []


@app.task(name="tests.console.test_ticks.note")  # type: ignore[untyped-decorator]
def note() -> None:
    done.append(1)


@pytest.fixture
def ticks() -> Ticks:
    done.clear()
    return Ticks(app, lazy=True)


def entry(ticks: Ticks) -> Any:
    return ticks.Entry(name="note", task=note.name, schedule=schedule(timedelta(seconds=1)), app=app)


def test_a_tick_is_a_message(valkey: redis.Redis, ticks: Ticks) -> None:
    ticks.apply_entry(entry(ticks), producer=ticks.producer)
    assert (valkey.llen("causeway"), done) == (1, [])


@pytest.mark.django_db
def test_what_a_tick_asks_for_is_done_while_the_broker_hangs(silent_broker: None, ticks: Ticks) -> None:
    for count in (1, 2):
        ticks.apply_entry(entry(ticks))
        assert len(done) == count
