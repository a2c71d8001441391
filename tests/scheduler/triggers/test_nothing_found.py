"""Inputs whose query finds nothing: None where the type allows it, the launch plan's default where it has one."""

from __future__ import annotations

from datetime import timedelta
from typing import Optional

import pytest
from causeway import OnArtifact
from flyteidl.admin import execution_pb2
from flytekit import LaunchPlan as FlyteLaunchPlan
from flytekit import task, workflow
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import Granularity

from artifacts import literals
from artifacts.exceptions import QueryUnresolved
from artifacts.models import ArtifactVersion
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.authority import Authority
from scheduler.models import Execution, FiringOutcome, LaunchPlan, TriggerFiring
from scheduler.schedules.fire import identifier_of
from scheduler.triggers.evaluate import evaluate_version
from scheduler.triggers.preview import preview
from tests.artifacts.publishing import START, at_run_time, integer, publish_output
from tests.flyte import register_all
from tests.scheduler.triggers.plans import PRIME, active_plan
from tests.scheduler.triggers.test_evaluate import inputs_of, publish, value

pytestmark = pytest.mark.django_db

DAILY = FlyteArtifact(name="daily", time_partitioned=True, time_partition_granularity=Granularity.DAY)
TOTAL = FlyteArtifact(name="total", time_partitioned=True, time_partition_granularity=Granularity.DAY)
YESTERDAY = TOTAL.query(time_partition=DAILY.time_partition - timedelta(days=1))
CHAIN = {"today": DAILY, "before": YESTERDAY}


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


@task
def add(today: int, before: Optional[int]) -> int:  # noqa: UP045 - as users of Python 3.9 write it
    return today + (before or 0)


@workflow
def may_be_none(today: int, before: Optional[int]) -> int:  # noqa: UP045
    return add(today=today, before=before)


@workflow
def begins_with_five(today: int, before: int = 5) -> int:
    return add(today=today, before=before)


@workflow
def begins_with_seven(today: int, before: int | None = 7) -> int:
    return add(today=today, before=before)


@workflow
def asks_at_launch(today: int, before: Optional[int] = PRIME.query()) -> int:  # noqa: UP045
    return add(today=today, before=before)


def on_day(artifact: FlyteArtifact, day: int, number: int) -> ArtifactVersion:
    at = START.replace(day=day)
    metadata = {"_uap": at_run_time(time=at, granularity=Granularity.DAY)}
    published = publish_output(artifact, integer(number, metadata), execution=f"{artifact.name}{day}", at=at)
    return published.versions[0][1]


def given(execution: Execution) -> dict[str, object]:
    return {name: value(literal) for name, literal in inputs_of(execution).items()}


def test_a_chain_over_its_own_yesterday_begins_with_none() -> None:
    active_plan(OnArtifact(DAILY, inputs=CHAIN), may_be_none)
    evaluate_version(on_day(DAILY, 1, 10).pk)
    firing = TriggerFiring.objects.get()
    assert firing.outcome == FiringOutcome.FIRED
    assert given(Execution.objects.get()) == {"today": 10, "before": None}
    assert firing.resolution["before"] == {
        "via": "default",
        "explanation": "None, because there is no artifact 'total' in flytesnacks/development",
    }
    assert firing.lacks == []


def test_it_goes_on_with_yesterday_and_begins_again_after_a_gap() -> None:
    active_plan(OnArtifact(DAILY, inputs=CHAIN), may_be_none)
    on_day(TOTAL, 1, 33)
    evaluate_version(on_day(DAILY, 2, 10).pk)
    assert given(Execution.objects.get()) == {"today": 10, "before": 33}
    evaluate_version(on_day(DAILY, 4, 11).pk)  # total has versions, but none of the third
    assert given(Execution.objects.latest("pk")) == {"today": 11, "before": None}


@pytest.mark.parametrize(("wanted", "begins_with"), [(begins_with_five, 5), (begins_with_seven, 7)])
def test_an_input_with_a_default_takes_it(wanted: object, begins_with: int) -> None:
    active_plan(OnArtifact(DAILY, inputs=CHAIN), wanted)
    evaluate_version(on_day(DAILY, 1, 10).pk)
    assert given(Execution.objects.get()) == {"today": 10, "before": begins_with}
    explanation = TriggerFiring.objects.get().resolution["before"]["explanation"]
    assert explanation.startswith("the launch plan's default, because there is no artifact 'total'")
    on_day(TOTAL, 1, 33)
    evaluate_version(on_day(DAILY, 2, 11).pk)
    assert given(Execution.objects.latest("pk")) == {"today": 11, "before": 33}


def test_a_preview_says_so() -> None:
    active_plan(OnArtifact(DAILY, inputs=CHAIN), may_be_none)
    seen = preview(on_day(DAILY, 1, 10), reader=Authority("tester"))
    assert [one.launches for one in seen] == [True]
    assert str(seen[0].inputs["before"]["explanation"]).startswith("None, because")


def launched(name: str) -> Execution:
    plan = LaunchPlan.objects.get(name=name)
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier_of(plan))
    request = LaunchRequest("flytesnacks", "development", f"by-hand-{Execution.objects.count()}", spec)
    request.inputs.literals["today"].CopyFrom(integer(3))
    return launch(request, actor="ada")


def test_a_query_that_is_an_optional_inputs_default_gives_none_too() -> None:
    register_all(FlyteLaunchPlan.create("at_launch", asks_at_launch), version="v1", project="flytesnacks")
    first = launched("at_launch")
    assert given(first) == {"today": 3, "before": None}
    assert first.resolution == {}
    version = publish(PRIME, 13)
    second = launched("at_launch")
    assert given(second) == {"today": 3, "before": 13}
    assert literals.carried(inputs_of(second)["before"]) == version.pk


def test_a_query_for_an_input_that_must_have_a_value_is_still_not_resolved() -> None:
    @workflow
    def needs_it(today: int, before: int = PRIME.query()) -> int:
        return add(today=today, before=before)

    register_all(FlyteLaunchPlan.create("needs", needs_it), version="v1", project="flytesnacks")
    with pytest.raises(QueryUnresolved, match="before"):
        launched("needs")
    assert not Execution.objects.exists()
