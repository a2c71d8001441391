"""Outputs that are not computed again: recovered executions, cached tasks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.utils import timezone
from flyteidl.core import catalog_pb2
from flytekit import LaunchPlan, map_task, task, workflow

from scheduler.actions.executions import abort
from scheduler.advance import advance
from scheduler.models import Execution, ExecutionMode, NodeExecution
from scheduler.phases import ExecutionPhase, NodePhase
from scheduler.sweep import sweep_all
from tests.flyte import register_all
from tests.scheduler.driving import Driver, TaskFailed, outputs, phases, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def first(a: int) -> int:
    return a


@task
def second(a: int) -> int:
    return a


@task(cache=True, cache_version="1", cache_ignore_input_vars=("note",))
def costly(a: int, note: str = "") -> int:
    return a


@task(cache=True, cache_version="1", cache_serialize=True)
def singly(a: int) -> int:
    return a


@workflow
def cached(a: int, note: str) -> int:
    return costly(a=a, note=note)


@workflow
def serialized(a: int) -> int:
    return singly(a=a)


@workflow
def inside(a: int) -> int:
    return second(a=first(a=a))


@workflow
def program(a: int) -> int:
    return second(a=inside(a=first(a=a)))


def test_it_runs_only_what_failed() -> None:
    workflow_row = workflow_of(program)
    failed = start(workflow_row, {"a": 1})

    def fail(a: int) -> int:
        raise TaskFailed

    Driver({"first": lambda a: a + 1, "second": fail}).run(failed)
    assert failed.phase == ExecutionPhase.FAILED
    again = start(workflow_row, {"a": 1})
    Execution.objects.filter(pk=again.pk).update(mode=ExecutionMode.RECOVERED, reference=failed)
    driver = Driver({"first": lambda a: a + 1, "second": lambda a: a * 10})
    driver.run(again)
    assert outputs(again) == {"o0": 300}
    assert driver.ran == [("n1-0-n1", 0), ("n2", 0)]
    found = phases(again)
    assert found["n0"] == found["n1-0-n0"] == NodePhase.RECOVERED


def test_it_takes_outputs_from_the_cache() -> None:
    driver = Driver({"costly": lambda a, note: a * 2})
    row = workflow_of(cached)
    assert outputs(driver.run(start(row, {"a": 1, "note": "x"}))) == {"o0": 2}
    hit = driver.run(start(row, {"a": 1, "note": "y"}))
    assert outputs(hit) == {"o0": 2}
    assert len(driver.ran) == 1
    statuses = NodeExecution.objects.filter(node_id="n0").order_by("pk").values_list("cache_status", flat=True)
    assert list(statuses) == [catalog_pb2.CACHE_POPULATED, catalog_pb2.CACHE_HIT]
    assert outputs(driver.run(start(row, {"a": 3, "note": "x"}))) == {"o0": 6}
    assert outputs(driver.run(start(row, {"a": 1, "note": "x"}, overwrite_cache=True))) == {"o0": 2}
    assert len(driver.ran) == 3


def test_it_computes_once_what_several_want() -> None:
    row = workflow_of(serialized)
    one, other = start(row, {"a": 1}), start(row, {"a": 1})
    advance(one.pk)
    advance(other.pk)
    driver = Driver({"singly": lambda a: a * 2})
    assert outputs(driver.run(one)) == {"o0": 2}
    moment = timezone.now() + timedelta(seconds=5)
    with patch("django.utils.timezone.now", lambda: moment):
        assert outputs(driver.run(other)) == {"o0": 2}
    assert len(driver.ran) == 1


def test_it_takes_over_from_a_holder_that_is_gone() -> None:
    row = workflow_of(serialized)
    one, other = start(row, {"a": 1}), start(row, {"a": 1})
    advance(one.pk)
    advance(other.pk)
    abort(one, cause="gone", actor="ann")
    advance(one.pk)
    moment = timezone.now() + timedelta(seconds=5)
    with patch("django.utils.timezone.now", lambda: moment):
        driver = Driver({"singly": lambda a: a * 2})
        assert outputs(driver.run(other)) == {"o0": 2}
    assert len(driver.ran) == 1


@workflow
def mapped(a: list[int]) -> list[int]:
    return map_task(second)(a=a)


@workflow
def mapped_singly(a: list[int]) -> list[int]:
    return map_task(singly)(a=a)


@workflow
def mapped_singly_two_by_two(a: list[int]) -> list[int | None]:
    return map_task(singly, concurrency=2, min_success_ratio=0.3)(a=a)


def later(seconds: int) -> AbstractContextManager[object]:
    moment = timezone.now() + timedelta(seconds=seconds)
    return patch("django.utils.timezone.now", lambda: moment)


@pytest.mark.parametrize("program", [mapped_singly, mapped_singly_two_by_two])
def test_items_of_maps_that_want_the_same_compute_it_once(program: Any) -> None:
    row = workflow_of(program)
    one, other = start(row, {"a": [1, 2, 1, 1]}), start(row, {"a": [2, 3, 2]})
    advance(one.pk)
    advance(other.pk)
    driver = Driver({"singly": lambda a: a * 2})
    for round in range(6):
        with later(5 * round):
            driver.run(one)
            driver.run(other)
    assert (outputs(one), outputs(other)) == ({"o0": [2, 4, 2, 2]}, {"o0": [4, 6, 4]})
    assert len(driver.ran) == 3


def test_an_item_takes_over_from_one_that_was_given_up() -> None:
    execution = start(workflow_of(mapped_singly_two_by_two), {"a": [1, 1, 1]})
    advance(execution.pk)
    ran: list[int] = []

    def answer(a: int) -> int:
        ran.append(a)
        if len(ran) == 1:
            raise TaskFailed
        return 2 * a

    driver = Driver({"singly": answer})
    for round in range(6):
        with later(5 * round):
            driver.run(execution)
    assert sorted(outputs(execution)["o0"], key=str) == [2, 2, None]
    assert len(ran) == 2


def test_overwriting_the_cache_makes_no_item_wait() -> None:
    execution = start(workflow_of(mapped_singly), {"a": [1, 1]}, overwrite_cache=True)
    driver = Driver({"singly": lambda a: a * 2})
    assert outputs(driver.run(execution)) == {"o0": [2, 2]}
    assert len(driver.ran) == 2


def recovering(former: Execution, inputs: Mapping[str, Any]) -> Execution:
    again = start(former.workflow, inputs)
    Execution.objects.filter(pk=again.pk).update(mode=ExecutionMode.RECOVERED, reference=former)
    return again


def test_it_runs_only_the_items_that_failed() -> None:
    wrong = {2, 3}

    def answer(a: int) -> int:
        if a in wrong:
            raise TaskFailed
        return a * 10

    given = {"a": [1, 2, 3, 4]}
    driver = Driver({"second": answer})
    failed = driver.run(start(workflow_of(mapped), given))
    assert failed.phase == ExecutionPhase.FAILED
    wrong.remove(2)
    driver.ran.clear()
    worse = driver.run(recovering(failed, given))
    assert worse.phase == ExecutionPhase.FAILED
    wrong.clear()
    driver.ran.clear()
    assert outputs(driver.run(recovering(worse, given))) == {"o0": [10, 20, 30, 40]}
    assert len(driver.ran) == 1  # the first recovery had run the other


@workflow
def child(a: int) -> int:
    return second(a=first(a=a))


child_plan = LaunchPlan.get_or_create(child, "reuse_child")


@workflow
def parent(a: int) -> int:
    return child_plan(a=a)


def run_with_children(driver: Driver, execution: Execution) -> Execution:
    for _ in range(10):
        sweep_all()
        driver.answer_all()
    execution.refresh_from_db()
    return execution


def test_a_child_runs_only_what_failed() -> None:
    def fail(a: int) -> int:
        raise TaskFailed

    register_all(child_plan)
    driver = Driver({"first": lambda a: a + 1, "second": fail})
    failed = run_with_children(driver, start(workflow_of(parent, plans=[child_plan]), {"a": 1}))
    assert failed.phase == ExecutionPhase.FAILED
    driver.answers = {"first": lambda a: a + 1, "second": lambda a: a * 10}
    driver.ran.clear()
    assert outputs(run_with_children(driver, recovering(failed, {"a": 1}))) == {"o0": 20}
    assert driver.ran == [("n1", 0)]
    new = Execution.objects.get(parent_node__execution__reference=failed)
    assert (new.mode, new.reference) == (
        ExecutionMode.RECOVERED,
        Execution.objects.get(parent_node__execution=failed),
    )
