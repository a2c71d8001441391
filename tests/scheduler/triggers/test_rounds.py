"""Triggers on several artifacts."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
import redis
from causeway import AllOf, AnyOf, OnArtifact
from django.db import connection
from flytekit import task, workflow
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import Granularity

from artifacts.models import ArtifactVersion
from scheduler.actions.launch_plans import set_state
from scheduler.models import Execution, FiringOutcome, LaunchPlan, Trigger, TriggerFiring, TriggerRound
from scheduler.triggers.evaluate import evaluate_version, sweep_triggers
from scheduler.triggers.rounds import due_rounds, expire_round
from tests.artifacts.publishing import START, at_run_time, integer, publish_output
from tests.scheduler.triggers.plans import active_plan, two_inputs
from tests.scheduler.triggers.test_evaluate import inputs_of, value

pytestmark = pytest.mark.django_db

HOUR = Granularity.HOUR
WEATHER = FlyteArtifact(
    name="weather", time_partitioned=True, time_partition_granularity=HOUR, partition_keys=["region"]
)
SALES = FlyteArtifact(name="sales", time_partitioned=True, time_partition_granularity=HOUR, partition_keys=["region"])
JOINED = {"a": WEATHER, "b": SALES}
NOON = datetime(2026, 5, 17, 12, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


_minutes = iter(range(1, 10_000_000))


def publish(
    artifact: FlyteArtifact, number: int = 1, *, hour: datetime = NOON, region: str = "SEA", at: datetime | None = None
) -> ArtifactVersion:
    execution = f"e{next(_minutes)}"
    metadata = {"_uap": at_run_time({"region": region}, hour, int(HOUR))}
    moment = at or START + timedelta(milliseconds=next(_minutes))
    published = publish_output(artifact, integer(number, metadata), execution=execution, at=moment)
    return published.versions[0][1]


def evaluated(artifact: FlyteArtifact, number: int = 1, **over: object) -> ArtifactVersion:
    version = publish(artifact, number, **over)  # type: ignore[arg-type]
    evaluate_version(version.pk)
    return version


def firing(version: ArtifactVersion) -> TriggerFiring:
    return TriggerFiring.objects.get(version=version)


def joined_plan(window: timedelta | None = timedelta(hours=2), on: str | list[str] = "time_partition") -> Trigger:
    return active_plan(OnArtifact(AllOf(WEATHER, SALES, on=on, window=window), inputs=JOINED), two_inputs)


def sweep_rounds() -> None:
    """As the sweep does, which has not come to the versions yet."""
    for round_id in due_rounds(limit=100):
        expire_round(round_id)


def given(execution: Execution) -> dict[str, object]:
    return {name: value(literal) for name, literal in inputs_of(execution).items()}


def test_it_launches_once_all_have_the_same_time_partition() -> None:
    joined_plan()
    weather = evaluated(WEATHER, 1)
    assert firing(weather).outcome == FiringOutcome.WAITING
    assert "waits until 2026-05-17T14:00:00" in firing(weather).reason
    assert "for flytesnacks/development/sales" in firing(weather).reason
    other_hour = evaluated(SALES, 9, hour=NOON + timedelta(hours=1))
    assert not Execution.objects.exists()
    sales = evaluated(SALES, 2)
    execution = Execution.objects.get()
    assert given(execution) == {"a": 1, "b": 2}
    assert {firing(weather).execution, firing(sales).execution} == {execution}
    assert {firing(weather).outcome, firing(sales).outcome} == {FiringOutcome.FIRED}
    assert firing(other_hour).outcome == FiringOutcome.WAITING
    assert {entry["via"] for entry in execution.resolution.values()} == {"trigger"}


def test_of_two_versions_the_newer_one_joins() -> None:
    joined_plan()
    old, new = evaluated(WEATHER, 1), evaluated(WEATHER, 5)
    assert firing(old).outcome == FiringOutcome.COALESCED and new.version in firing(old).reason
    evaluated(SALES, 2)
    assert given(Execution.objects.get()) == {"a": 5, "b": 2}


def test_a_version_evaluated_after_a_newer_one_was_joined_opens_no_round() -> None:
    joined_plan()
    late = publish(WEATHER, 1)
    evaluated(WEATHER, 5)
    evaluated(SALES, 2)
    evaluate_version(late.pk)
    assert firing(late).outcome == FiringOutcome.COALESCED
    assert not TriggerRound.objects.filter(closed_at__isnull=True).exists()


def test_each_round_launches_again() -> None:
    joined_plan()
    for number in (1, 2):
        evaluated(WEATHER, number)
        evaluated(SALES, number)
    assert sorted(given(each)["a"] for each in Execution.objects.all()) == [1, 2]  # type: ignore[type-var]


def test_it_joins_on_partition_keys_too() -> None:
    joined_plan(on=["region", "time_partition"])
    evaluated(WEATHER, 1, region="SEA")
    evaluated(SALES, 2, region="LAX")
    assert not Execution.objects.exists()
    evaluated(SALES, 3, region="SEA")
    assert given(Execution.objects.get()) == {"a": 1, "b": 3}


def test_a_round_expires_when_the_others_do_not_come() -> None:
    joined_plan(window=timedelta(hours=2))
    weather = evaluated(WEATHER, 1)  # published months before the clock of this machine
    sweep_triggers()
    found = firing(weather)
    assert found.outcome == FiringOutcome.EXPIRED
    assert found.reason == "no version of flytesnacks/development/sales within 7200 s of the first"
    evaluated(SALES, 2, at=START + timedelta(hours=3))
    assert not Execution.objects.exists()


def test_a_version_published_after_the_window_begins_another_round() -> None:
    joined_plan(window=timedelta(hours=2))
    weather = evaluated(WEATHER, 1)
    sales = evaluated(SALES, 2, at=START + timedelta(hours=3))
    assert (firing(weather).outcome, firing(sales).outcome) == (FiringOutcome.EXPIRED, FiringOutcome.WAITING)


def test_a_round_goes_on_when_a_version_of_its_time_is_evaluated_after_it_expired() -> None:
    joined_plan(window=timedelta(hours=2))
    weather, sales = evaluated(WEATHER, 1), publish(SALES, 2, at=START + timedelta(hours=1))
    sweep_rounds()
    assert firing(weather).outcome == FiringOutcome.EXPIRED
    evaluate_version(sales.pk)
    assert given(Execution.objects.get()) == {"a": 1, "b": 2}
    assert {firing(weather).outcome, firing(sales).outcome} == {FiringOutcome.FIRED}
    sweep_rounds()
    assert {firing(weather).outcome, firing(sales).outcome} == {FiringOutcome.FIRED}


def test_it_goes_on_beside_the_round_that_was_opened_since() -> None:
    joined_plan(window=timedelta(hours=2))
    weather, sales = evaluated(WEATHER, 1), publish(SALES, 2, at=START + timedelta(hours=1))
    later = evaluated(WEATHER, 3, at=START + timedelta(hours=3))
    assert (firing(weather).outcome, firing(later).outcome) == (FiringOutcome.EXPIRED, FiringOutcome.WAITING)
    evaluate_version(sales.pk)
    assert given(Execution.objects.get()) == {"a": 1, "b": 2}
    assert (firing(sales).outcome, firing(later).outcome) == (FiringOutcome.FIRED, FiringOutcome.WAITING)
    evaluated(SALES, 4, at=START + timedelta(hours=4))
    assert given(Execution.objects.latest("pk")) == {"a": 3, "b": 4}


def test_a_round_stays_expired_for_a_version_of_another_time() -> None:
    joined_plan(window=timedelta(hours=2))
    weather = evaluated(WEATHER, 1)
    for hours in (-3, 3):
        late = publish(SALES, 2, at=START + timedelta(hours=hours))
        sweep_rounds()
        evaluate_version(late.pk)
        assert (firing(weather).outcome, firing(late).outcome) == (FiringOutcome.EXPIRED, FiringOutcome.WAITING)
    assert not Execution.objects.exists()


def test_an_input_takes_a_partition_of_the_member_it_names() -> None:
    @task
    def join(hour: datetime, region: str) -> str:
        return f"{hour} {region}"

    @workflow
    def joining(hour: datetime, region: str) -> str:
        return join(hour=hour, region=region)

    inputs = {"hour": SALES.time_partition - timedelta(hours=1), "region": SALES.partitions.region}
    active_plan(OnArtifact(AllOf(WEATHER, SALES, on="time_partition"), inputs=inputs), joining)
    evaluated(SALES, 2, region="LAX")
    evaluated(WEATHER, 1, region="SEA")
    execution = Execution.objects.get()
    assert given(execution) == {"hour": "2026-05-17T11:00:00Z", "region": "LAX"}


def test_any_of_several_launches_for_each() -> None:
    active_plan(OnArtifact(AnyOf(WEATHER, SALES.query(region="SEA")), inputs=JOINED), two_inputs)
    weather = evaluated(WEATHER, 1)
    assert firing(weather).outcome == FiringOutcome.UNRESOLVED  # no sales yet
    sales = evaluated(SALES, 2)
    assert firing(sales).outcome == FiringOutcome.FIRED
    lax = evaluated(SALES, 3, region="LAX")
    assert (firing(lax).outcome, firing(lax).reason) == (FiringOutcome.FILTERED, "watches region=SEA")
    assert Execution.objects.count() == 2  # the weather's was tried again when sales came


def test_deactivation_ends_open_rounds() -> None:
    trigger = joined_plan()
    weather = evaluated(WEATHER, 1)
    set_state(trigger.launch_plan, LaunchPlan.State.INACTIVE, actor="ada")
    assert firing(weather).outcome == FiringOutcome.SKIPPED
    evaluated(SALES, 2)
    assert not Execution.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_versions_that_arrive_together_launch_once(valkey: redis.Redis) -> None:
    joined_plan()
    hours = [NOON + timedelta(hours=offset) for offset in range(3)]
    versions = [publish(artifact, 1, hour=hour) for hour in hours for artifact in (WEATHER, SALES)]
    together = threading.Barrier(len(versions) * 2)
    errors: list[BaseException] = []

    def work(version: ArtifactVersion) -> None:
        try:
            together.wait()
            evaluate_version(version.pk)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(version,)) for version in versions * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert Execution.objects.count() == len(hours)
    assert set(TriggerFiring.objects.values_list("outcome", flat=True)) == {FiringOutcome.FIRED}
