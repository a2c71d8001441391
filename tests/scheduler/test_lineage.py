"""What published versions descend from: exactly what flowed into the node that made them."""

# mypy: disable-error-code="untyped-decorator, no-any-return"

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from flytekit import Artifact, LaunchPlan, approve, conditional, dynamic, map_task, task, workflow

from artifacts.models import ArtifactVersion
from lineage.models import Derivation, VersionEdge
from scheduler.actions.gates import decide
from scheduler.advance import advance
from scheduler.models import Execution, ExecutionMode, Gate, NodeExecution
from scheduler.phases import ExecutionPhase
from scheduler.sweep import sweep_all
from tests.flyte import register_all
from tests.scheduler.driving import Driver, TaskFailed, futures, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

Left, Right, Made, Other, Approved = (Artifact(name=f"lineage-{n}") for n in ("left", "right", "made", "other", "ok"))


@task
def left() -> Annotated[int, Left]:
    return 1


@task
def right() -> Annotated[int, Right]:
    return 2


@task
def plain(x: int) -> int:
    return x


@task
def make(x: int) -> Annotated[int, Made]:
    return x


@task
def other(x: int) -> Annotated[int, Other]:
    return x


@task
def add(x: int, y: int) -> int:
    return x + y


@task
def total(xs: list[int]) -> Annotated[int, Made]:
    return sum(xs)


ANSWERS: dict[str, Callable[..., Any]] = {
    "left": lambda: 1,
    "right": lambda: 2,
    "plain": lambda x: x,
    "make": lambda x: x,
    "other": lambda x: x,
    "add": lambda x, y: x + y,
    "total": lambda xs: sum(xs),
}


def made_of(name: str) -> set[str]:
    """Names of what the one version of that artifact descends from directly."""
    version = ArtifactVersion.objects.get(artifact__name=f"lineage-{name}")
    rows = Derivation.objects.filter(target=version)
    return set(rows.values_list("source__artifact__name", flat=True))


def run(flow: object, plans: tuple[object, ...] = (), **answers: Callable[..., Any]) -> Execution:
    execution = start(workflow_of(flow, plans))
    Driver({**ANSWERS, **answers}).run(execution)
    assert execution.phase == ExecutionPhase.SUCCEEDED
    return execution


def test_an_output_descends_from_what_flowed_into_its_node_and_from_nothing_else() -> None:
    @workflow
    def flow1() -> None:
        make(x=plain(x=left()))
        other(x=right())

    execution = run(flow1)
    assert made_of("made") == {"lineage-left"} and made_of("other") == {"lineage-right"}
    consumed = VersionEdge.objects.filter(execution_key=execution.key, role="consumed")
    nodes = set(consumed.values_list("version__artifact__name", "node_id"))
    assert {name for name, _ in nodes} == {"lineage-left", "lineage-right"} and len(nodes) == 2


def test_ancestry_stops_at_the_nearest_published_version() -> None:
    @workflow
    def flow2() -> None:
        other(x=add(x=make(x=left()), y=right()))

    run(flow2)
    assert made_of("other") == {"lineage-made", "lineage-right"} and made_of("made") == {"lineage-left"}


def test_it_goes_through_sub_workflows_by_output() -> None:
    @workflow
    def inner(a: int, b: int) -> tuple[int, int]:
        return plain(x=a), plain(x=b)

    @workflow
    def flow3() -> None:
        a, b = inner(a=left(), b=right())
        make(x=a)
        other(x=b)

    run(flow3)
    assert made_of("made") == {"lineage-left"} and made_of("other") == {"lineage-right"}


def test_it_goes_through_the_chosen_arm_of_a_branch() -> None:
    @workflow
    def flow4() -> None:
        a, b = left(), right()
        chosen = conditional("c").if_(a == 1).then(plain(x=b)).else_().then(plain(x=a))
        make(x=chosen)

    run(flow4)
    assert made_of("made") == {"lineage-right"}


def test_it_goes_through_maps_lists_and_collections() -> None:
    @workflow
    def flow5() -> None:
        a = plain(x=left())
        doubled = map_task(plain)(x=[a, right()])
        total(xs=doubled)

    run(flow5)
    assert made_of("made") == {"lineage-left", "lineage-right"}


