"""Triggers on all of several artifacts whose time partitions are of different length."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from causeway import AllOf, OnArtifact
from flytekit import task, workflow
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import Granularity

from artifacts.exceptions import InvalidArgument
from artifacts.models import ArtifactVersion
from scheduler.actions.launch_plans import set_state
from scheduler.authority import Authority
from scheduler.models import Execution, FiringOutcome, LaunchPlan, Trigger, TriggerFiring, TriggerRound
from scheduler.triggers.evaluate import evaluate_version, sweep_triggers
from scheduler.triggers.preview import preview
from scheduler.triggers.switch import pause, resume
from tests.artifacts.publishing import START, at_run_time, integer, publish_output
from tests.scheduler.triggers.plans import active_plan, register_plan, two_inputs
from tests.scheduler.triggers.test_rounds import firing, given

pytestmark = pytest.mark.django_db

GRAINS = {"hourly": Granularity.HOUR, "other": Granularity.HOUR, "daily": Granularity.DAY, "monthly": Granularity.MONTH}
HOURLY, OTHER, DAILY, MONTHLY = (
    FlyteArtifact(name=name, time_partitioned=True, time_partition_granularity=grain) for name, grain in GRAINS.items()
)
NOON = datetime(2026, 5, 17, 12, tzinfo=timezone.utc)
_count = iter(range(1, 10**7))


@task
def add3(a: int, b: int, c: int) -> int:
    return a + b + c


@workflow
def three(a: int, b: int, c: int) -> int:
    return add3(a=a, b=b, c=c)


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


def publish(artifact: FlyteArtifact, number: int, time: datetime, *, at: datetime | None = None) -> ArtifactVersion:
    metadata = {"_uap": at_run_time(time=time, granularity=int(GRAINS[artifact.name]))}
    moment = at or START + timedelta(milliseconds=next(_count))
    return publish_output(artifact, integer(number, metadata), execution=f"e{next(_count)}", at=moment).versions[0][1]


def evaluated(artifact: FlyteArtifact, number: int, time: datetime, **over: datetime) -> ArtifactVersion:
    version = publish(artifact, number, time, **over)
    evaluate_version(version.pk)
    return version


def joined(window: timedelta | None = None) -> Trigger:
    trigger = OnArtifact(AllOf(HOURLY, DAILY, on="time_partition", window=window), inputs={"a": HOURLY, "b": DAILY})
    return active_plan(trigger, two_inputs)


def hour(number: int) -> datetime:
    return NOON.replace(hour=number)


def launches() -> list[dict[str, object]]:
    return [given(each) for each in Execution.objects.order_by("pk")]


@pytest.mark.parametrize("day_first", [True, False])
def test_an_hour_is_joined_with_its_day_whichever_comes_first(day_first: bool) -> None:
    joined()
    both = [(DAILY, 100, NOON), (HOURLY, 13, hour(13))]
    first, second = (evaluated(*one) for one in (both if day_first else both[::-1]))
    assert launches() == [{"a": 13, "b": 100}]
    assert {firing(first).outcome, firing(second).outcome} == {FiringOutcome.FIRED}
    assert {firing(first).execution, firing(second).execution} == {Execution.objects.get()}
    assert not TriggerRound.objects.filter(closed_at=None).exists()


def test_every_hour_after_the_day_is_joined_with_it() -> None:
    joined()
    day = evaluated(DAILY, 100, NOON)
    assert "waits for flytesnacks/development/hourly" in firing(day).reason
    for number in range(4):
        evaluated(HOURLY, number, hour(number))
    assert launches() == [{"a": number, "b": 100} for number in range(4)]
    assert firing(day).execution == Execution.objects.earliest("pk")


def test_a_day_that_comes_late_launches_once_for_each_hour_that_waits_of_which_the_newest_version_counts() -> None:
    joined()
    hours = [evaluated(HOURLY, number, hour(number)) for number in (3, 1, 23)]
    corrected = evaluated(HOURLY, 11, hour(1))
    other_day = evaluated(HOURLY, 99, hour(1) + timedelta(days=1))
    assert not Execution.objects.exists()
    evaluated(DAILY, 100, NOON)
    assert launches() == [{"a": 11, "b": 100}, {"a": 3, "b": 100}, {"a": 23, "b": 100}]
    assert [firing(one).outcome for one in (*hours, corrected, other_day)] == [
        FiringOutcome.FIRED, FiringOutcome.COALESCED, FiringOutcome.FIRED, FiringOutcome.FIRED, FiringOutcome.WAITING,
    ]  # fmt: skip


def test_a_corrected_day_counts_for_the_hours_to_come() -> None:
    joined()
    evaluated(DAILY, 100, NOON)
    evaluated(HOURLY, 1, hour(1))
    corrected = evaluated(DAILY, 200, NOON)
    assert firing(corrected).outcome == FiringOutcome.WAITING
    evaluated(HOURLY, 2, hour(2))
    assert launches() == [{"a": 1, "b": 100}, {"a": 2, "b": 200}]
    assert firing(corrected).outcome == FiringOutcome.FIRED


def test_three_granularities_and_two_of_the_finest() -> None:
    on = AllOf(HOURLY, OTHER, MONTHLY, on="time_partition")
    active_plan(OnArtifact(on, inputs={"a": HOURLY, "b": OTHER, "c": MONTHLY}), three)
    evaluated(HOURLY, 1, hour(1))
    evaluated(MONTHLY, 500, NOON)
    assert not Execution.objects.exists()
    evaluated(OTHER, 2, hour(1))
    assert launches() == [{"a": 1, "b": 2, "c": 500}]
    evaluated(OTHER, 3, hour(2) + timedelta(days=9))
    evaluated(HOURLY, 4, hour(2) + timedelta(days=9))
    assert launches()[1:] == [{"a": 4, "b": 3, "c": 500}]
    evaluated(HOURLY, 5, hour(2) + timedelta(days=40))
    evaluated(OTHER, 6, hour(2) + timedelta(days=40))
    assert len(launches()) == 2


def test_a_window_counts_from_whichever_came_first() -> None:
    joined(window=timedelta(hours=1))
    day = evaluated(DAILY, 100, NOON, at=START)
    evaluated(HOURLY, 1, hour(1), at=START + timedelta(minutes=59))
    late = evaluated(HOURLY, 2, hour(2), at=START + timedelta(minutes=61))
    assert launches() == [{"a": 1, "b": 100}]
    assert firing(day).outcome == FiringOutcome.FIRED
    sweep_triggers()
    assert firing(late).outcome == FiringOutcome.EXPIRED
    assert "no version of flytesnacks/development/daily" in firing(late).reason


def test_a_day_that_no_hour_came_for_expires() -> None:
    joined(window=timedelta(hours=1))
    evaluated(HOURLY, 1, hour(1) - timedelta(days=3), at=START)
    day = evaluated(DAILY, 100, NOON, at=START)
    sweep_triggers()
    assert firing(day).outcome == FiringOutcome.EXPIRED


def test_launches_that_a_pause_holds_back_keep_their_day() -> None:
    trigger = joined()
    pause(trigger.pk, backlog="keep", actor="ada")  # type: ignore[arg-type]
    day = evaluated(DAILY, 100, NOON)
    hours = [evaluated(HOURLY, number, hour(number)) for number in (1, 2)]
    assert {firing(one).outcome for one in (day, *hours)} == {FiringOutcome.WAITING}
    resume(trigger.pk, actor="ada")
    assert launches() == [{"a": 1, "b": 100}, {"a": 2, "b": 100}]
    assert set(TriggerFiring.objects.values_list("outcome", flat=True)) == {FiringOutcome.FIRED}


def test_a_preview_knows_the_day_too() -> None:
    joined()
    evaluated(HOURLY, 1, hour(1))
    day = publish(DAILY, 100, NOON)
    assert [one.launches for one in preview(day, reader=Authority("tester"))] == [True]
    evaluate_version(day.pk)
    assert [one.launches for one in preview(publish(HOURLY, 2, hour(2)), reader=Authority("tester"))] == [True]
    tomorrow = preview(publish(HOURLY, 2, hour(2) + timedelta(days=1)), reader=Authority("tester"))
    assert [one.reason for one in tomorrow] == ["waits for flytesnacks/development/daily"]


def test_an_artifact_without_the_key_that_is_joined_on_is_refused_at_activation() -> None:
    region = FlyteArtifact(name="by-region", partition_keys=["region"])
    promised = FlyteArtifact(name="promised", partition_keys=["region"])
    plan = register_plan(
        OnArtifact(AllOf(region, promised, on="region"), inputs={"a": region, "b": promised}), two_inputs
    )
    publish_output(FlyteArtifact(name="promised"), 1, execution="without")
    with pytest.raises(InvalidArgument, match="promised has no partition region"):
        set_state(plan, LaunchPlan.State.ACTIVE, actor="ada")
    plan.refresh_from_db()
    assert plan.state == LaunchPlan.State.INACTIVE
    assert not Trigger.objects.get(launch_plan=plan).active


def test_a_day_that_was_removed_is_joined_by_no_hour() -> None:
    joined()
    day = evaluated(DAILY, 100, NOON)
    evaluated(HOURLY, 1, hour(1))
    ArtifactVersion.objects.filter(pk=day.pk).update(removed_at=START)
    waiting = evaluated(HOURLY, 2, hour(2))
    assert firing(waiting).outcome == FiringOutcome.WAITING
    evaluated(DAILY, 200, NOON)
    assert launches() == [{"a": 1, "b": 100}, {"a": 2, "b": 200}]
