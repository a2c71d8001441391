"""What the end of one child costs its parent does not depend on how many others run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.db import connection
from flytekit import map_task, workflow

from scheduler.actions.executions import abort
from scheduler.advance import advance
from scheduler.models import EndedChild, Execution, NodeExecution
from scheduler.phases import ExecutionPhase, NodePhase
from scheduler.shell import children
from scheduler.sweep import sweep_all
from tests.flyte import register_all
from tests.scheduler.driving import Driver, outputs, start, workflow_of
from tests.scheduler.test_children import child_plan, many, parent, run_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@workflow
def all_at_once(a: list[int]) -> list[int]:
    return map_task(child_plan)(a=a)


class Rows:
    """Counts the rows that statements return or change."""

    def __init__(self) -> None:
        self.statements = self.rows = 0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]
    ) -> Any:
        result = execute(sql, params, many, context)
        self.statements += 1
        self.rows += max(context["cursor"].rowcount, 0)
        return result


def cost_of_one_end(size: int) -> tuple[int, int]:
    """Rows and statements of the parent's turn after the first of `size` children that all run has ended."""
    workflow = workflow_of(all_at_once, plans=[child_plan])
    execution = start(workflow, {"a": list(range(size))})
    advance(execution.pk)
    offspring = list(Execution.objects.filter(parent_node__execution=execution).order_by("pk"))
    assert len(offspring) == size
    driver = Driver({"double": lambda a: 2 * a})
    advance(offspring[0].pk)
    driver.answer_all()
    advance(offspring[0].pk)
    Execution.objects.filter(pk=execution.pk).update(dirty=True)
    rows = Rows()
    with connection.execute_wrapper(rows):
        advance(execution.pk)
    node = NodeExecution.objects.get(execution=execution, node_id="n0-0-n0")
    assert node.phase == NodePhase.SUCCEEDED
    return rows.rows, rows.statements


def test_the_end_of_a_child_costs_the_same_among_few_and_among_many() -> None:
    register_all(child_plan)
    cost_of_one_end(2)  # reads the workflow
    few, many_ = cost_of_one_end(5), cost_of_one_end(60)
    assert few == many_ and few[0] > 0


def test_a_child_that_ended_is_taken_into_account_once() -> None:
    register_all(child_plan)
    execution = start(workflow_of(many, plans=[child_plan]), {"a": [1, 2, 3]})
    advance(execution.pk)
    run_all(Driver({"double": lambda a: 2 * a}))
    assert outputs(execution) == {"o0": [2, 4, 6]}
    assert not EndedChild.objects.exists()


def test_of_very_many_ends_the_next_turn_takes_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "BATCH", 2)
    register_all(child_plan)
    execution = start(workflow_of(all_at_once, plans=[child_plan]), {"a": list(range(5))})
    advance(execution.pk)
    driver = Driver({"double": lambda a: 2 * a})
    for _ in range(2):
        for pk in Execution.objects.filter(parent_node__isnull=False).values_list("pk", flat=True):
            advance(pk)
        driver.answer_all()
    assert EndedChild.objects.filter(parent_id=execution.pk).count() == 5
    Execution.objects.filter(pk=execution.pk).update(dirty=True)
    advance(execution.pk)
    assert outputs(execution) == {"o0": [0, 2, 4, 6, 8]}


def test_the_sweep_tells_of_children_that_nobody_wrote_down() -> None:
    """As those that a process of an earlier version ended."""
    register_all(child_plan, parent)
    execution = start(workflow_of(many, plans=[child_plan]), {"a": [1]})
    driver = Driver({"double": lambda a: 2 * a})
    advance(execution.pk)
    offspring = Execution.objects.get(parent_node__execution=execution)
    driver.run(offspring)
    EndedChild.objects.all().delete()
    Execution.objects.filter(pk=execution.pk).update(dirty=False)
    sweep_all()
    assert outputs(execution) == {"o0": [2]}


def test_nothing_is_left_in_the_inbox_of_a_parent_that_has_ended() -> None:
    register_all(child_plan)
    execution = start(workflow_of(many, plans=[child_plan]), {"a": [1, 2]})
    advance(execution.pk)
    abort(execution, cause="enough", actor="ann")
    run_all(Driver({"double": lambda a: 2 * a}))
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.ABORTED and not EndedChild.objects.exists()
