"""The cache is asked once for all that becomes ready together, and written once, in the order of the keys."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flytekit import map_task, task, workflow

from scheduler.advance import advance
from scheduler.models import CacheEntry, Execution
from tests.scheduler.driving import Driver, outputs, start, workflow_of
from tests.scheduler.test_reuse import later, recovering

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task(cache=True, cache_version="1")
def costly(n: int) -> int:
    return n


@task(cache=True, cache_version="1", cache_serialize=True)
def singly(n: int) -> int:
    return n


@task
def plain(n: int) -> int:
    return n


@workflow
def few_costly() -> list[int]:
    return [costly(n=n) for n in range(3)]


@workflow
def many_costly() -> list[int]:
    return [costly(n=n) for n in range(30)]


@workflow
def few_singly() -> list[int]:
    return [singly(n=n) for n in range(3)]


@workflow
def many_singly() -> list[int]:
    return [singly(n=n) for n in range(30)]


@workflow
def few_plain() -> list[int]:
    return [*[plain(n=n) for n in range(3)], costly(n=100)]


@workflow
def many_plain() -> list[int]:
    return [*[plain(n=n) for n in range(30)], costly(n=200)]


@workflow
def items_singly(ns: list[int]) -> list[int]:
    return map_task(singly)(n=ns)


ANSWERS = {name: lambda n: 2 * n for name in ("costly", "singly", "plain")}


def statements(execution: Execution) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        advance(execution.pk)
    return [query["sql"] for query in queries.captured_queries]


@pytest.mark.parametrize(("few", "many"), [(few_costly, many_costly), (few_singly, many_singly)])
def test_asking_and_keeping_cost_the_same_for_few_and_for_many(few: object, many: object) -> None:
    counts = []
    for program in (few, many):
        CacheEntry.objects.all().delete()
        row = workflow_of(program)
        execution = start(row)
        asked = statements(execution)
        Driver(ANSWERS).answer_all()
        kept = statements(execution)
        found = statements(start(row))
        assert sum('INSERT INTO "scheduler_cacheentry"' in sql for sql in kept) == 1
        counts.append([len(asked), len(kept), len(found)])
    assert counts[0] == counts[1]
    assert CacheEntry.objects.exclude(output_uri="").count() == 30


def test_recovering_costs_the_same_for_few_and_for_many() -> None:
    counts = []
    for program in (few_plain, many_plain):
        row = workflow_of(program)
        failed = start(row)
        advance(failed.pk)
        Driver(ANSWERS).answer_all()
        advance(failed.pk)
        counts.append(len(statements(recovering(failed, {}))))
    assert counts[0] == counts[1]


def test_items_that_want_their_turn_ask_together() -> None:
    row = workflow_of(items_singly)
    advance(start(row, {"ns": [99]}).pk)  # reads the workflow
    counts = [
        len(statements(start(row, {"ns": list(range(first, first + size))}))) for first, size in ((0, 3), (9, 30))
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("program", [many_costly, many_singly])
def test_entries_are_claimed_and_written_in_the_order_of_their_keys(program: object) -> None:
    """Two turns that do so never wait for each other in a circle."""
    execution = start(workflow_of(program))
    asked = statements(execution)
    Driver(ANSWERS).answer_all()
    advance(execution.pk)
    keys = list(CacheEntry.objects.order_by("pk").values_list("key", flat=True))
    assert len(keys) == 30 and keys == sorted(keys)
    locking = [sql for sql in asked if "FOR UPDATE" in sql and "cacheentry" in sql]
    assert all('ORDER BY "scheduler_cacheentry"."key"' in sql for sql in locking)
    assert len(locking) == (program is many_singly)


def test_two_nodes_of_a_turn_that_want_the_same_compute_it_once() -> None:
    @workflow
    def same_twice() -> list[int]:
        return [singly(n=7), singly(n=7)]

    driver = Driver(ANSWERS)
    execution = driver.run(start(workflow_of(same_twice)))
    with later(5):
        assert outputs(driver.run(execution)) == {"o0": [14, 14]}
    assert len(driver.ran) == 1
