"""Runs beside production: launched with challengers, marked, and never taken for production's."""

from __future__ import annotations

import pytest
from causeway import OnArtifact
from flyteidl.admin import execution_pb2
from flyteidl.core import literals_pb2

from artifacts import shadows
from artifacts.actions.aliases import move_alias
from artifacts.actions.publish import Publication, publish
from artifacts.exceptions import FailedPrecondition, QueryUnresolved
from artifacts.governance.quarantine import release
from artifacts.models import ArtifactVersion, Happening
from artifacts.queries import find
from artifacts.store import store
from artifacts.wanted import Wanted
from console.accounts.models import User
from scheduler.actions.launch import relaunch
from scheduler.models import Contest, Execution, ExecutionMode, LaunchPlan, TriggerFiring
from scheduler.phases import ExecutionPhase
from scheduler.promoting.promote import check_merits
from scheduler.triggers.evaluate import evaluate_version
from tests.artifacts.governance.making import ADMIN, settle
from tests.artifacts.publishing import INT, integer, publish_output
from tests.scheduler.contests.program import FORECASTS, World, plan
from tests.scheduler.driving import Driver
from tests.scheduler.triggers.plans import one_input

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


@pytest.fixture
def world() -> World:
    return World()


def inputs_of(execution: Execution) -> dict[str, int]:
    found = literals_pb2.LiteralMap.FromString(store().get(execution.inputs_uri)).literals
    return {name: literal.scalar.primitive.integer for name, literal in found.items()}


def test_a_challenger_runs_on_the_same_inputs_once(world: World) -> None:
    production = world.production(world.champion)
    run = Execution.objects.get(shadow=world.contest)
    assert run.reference == production and run.launch_plan == production.launch_plan
    assert inputs_of(production) == {"model": len("linear"), "rides": 1}
    assert inputs_of(run) == {"model": len("forest"), "rides": 1}
    assert run.resolution["model"]["version_id"] == world.challenger.pk
    assert run.resolution["rides"]["version_id"] == world.data.pk
    assert (run.principal, run.mode, run.priority) == ("ada", ExecutionMode.SYSTEM, -10)
    assert execution_pb2.ExecutionSpec.FromString(bytes(run.spec)).disable_all
    happening = Happening.objects.get(kind="champion.ran")
    Happening.objects.filter(pk=happening.pk).update(handled_at=None)  # as after a worker that was killed
    settle()
    assert Execution.objects.filter(shadow=world.contest).count() == 1


def test_nothing_runs_beside_what_does_not_run_with_the_champion(world: World) -> None:
    world.production(world.challenger)
    world.production(world.champion, shadow_id=world.contest.pk)  # itself beside production
    Contest.objects.update(shadow_plan="", shadow_input="")
    world.production(world.champion)
    assert not Happening.objects.filter(kind="champion.ran").exists()


def test_what_is_started_of_a_shadow_is_one(world: World) -> None:
    world.production(world.champion)
    run = Execution.objects.get(shadow=world.contest)
    assert relaunch(run, actor="bob").shadow_id == world.contest.pk
    shadows.call_by_shadow(world.contest.pk)  # a task of it, with the token that it has
    try:
        assert world.production(world.challenger).shadow_id == world.contest.pk
    finally:
        shadows.call_by_shadow(None)
    settle()
    assert Happening.objects.filter(kind="champion.ran").count() == 1


def test_what_its_tasks_and_its_workflow_publish_is_marked(world: World) -> None:
    production = world.production(world.champion)
    run = Execution.objects.get(shadow=world.contest)
    driver = Driver({"predict": lambda model, rides: model * rides})
    for execution in (production, run):
        assert driver.run(execution).phase == ExecutionPhase.SUCCEEDED
    made = ArtifactVersion.objects.filter(artifact__name__in=["forecasts", "forecast-report"])
    expected = {f"{one.name}.{node}.0.o0": one == run for one in (production, run) for node in ("n0", "end-node")}
    assert dict(made.values_list("version", "is_shadow")) == expected
    assert not made.filter(is_shadow=True, triggers_evaluated_at=None).exists()


def test_its_outputs_are_passed_over_and_trigger_nothing(world: World) -> None:
    consumer = plan("report", one_input, trigger=OnArtifact(FORECASTS))
    before = publish_output(FORECASTS, 1, execution="real").versions[0][1]
    output = publish_output(FORECASTS, 2, execution="beside", is_shadow=True).versions[0][1]
    evaluate_version(output.pk)
    assert output.is_shadow and not TriggerFiring.objects.filter(trigger__launch_plan=consumer).exists()
    assert find(Wanted("flytesnacks", "development", "forecasts")).version == before
    assert find(Wanted("flytesnacks", "development", "forecasts", quarantined=True)).version == output
    with pytest.raises(FailedPrecondition, match="no alias names it"):
        move_alias(output, "production", actor="root", reason="please", mover=ADMIN)
    with pytest.raises(FailedPrecondition, match="passed over for ever"):
        release(output, actor="root", reason="please")
    with pytest.raises(FailedPrecondition, match="beside production"):
        check_merits(output)


def test_what_its_tasks_publish_over_rest_is_marked_too() -> None:
    shadows.call_by_shadow(7)
    try:
        publication = Publication("flytesnacks", "development", "forecasts", integer(3), INT)
        assert publish(publication, actor="ada").is_shadow
    finally:
        shadows.call_by_shadow(None)
    with pytest.raises(QueryUnresolved):
        find(Wanted("flytesnacks", "development", "forecasts"))


def test_a_shadow_takes_no_place_of_production_where_launches_are_limited(world: World) -> None:
    from flyteidl.admin import launch_plan_pb2

    from scheduler.actions.launchable import launchable

    row = LaunchPlan.objects.get(pk=world.infer.pk)
    spec = launch_plan_pb2.LaunchPlanSpec.FromString(bytes(row.spec))
    spec.concurrency_policy.max = 1
    spec.concurrency_policy.behavior = launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
    LaunchPlan.objects.filter(pk=row.pk).update(spec=spec.SerializeToString())
    launchable.cache_clear()
    first = world.production(world.champion)
    assert Execution.objects.filter(shadow=world.contest).count() == 1  # though one runs
    Execution.objects.filter(pk=first.pk).update(phase=4)
    assert world.production(world.champion).phase == 0  # though a shadow runs


@pytest.mark.accounts
def test_who_set_the_contest_and_may_launch_no_more_is_told_why() -> None:
    ada, _ = (User.objects.create(username=name, is_superuser=True) for name in ("ada", "bob"))
    world = World()
    ada.is_active = False
    ada.save()
    world.production(world.champion)
    assert not Execution.objects.filter(shadow=world.contest).exists()
    row = Happening.objects.get(kind="shadow.refused")
    assert row.detail["member"] == "forest" and "may no longer launch" in row.detail["reason"]
    assert row.cause is not None and row.cause.kind == "champion.ran"
