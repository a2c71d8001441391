from __future__ import annotations

from functools import partial

import pytest
from flyteidl.admin import execution_pb2
from flyteidl.core import literals_pb2, types_pb2
from flytekit import map_task, task, workflow

from artifacts.literals import from_json
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.advance import advance
from scheduler.models import Execution, NodeExecution, TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase
from scheduler.shell import data
from tests.flyte import register_all
from tests.scheduler.driving import Driver, TaskFailed, error_of, outputs, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def double(a: int) -> int:
    return 2 * a


@task(retries=2)
def scale(a: int, by: int) -> int:
    return a * by


@task
def total(values: list[int]) -> int:
    return sum(values)


@workflow
def mapping(a: list[int]) -> int:
    return total(values=map_task(double)(a=a))


@workflow
def partly(a: list[int]) -> list[int | None]:
    return map_task(double, min_success_ratio=0.5)(a=a)


@workflow
def narrow(a: list[int]) -> list[int]:
    return map_task(double, concurrency=2)(a=a)


@workflow
def wide(a: list[int]) -> list[int]:
    return map_task(double, concurrency=0)(a=a)


@workflow
def two_maps(a: list[int]) -> list[int]:
    double(a=1)
    map_task(double, concurrency=3)(a=a)
    return map_task(double)(a=a)


@workflow
def bound(a: list[int]) -> list[int]:
    return map_task(partial(scale, by=3))(a=a)


@task(cache=True, cache_version="1")
def costly(a: int) -> int:
    return a


@workflow
def cached(a: list[int]) -> list[int]:
    return map_task(costly)(a=a)


def odd_only(a: int) -> int:
    if a % 2 == 0:
        raise TaskFailed(f"{a} is even")
    return a


def test_it_maps_and_joins_in_order() -> None:
    execution = Driver({"double": lambda a: 2 * a, "total": lambda values: sum(values)}).run(
        start(workflow_of(mapping), {"a": [1, 2, 3]})
    )
    assert outputs(execution) == {"o0": 12}


def test_a_map_launched_alone_runs_every_item() -> None:
    """As `map_task` in an eager workflow does it; inputs that partial bound are no lists."""
    task_id = next(found for found in register_all(bound) if found.name.endswith("-arraynode"))
    whole = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    lists = types_pb2.LiteralType(collection_type=whole)
    values = {"a": from_json([1, 2, 3], lists, name="a"), "by": from_json(5, whole, name="by")}
    spec = execution_pb2.ExecutionSpec(launch_plan=task_id)
    request = LaunchRequest("demo", "development", "", spec, literals_pb2.LiteralMap(literals=values))
    execution = Driver({"scale": lambda a, by: a * by}).run(launch(request, actor="ann"))
    assert outputs(execution) == {"o0": [5, 10, 15]}


def test_it_maps_nothing() -> None:
    execution = Driver({"total": lambda values: sum(values)}).run(start(workflow_of(mapping), {"a": []}))
    assert outputs(execution) == {"o0": 0}


def test_it_puts_none_where_an_item_failed() -> None:
    execution = Driver({"double": odd_only}).run(start(workflow_of(partly), {"a": [1, 2, 3]}))
    assert outputs(execution) == {"o0": [1, None, 3]}


def test_it_fails_when_too_many_items_failed() -> None:
    execution = Driver({"double": odd_only}).run(start(workflow_of(partly), {"a": [2, 4, 3]}))
    assert execution.phase == ExecutionPhase.FAILED
    assert "2 of 3 items failed" in error_of(execution).message and "2 is even" in error_of(execution).message


def test_it_keeps_to_its_concurrency() -> None:
    execution = start(workflow_of(narrow), {"a": [1, 2, 3, 4, 5]})
    advance(execution.pk)
    assert TaskExecution.objects.filter(execution_id=execution.pk, phase=AttemptPhase.QUEUED).count() == 2
    assert outputs(Driver({"double": lambda a: 2 * a}).run(execution)) == {"o0": [2, 4, 6, 8, 10]}


def queued(execution: Execution, node: str) -> int:
    rows = TaskExecution.objects.filter(execution_id=execution.pk, node__node_id=node, phase=AttemptPhase.QUEUED)
    return rows.count()