def test_what_a_dynamic_task_computed_comes_of_what_it_took_in() -> None:
    @dynamic
    def spread(x: int) -> int:
        other(x=right())
        return make(x=x + 1)

    @workflow
    def flow6() -> None:
        spread(x=plain(x=left()))

    run(flow6, spread=lambda x: futures(spread, x=x))
    assert made_of("made") == {"lineage-left"} and made_of("other") == {"lineage-right"}


def test_a_workflow_output_descends_from_its_own_value_only() -> None:
    @workflow
    def flow7() -> Annotated[int, Other]:
        left()
        return plain(x=right())

    run(flow7)
    assert made_of("other") == {"lineage-right"}


def test_what_is_published_again_descends_from_the_version_that_it_is() -> None:
    @workflow
    def flow8() -> Annotated[int, Approved]:
        return make(x=left())

    run(flow8)
    assert made_of("ok") == {"lineage-made"}
    assert ArtifactVersion.objects.get(artifact__name="lineage-ok").same_data_as is not None


def test_nodes_that_nothing_flowed_into_store_nothing() -> None:
    @workflow
    def flow9() -> None:
        plain(x=plain(x=3))
        make(x=left())

    execution = run(flow9)
    stored = NodeExecution.objects.filter(execution=execution, state__has_key="origins")
    assert [row.state["origins"]["taken"].keys() for row in stored] == [{"x"}]


@workflow
def child(x: int, y: int) -> tuple[int, int]:
    return plain(x=x), add(x=y, y=right())


child_plan = LaunchPlan.get_or_create(child, "lineage_child")


@workflow
def item(x: int) -> int:
    return add(x=x, y=right())


item_plan = LaunchPlan.get_or_create(item, "lineage_item")


@workflow
def mapping() -> None:
    total(xs=map_task(item_plan)(x=[left()]))


@workflow
def parent() -> None:
    a, b = child_plan(x=plain(x=left()), y=4)
    make(x=a)
    other(x=b)


def run_all(driver: Driver, execution: Execution) -> None:
    for _ in range(20):
        for pk in Execution.objects.filter(ended_at=None).values_list("pk", flat=True):
            advance(pk)
        sweep_all()
        if not driver.answer_all() and not Execution.objects.filter(ended_at=None).exists():
            break
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.SUCCEEDED


def test_it_goes_through_child_launch_plans_both_ways() -> None:
    register_all(child_plan)
    execution = start(workflow_of(parent, [child_plan]))
    run_all(Driver(ANSWERS), execution)
    assert made_of("made") == {"lineage-left"} and made_of("other") == {"lineage-right"}


def test_it_goes_through_a_map_over_a_launch_plan() -> None:
    register_all(item_plan)
    execution = start(workflow_of(mapping, [item_plan]))
    run_all(Driver(ANSWERS), execution)
    assert made_of("made") == {"lineage-left", "lineage-right"}


def test_an_approved_value_is_what_was_approved() -> None:
    @workflow
    def flow12() -> None:
        make(x=approve(plain(x=left()), "go", timeout=timedelta(hours=1)))
        other(x=approve(right(), "too", timeout=timedelta(hours=1)))

    execution = start(workflow_of(flow12))
    driver = Driver(ANSWERS)
    driver.run(execution)
    for gate in Gate.objects.filter(execution=execution):
        decide(gate, approve=True, actor="ann")
    driver.run(execution)
    assert execution.phase == ExecutionPhase.SUCCEEDED
    assert made_of("made") == {"lineage-left"} and made_of("other") == {"lineage-right"}


def test_a_recovered_execution_remembers_what_its_nodes_had_taken_in() -> None:
    @workflow
    def flow13() -> None:
        make(x=plain(x=left()))

    def fail(x: int) -> int:
        raise TaskFailed

    workflow_row = workflow_of(flow13)
    former = start(workflow_row)
    Driver({**ANSWERS, "make": fail}).run(former)
    assert former.phase == ExecutionPhase.FAILED
    again = start(workflow_row)
    Execution.objects.filter(pk=again.pk).update(mode=ExecutionMode.RECOVERED, reference=former)
    driver = Driver(ANSWERS)
    driver.run(again)
    assert [node for node, _ in driver.ran] == ["n2"]
    assert made_of("made") == {"lineage-left"}
