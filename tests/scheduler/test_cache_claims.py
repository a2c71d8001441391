"""Two workers want the same result at the same moment: one computes it, whichever of them is in the middle of what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from flytekit import map_task, task, workflow

from scheduler import wake
from scheduler.actions.executions import abort
from scheduler.advance import advance
from scheduler.models import Execution, NodeExecution, TaskExecution
from scheduler.phases import ExecutionPhase
from tests.scheduler.driving import Driver, outputs, start, workflow_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("object_store")]

_WAITING = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No wake-ups: this test says who looks when."""
    monkeypatch.setattr(wake, "_after_commit", lambda send, what: None)
    yield


@task(cache=True, cache_version="1", cache_serialize=True)
def once(a: int) -> int:
    return a


@workflow
def wants_it(a: int) -> int:
    return once(a=a)


@workflow
def wants_it_in_a_map(a: list[int]) -> list[int]:
    return map_task(once)(a=a)


def meanwhile(asks: Execution, do: Callable[[], object]) -> None:
    """`asks` is evaluated by another worker while what `do` does is not committed yet."""
    with transaction.atomic():
        do()
        worker = threading.Thread(target=_advance, args=(asks.pk,))
        worker.start()
        with connection.cursor() as cursor:
            for _ in range(500):
                cursor.execute(_WAITING)
                if cursor.fetchone()[0]:
                    break
                time.sleep(0.01)
            else:
                raise AssertionError("the other worker did not come to wait")
    worker.join()


def _advance(pk: int) -> None:
    try:
        advance(pk)
    finally:
        connection.close()


def test_it_takes_the_result_that_comes_while_it_asks_for_the_right_to_compute() -> None:
    row = workflow_of(wants_it)
    holder, asks = start(row, {"a": 1}), start(row, {"a": 1})
    advance(holder.pk)
    driver = Driver({"once": lambda a: a * 2})
    meanwhile(asks, lambda: driver.run(holder))
    asks.refresh_from_db()
    assert asks.phase == ExecutionPhase.SUCCEEDED
    assert (outputs(holder), outputs(asks)) == ({"o0": 2}, {"o0": 2})
    assert not TaskExecution.objects.filter(execution_id=asks.pk).exists()


def test_an_item_takes_the_result_that_comes_while_it_asks() -> None:
    row = workflow_of(wants_it_in_a_map)
    holder, asks = start(row, {"a": [1]}), start(row, {"a": [1]})
    advance(holder.pk)
    driver = Driver({"once": lambda a: a * 2})
    meanwhile(asks, lambda: driver.run(holder))
    asks.refresh_from_db()
    assert asks.phase == ExecutionPhase.SUCCEEDED
    assert outputs(asks) == {"o0": [2]}
    assert not TaskExecution.objects.filter(execution_id=asks.pk).exists()


def test_two_do_not_both_take_over_from_a_holder_that_is_gone() -> None:
    row = workflow_of(wants_it)
    gone, heir, asks = (start(row, {"a": 1}) for _ in range(3))
    advance(gone.pk)
    abort(gone, cause="gone", actor="ann")
    advance(gone.pk)
    meanwhile(asks, lambda: advance(heir.pk))
    assert TaskExecution.objects.filter(execution_id=heir.pk).count() == 1
    assert not TaskExecution.objects.filter(execution_id=asks.pk).exists()
    assert NodeExecution.objects.get(execution=asks, node_id="n0").wake_at is not None


@workflow
def wants_many() -> list[int]:
    return [once(a=n) for n in range(20)]


@workflow
def wants_many_the_other_way_round() -> list[int]:
    return [once(a=n) for n in reversed(range(20))]


def test_turns_that_share_many_results_do_not_wait_in_a_circle(caplog: pytest.LogCaptureFixture) -> None:
    """Each claims, and later writes, what the other does, named in the opposite order."""
    rows = [workflow_of(wants_many), workflow_of(wants_many_the_other_way_round)]
    driver = Driver({"once": lambda a: a * 2})
    for overwrites in (False, True, True, True):
        both = [start(row, overwrite_cache=overwrites) for row in rows]
        for _ in range(2):
            workers = [threading.Thread(target=_advance, args=(each.pk,)) for each in both]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            driver.answer_all()
    assert "evaluated again" not in caplog.text