def test_it_starts_all_items_when_told_that_any_number_may_run() -> None:
    execution = start(workflow_of(wide), {"a": list(range(700))}, max_parallelism=2)
    advance(execution.pk)
    assert queued(execution, "n0") == 700


def test_items_count_towards_the_parallelism_of_the_execution() -> None:
    """A map with a concurrency of its own counts as one and waits for no slot, as in flytepropeller."""
    execution = start(workflow_of(two_maps), {"a": list(range(9))}, max_parallelism=4)
    advance(execution.pk)
    assert [queued(execution, f"n{number}") for number in range(3)] == [1, 3, 2]
    driver = Driver({"double": lambda a: 2 * a})
    assert outputs(driver.run(execution)) == {"o0": [2 * a for a in range(9)]}


def test_a_map_goes_on_when_others_let_their_slots_go() -> None:
    execution = start(workflow_of(two_maps), {"a": list(range(5))}, max_parallelism=2)
    advance(execution.pk)
    assert queued(execution, "n2") == 0
    node = NodeExecution.objects.get(execution=execution, node_id="n2")
    assert node.parked
    assert outputs(Driver({"double": lambda a: 2 * a}).run(execution)) == {"o0": [0, 2, 4, 6, 8]}


def test_it_binds_inputs_and_repeats_single_items() -> None:
    failures = {2: 2}

    def answer(a: int, by: int) -> int:
        if failures.get(a, 0):
            failures[a] -= 1
            raise TaskFailed(retryable=True)
        return a * by

    execution = start(workflow_of(bound), {"a": [1, 2, 3]})
    driver = Driver({"scale": answer})
    assert outputs(driver.run(execution)) == {"o0": [3, 6, 9]}
    assert sorted(driver.ran) == [("n0", 0)] * 3 + [("n0", 1), ("n0", 2)]


def test_it_keeps_a_small_state_for_many_items() -> None:
    execution = start(workflow_of(mapping), {"a": list(range(400))}, max_parallelism=25)
    driver = Driver({"double": lambda a: 2 * a, "total": lambda values: sum(values)})
    advance(execution.pk)
    node = NodeExecution.objects.get(execution=execution, node_id="n0")
    assert len(str(node.state)) < 2000
    assert outputs(driver.run(execution)) == {"o0": 159600}


def test_items_of_a_large_map_read_only_a_part_of_its_lists() -> None:
    execution = start(workflow_of(bound), {"a": list(range(120))}, max_parallelism=200)
    driver = Driver({"scale": lambda a, by: a * by})
    assert outputs(driver.run(execution)) == {"o0": [3 * a for a in range(120)]}
    read = {row.command["inputs_uri"] for row in TaskExecution.objects.filter(execution_id=execution.pk, index__gte=0)}
    assert [len(data.read(uri).literals["a"].collection.literals) for uri in sorted(read)] == [50, 20, 50]
    assert all(data.read(uri).literals["by"].scalar.primitive.integer == 3 for uri in read)


def test_it_takes_single_items_from_the_cache() -> None:
    row = workflow_of(cached)
    driver = Driver({"costly": lambda a: a * 2})
    assert outputs(driver.run(start(row, {"a": [1, 2]}))) == {"o0": [2, 4]}
    assert outputs(driver.run(start(row, {"a": [3, 1, 2, 4]}))) == {"o0": [6, 2, 4, 8]}
    assert len(driver.ran) == 4
    assert outputs(driver.run(start(row, {"a": [1, 4]}))) == {"o0": [2, 8]}
    assert len(driver.ran) == 4


@task(environment={"CAUSEWAY_REUSE": "1"})
def shared(a: int) -> int:
    return a


@task(environment={"CAUSEWAY_REUSE": "0"})
def apart(a: int) -> int:
    return a


@workflow
def reusing(a: list[int]) -> None:
    double(a=1)
    shared(a=1)
    map_task(double)(a=a)
    map_task(apart)(a=a)


def test_items_share_processes_and_tasks_do_when_they_say_so() -> None:
    execution = start(workflow_of(reusing), {"a": [1]})
    advance(execution.pk)
    rows = TaskExecution.objects.filter(execution_id=execution.pk).order_by("node__node_id")
    assert [row.command["reuse"] for row in rows] == [False, True, True, False]
