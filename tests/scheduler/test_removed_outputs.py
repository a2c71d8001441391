"""Outputs whose data was removed are not used again: neither from the cache nor when an execution is recovered."""

from __future__ import annotations

from typing import Annotated

import pytest
from flytekit import Artifact, LaunchPlan, dynamic, map_task, task, workflow

from artifacts.models import ArtifactVersion
from scheduler.actions.removal import remove_version
from scheduler.advance import advance
from scheduler.models import CacheEntry
from scheduler.phases import ExecutionPhase
from tests.flyte import register_all
from tests.scheduler.driving import Answer, Driver, TaskFailed, futures, outputs, start, workflow_of
from tests.scheduler.test_children import run_all
from tests.scheduler.test_reuse import recovering

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

Part, Whole = Artifact(name="removed-part"), Artifact(name="removed-whole")


@task(cache=True, cache_version="1")
def part(n: int) -> Annotated[int, Part]:
    return n


@task
def whole(n: int) -> Annotated[int, Whole]:
    return n


@task
def after(n: int) -> int:
    return n


@task
def total(ns: list[int]) -> int:
    return sum(ns)


@workflow
def mapped(ns: list[int]) -> int:
    return total(ns=map_task(part)(n=ns))


@workflow
def publishing(n: int) -> int:
    return whole(n=n)


@workflow
def handed_on(n: int) -> int:
    return after(n=publishing(n=n))


plan = LaunchPlan.get_or_create(publishing, "removed_plan")


@dynamic(cache=True, cache_version="1")
def hands_on(n: int) -> int:
    return whole(n=n)


@dynamic(cache=True, cache_version="1")
def hands_on_of_a_child(n: int) -> int:
    return plan(n=n)


@workflow
def cached_dynamic(n: int) -> int:
    return hands_on(n=n)


@workflow
def cached_dynamic_over_a_child(n: int) -> int:
    return hands_on_of_a_child(n=n)


ANSWERS: dict[str, Answer] = {
    "part": lambda n: 10 * n,
    "whole": lambda n: n,
    "after": lambda n: n,
    "total": lambda ns: sum(ns),
    "hands_on": lambda n: futures(hands_on, n=n),
    "hands_on_of_a_child": lambda n: futures(hands_on_of_a_child, n=n),
}


def remove(name: str, ending: str = "") -> None:
    found = ArtifactVersion.objects.filter(artifact__name=name, version__endswith=ending, removed_at=None)
    remove_version(found.latest("pk"), tombstone_used=True, actor="ann", reason="")


def test_only_the_removed_item_of_a_map_runs_again() -> None:
    register_all(part)
    row, driver = workflow_of(mapped), Driver(ANSWERS)
    driver.run(start(row, {"ns": [1, 2, 3]}))
    remove("removed-part", ".n0.1.0.o0")
    driver.ran.clear()
    again = driver.run(start(row, {"ns": [1, 2, 3]}))
    assert outputs(again) == {"o0": 60}
    assert driver.ran == [("n0", 0), ("n1", 0)]  # one item, and the sum
    made = ArtifactVersion.objects.filter(artifact__name="removed-part", removed_at=None)
    assert set(made.values_list("execution_key", flat=True)) >= {again.key} and made.count() == 3


@pytest.mark.parametrize("name", ["cached_dynamic", "cached_dynamic_over_a_child"])
def test_a_cached_dynamic_task_does_not_hand_on_what_was_removed(name: str) -> None:
    register_all(plan)
    row, driver = workflow_of(globals()[name], plans=[plan]), Driver(ANSWERS)
    first = start(row, {"n": 1})
    advance(first.pk)
    run_all(driver)
    assert CacheEntry.objects.exclude(output_uri="").count() == 1
    remove("removed-whole")
    assert not CacheEntry.objects.exists()
    driver.ran.clear()
    again = start(row, {"n": 1})
    advance(again.pk)
    run_all(driver)
    assert outputs(again) == {"o0": 1} and len(driver.ran) == 2


def test_the_cache_forgets_nothing_else() -> None:
    register_all(part)
    row, driver = workflow_of(mapped), Driver(ANSWERS)
    driver.run(start(row, {"ns": list(range(12))}))
    remove("removed-part", ".n0.1.0.o0")
    assert CacheEntry.objects.count() == 11  # not that of item 11


@pytest.mark.parametrize("removed", [False, True])
def test_a_recovered_execution_computes_what_was_removed_again(removed: bool) -> None:
    def fail(n: int) -> int:
        raise TaskFailed

    failed = Driver({**ANSWERS, "after": fail}).run(start(workflow_of(handed_on), {"n": 1}))
    assert failed.phase == ExecutionPhase.FAILED
    if removed:
        remove("removed-whole")
    driver = Driver(ANSWERS)
    assert outputs(driver.run(recovering(failed, {"n": 1}))) == {"o0": 1}
    assert len(driver.ran) == (2 if removed else 1)


def test_items_of_a_failed_map_that_were_removed_run_again() -> None:
    register_all(part)

    def answer(n: int) -> int:
        if n == 3:
            raise TaskFailed
        return 10 * n

    failed = Driver({**ANSWERS, "part": answer}).run(start(workflow_of(mapped), {"ns": [1, 2, 3]}))
    remove("removed-part", ".n0.1.0.o0")
    driver = Driver(ANSWERS)
    assert outputs(driver.run(recovering(failed, {"ns": [1, 2, 3]}))) == {"o0": 60}
    assert len(driver.ran) == 3


def test_items_found_in_the_cache_count_although_it_forgets_them_meanwhile() -> None:
    register_all(part)
    row, driver = workflow_of(mapped), Driver(ANSWERS)
    driver.run(start(row, {"ns": [1, 2]}))
    again = start(row, {"ns": [1, 2, 3]})
    advance(again.pk)
    CacheEntry.objects.all().delete()
    assert outputs(driver.run(again)) == {"o0": 60}
