"""Launch plan nodes and dynamic tasks: work that is found out while running."""

from __future__ import annotations

import pytest
from flyteidl.admin import execution_pb2
from flytekit import LaunchPlan, dynamic, map_task, task, workflow

from scheduler.actions.executions import abort
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.advance import advance
from scheduler.models import Execution, NodeExecution
from scheduler.phases import ExecutionPhase, NodePhase
from scheduler.sweep import sweep_all
from tests.flyte import register_all
from tests.scheduler.driving import Driver, Futures, TaskFailed, error_of, futures, outputs, phases, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def double(a: int) -> int:
    return 2 * a


@workflow
def child(a: int) -> int:
    return double(a=a)


child_plan = LaunchPlan.get_or_create(child, "child_plan")


@workflow
def parent(a: int) -> int:
    return double(a=child_plan(a=a))


@workflow
def many(a: list[int]) -> list[int]:
    return map_task(child_plan, concurrency=2)(a=a)


@dynamic
def spread(n: int) -> list[int]:
    return [double(a=i) for i in range(n)]


@dynamic
def outer_spread(n: int) -> list[int]:
    return spread(n=n)


@workflow
def spreading(n: int) -> list[int]:
    return spread(n=n)


@workflow
def spreading_twice(n: int) -> list[int]:
    return outer_spread(n=n)


def launched(name: str, **inputs: int) -> Execution:
    from flyteidl.core import identifier_pb2, literals_pb2, types_pb2

    from artifacts.literals import from_json

    register_all(child_plan, parent)
    plan = identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project="demo",
        domain="development",
        name=f"{__name__}.{name}",
        version="v1",
    )
    whole = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    values = {key: from_json(value, whole, name=key) for key, value in inputs.items()}
    request = LaunchRequest(
        "demo",
        "development",
        "",
        execution_pb2.ExecutionSpec(launch_plan=plan),
        literals_pb2.LiteralMap(literals=values),
    )
    return launch(request, actor="ann")


def run_all(driver: Driver) -> None:
    for _ in range(20):
        for pk in Execution.objects.filter(ended_at=None).values_list("pk", flat=True):
            advance(pk)
        sweep_all()
        if not driver.answer_all() and not Execution.objects.filter(ended_at=None).exists():
            return


def test_it_runs_a_child_execution_and_takes_its_outputs() -> None:
    execution = launched("parent", a=3)
    run_all(Driver({"double": lambda a: 2 * a}))
    assert outputs(execution) == {"o0": 12}
    offspring = Execution.objects.get(parent_node__execution=execution)
    assert offspring.phase == ExecutionPhase.SUCCEEDED and offspring.principal == "ann"
    assert NodeExecution.objects.get(execution=execution, node_id="n0").output_uri == offspring.outputs_uri


@pytest.mark.parametrize("said", [True, False, None])
def test_a_child_is_as_interruptible_as_its_parent(said: bool | None) -> None:
    execution = launched("parent", a=3)
    spec = execution_pb2.ExecutionSpec.FromString(bytes(execution.spec))
    if said is not None:
        spec.interruptible.value = said
    Execution.objects.filter(pk=execution.pk).update(spec=spec.SerializeToString())
    advance(execution.pk)
    child = Execution.objects.get(parent_node__execution=execution)
    inherited = execution_pb2.ExecutionSpec.FromString(bytes(child.spec))
    assert (inherited.interruptible.value if inherited.HasField("interruptible") else None) is said


def test_it_fails_with_its_child() -> None:
    def answer(a: int) -> int:
        raise TaskFailed("bad luck")

    execution = launched("parent", a=3)
    run_all(Driver({"double": answer}))
    assert error_of(execution).code == "TaskFailed"
    assert "bad luck" in error_of(execution).message


def test_it_aborts_the_child_with_its_parent() -> None:
    execution = launched("parent", a=3)
    advance(execution.pk)
    abort(execution, cause="enough", actor="ann")
    run_all(Driver({"double": lambda a: 2 * a}))
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.ABORTED
    assert Execution.objects.get(parent_node__execution=execution).phase == ExecutionPhase.ABORTED


def test_it_maps_over_a_launch_plan() -> None:
    register_all(child_plan)
    execution = start(workflow_of(many, plans=[child_plan]), {"a": [1, 2, 3]})
    advance(execution.pk)
    assert Execution.objects.filter(parent_node__execution=execution).count() == 2
    run_all(Driver({"double": lambda a: 2 * a}))
    assert outputs(execution) == {"o0": [2, 4, 6]}
    assert {"n0-0-n0", "n0-0-n1", "n0-0-n2"} <= phases(execution).keys()


def test_a_map_over_no_launch_plans_takes_nothing_from_other_executions() -> None:
    register_all(child_plan)
    workflow = workflow_of(many, plans=[child_plan])
    others = start(workflow, {"a": [1]})
    advance(others.pk)
    run_all(Driver({"double": lambda a: 2 * a}))
    NodeExecution.objects.filter(execution=others, node_id="n0").update(state={"origins": {"given": {"o0": [1]}}})
    execution = start(workflow, {"a": []})
    advance(execution.pk)
    assert outputs(execution) == {"o0": []}


def test_it_runs_what_a_dynamic_task_returns() -> None:
    register_all(double, spread)
    execution = start(workflow_of(spreading), {"n": 3})
    Driver({"double": lambda a: 2 * a, "spread": lambda n: futures(spread, n=n)}).run(execution)
    assert outputs(execution) == {"o0": [0, 2, 4]}
    node = NodeExecution.objects.get(execution=execution, node_id="n0")
    assert node.is_dynamic and node.dynamic_uri and node.phase == NodePhase.SUCCEEDED
    assert {"n0-0-dn0", "n0-0-dn1", "n0-0-dn2"} <= phases(execution).keys()


def test_it_runs_dynamic_tasks_below_dynamic_tasks_with_one_slot() -> None:
    register_all(double, spread, outer_spread)
    execution = start(workflow_of(spreading_twice), {"n": 3}, max_parallelism=1)
    answers = {
        "double": lambda a: 2 * a,
        "spread": lambda n: futures(spread, n=n),
        "outer_spread": lambda n: futures(outer_spread, n=n),
    }
    Driver(answers).run(execution)
    assert outputs(execution) == {"o0": [0, 2, 4]}


def test_it_fails_on_a_dynamic_spec_that_cannot_be_read() -> None:
    execution = start(workflow_of(spreading), {"n": 3})
    Driver({"spread": lambda n: Futures(b"\xff\xff")}).run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert error_of(execution).code == "DynamicSpecUnreadable"
