from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import identifier_pb2

from artifacts.literals import from_json
from scheduler.actions.launch_plans import set_state
from scheduler.actions.register import register_launch_plan
from scheduler.models import LaunchPlan, Schedule, Trigger
from tests.flyte import register_all
from tests.scheduler import programs
from tests.scheduler.test_launch import INTEGER, identifier

ACTIVE, INACTIVE = LaunchPlan.State.ACTIVE, LaunchPlan.State.INACTIVE


def plan_of_version(version: str) -> LaunchPlan:
    """A version of a launch plan with a schedule and a trigger."""
    spec = launch_plan_pb2.LaunchPlanSpec(
        workflow_id=identifier("tests.scheduler.programs.inner", identifier_pb2.WORKFLOW)
    )
    spec.fixed_inputs.literals["x"].CopyFrom(from_json(1, INTEGER, name="x"))
    spec.entity_metadata.schedule.cron_schedule.schedule = "@daily"
    plan = register_launch_plan(identifier("plan", version=version), spec, actor="ann")
    Trigger.objects.create(
        launch_plan=plan, artifact_project="demo", artifact_domain="development", artifact_name="a", condition=b""
    )
    return plan


@pytest.fixture
def two_versions() -> Iterator[tuple[LaunchPlan, LaunchPlan]]:
    register_all(programs.inner)
    yield plan_of_version("v1"), plan_of_version("v2")


def states() -> dict[str, tuple[int, bool, bool, bool]]:
    return {
        plan.version: (plan.state, plan.trigger.active, plan.schedule.active, bool(plan.schedule.next_fire_at))
        for plan in LaunchPlan.objects.select_related("trigger", "schedule").filter(name="plan")
    }


ON = (ACTIVE, True, True, True)
OFF = (INACTIVE, False, False, False)


@pytest.mark.django_db
def test_it_starts_inactive(two_versions: tuple[LaunchPlan, LaunchPlan]) -> None:
    assert states() == {"v1": OFF, "v2": OFF}


@pytest.mark.django_db
def test_it_swaps_the_active_version_with_its_trigger_and_schedule(
    two_versions: tuple[LaunchPlan, LaunchPlan],
) -> None:
    first, second = two_versions
    set_state(first, ACTIVE, actor="ann")
    assert states() == {"v1": ON, "v2": OFF}
    begun = Trigger.objects.get(launch_plan=first).activated_at
    assert begun is not None
    assert set_state(second, ACTIVE, actor="ann").state == ACTIVE
    assert states() == {"v1": OFF, "v2": ON}
    # No version published meanwhile may fall between the two.
    assert Trigger.objects.get(launch_plan=second).activated_at == begun
    set_state(second, INACTIVE, actor="ann")
    assert states() == {"v1": OFF, "v2": OFF}
    set_state(first, ACTIVE, actor="ann")
    begun_anew = Trigger.objects.get(launch_plan=first).activated_at
    assert begun_anew is not None and begun_anew > begun


@pytest.mark.django_db
def test_it_changes_nothing_when_done_again(two_versions: tuple[LaunchPlan, LaunchPlan]) -> None:
    first, second = two_versions
    set_state(first, ACTIVE, actor="ann")
    before = (Trigger.objects.get(launch_plan=first).activated_at, Schedule.objects.get(launch_plan=first).anchor_at)
    set_state(first, ACTIVE, actor="ann")
    set_state(second, INACTIVE, actor="ann")
    after = (Trigger.objects.get(launch_plan=first).activated_at, Schedule.objects.get(launch_plan=first).anchor_at)
    assert before == after
    assert states() == {"v1": ON, "v2": OFF}


@pytest.mark.django_db(transaction=True)
def test_it_keeps_one_version_active_when_several_are_activated_at_once() -> None:
    register_all(programs.inner)
    plans = [plan_of_version(f"v{number}") for number in range(4)]

    def activate(plan: LaunchPlan) -> None:
        try:
            set_state(plan, ACTIVE, actor="ann")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(activate, plans))
    assert sorted(states().values()) == [OFF, OFF, OFF, ON]
