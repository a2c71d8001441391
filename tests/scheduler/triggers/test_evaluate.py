from __future__ import annotations

import base64
import json
import threading
from datetime import datetime, timedelta, timezone

import pytest
import redis
from causeway import OnArtifact
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone as django_timezone
from flyteidl.core import literals_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import Granularity
from pytest_django import Settings

from artifacts import literals
from artifacts.actions.retention import remove
from artifacts.models import ArtifactVersion
from artifacts.store import store
from lineage.models import VersionEdge, Via
from scheduler.actions.launch_plans import set_state
from scheduler.models import Execution, ExecutionMode, FiringOutcome, LaunchPlan, Trigger, TriggerFiring
from scheduler.triggers.evaluate import evaluate_version, retry_by_hand, retry_firing, sweep_triggers
from scheduler.triggers.launching import execution_name, launch_for
from tests.artifacts.publishing import START, at_run_time, integer, publish_output
from tests.scheduler.triggers.plans import (
    DATASET,
    PRIME,
    active_plan,
    register_plan,
    two_inputs,
    with_query_default,
    with_region,
    with_sea_default,
    with_time,
)

pytestmark = pytest.mark.django_db

HOURLY = FlyteArtifact(name="ticks", time_partitioned=True, time_partition_granularity=Granularity.HOUR)


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


def publish(
    artifact: object, value: int = 7, *, execution: str = "e1", minute: int = 0, **over: object
) -> ArtifactVersion:
    at = START + timedelta(minutes=minute)
    return publish_output(artifact, value, execution=execution, at=at, **over).versions[0][1]  # type: ignore[arg-type]


def inputs_of(execution: Execution) -> dict[str, literals_pb2.Literal]:
    return dict(literals_pb2.LiteralMap.FromString(store().get(execution.inputs_uri)).literals)


def value(literal: literals_pb2.Literal) -> object:
    return literals.to_json(literal)


def test_it_launches_with_the_triggering_version() -> None:
    trigger = active_plan(OnArtifact(PRIME, inputs={"n": PRIME}))
    version = publish(PRIME, 7)
    evaluate_version(version.pk)
    execution = Execution.objects.get()
    assert (execution.mode, execution.launch_plan, execution.name) == (
        ExecutionMode.TRIGGER,
        trigger.launch_plan,
        execution_name(trigger.pk, version.pk),
    )
    given = inputs_of(execution)["n"]
    assert (value(given), literals.carried(given)) == (7, version.pk)
    firing = TriggerFiring.objects.get()
    assert (firing.outcome, firing.execution, firing.trigger, firing.version) == (
        FiringOutcome.FIRED,
        execution,
        trigger,
        version,
    )
    assert firing.latency_ms is not None and firing.latency_ms >= 0
    edge = VersionEdge.objects.get(version=version, role="consumed")
    assert (edge.execution_key, edge.variable, edge.via) == (execution.key, "n", Via.TRIGGER)
    version.refresh_from_db()
    assert version.triggers_evaluated_at is not None


def test_it_takes_few_queries() -> None:
    active_plan(OnArtifact(PRIME, inputs={"n": PRIME}))
    evaluate_version(publish(PRIME, execution="warm").pk)
    version = publish(PRIME, execution="e2")
    with CaptureQueriesContext(connection) as queries:
        evaluate_version(version.pk)
    statements = [q["sql"] for q in queries]
    savepoints = [sql for sql in statements if "SAVEPOINT" in sql]
    assert len(statements) - len(savepoints) <= 11, "\n".join(sql[:150] for sql in statements)


def test_a_version_that_nothing_watches_takes_two_statements() -> None:
    active_plan(OnArtifact(PRIME))
    version = publish(FlyteArtifact(name="other"))
    with CaptureQueriesContext(connection) as queries:
        evaluate_version(version.pk)
    assert len([q for q in queries if "SAVEPOINT" not in q["sql"]]) == 2
    version.refresh_from_db()
    assert version.triggers_evaluated_at is not None


def test_it_launches_once_however_often_it_is_asked() -> None:
    active_plan(OnArtifact(PRIME, inputs={"n": PRIME}))
    version = publish(PRIME)
    for _ in range(3):
        evaluate_version(version.pk)
    assert Execution.objects.count() == TriggerFiring.objects.count() == 1


def test_it_launches_once_even_when_the_note_that_it_did_is_lost() -> None:
    active_plan(OnArtifact(PRIME, inputs={"n": PRIME}))
    version = publish(PRIME)
    evaluate_version(version.pk)
    ArtifactVersion.objects.update(triggers_evaluated_at=None)
    evaluate_version(version.pk)
    assert Execution.objects.count() == 1
    assert TriggerFiring.objects.get().outcome == FiringOutcome.FIRED


def test_it_gives_the_single_input_without_a_source_the_triggering_version() -> None:
    active_plan(OnArtifact(PRIME))
    evaluate_version(publish(PRIME, 11).pk)
    assert value(inputs_of(Execution.objects.get())["n"]) == 11


def test_a_query_default_on_the_same_artifact_takes_the_triggering_version_not_a_newer_one() -> None:
    active_plan(OnArtifact(PRIME), with_query_default)
    older = publish(PRIME, 7, execution="e1")
    publish(PRIME, 11, execution="e2", minute=1)
    evaluate_version(older.pk)
    execution = Execution.objects.get()
    assert value(inputs_of(execution)["n"]) == 7
    assert "satisfies the query" in TriggerFiring.objects.get().resolution["n"]["explanation"]


def test_it_fires_nothing_for_versions_published_before_activation() -> None:
    plan = register_plan(OnArtifact(PRIME))
    version = publish(PRIME)
    set_state(plan, LaunchPlan.State.ACTIVE, actor="ada")
    evaluate_version(version.pk)
    assert not TriggerFiring.objects.exists()


def test_it_fires_nothing_when_inactive() -> None:
    trigger = active_plan(OnArtifact(PRIME))
    set_state(trigger.launch_plan, LaunchPlan.State.INACTIVE, actor="ada")
    evaluate_version(publish(PRIME).pk)
    assert not TriggerFiring.objects.exists()


def test_it_fires_every_matching_launch_plan_and_notes_those_that_watch_other_partitions() -> None:
    sea = active_plan(OnArtifact(DATASET.query(region="SEA"), inputs={"n": DATASET}), name="sea")
    any_region = active_plan(OnArtifact(DATASET, inputs={"n": DATASET}), name="any")
    lax = active_plan(OnArtifact(DATASET.query(region="LAX"), inputs={"n": DATASET}), name="lax")
    evaluate_version(publish(DATASET(region="SEA")).pk)
    found = {firing.trigger_id: firing for firing in TriggerFiring.objects.all()}
    assert {sea.pk: "fired", any_region.pk: "fired", lax.pk: "filtered"} == {
        pk: firing.outcome for pk, firing in found.items()
    }
    assert found[lax.pk].reason == "watches region=LAX"
    assert Execution.objects.count() == 2


def test_it_does_not_fire_for_the_same_name_in_another_domain() -> None:
    active_plan(OnArtifact(PRIME))
    version = publish(PRIME, domain="staging", execution_key="flytesnacks/staging/e1")
    evaluate_version(version.pk)
    assert not TriggerFiring.objects.exists()


def test_it_binds_partition_values_and_constants() -> None:
    counted = FlyteArtifact(name="counted", partition_keys=["region", "count"])
    inputs = {"n": 5, "region": counted.partitions.region, "count": counted.partitions.count}
    active_plan(OnArtifact(counted, inputs=inputs), with_region)
    evaluate_version(publish(counted(region="SEA", count="3")).pk)
    assert TriggerFiring.objects.get().reason == ""
    given = inputs_of(Execution.objects.get())
    assert {name: value(literal) for name, literal in given.items()} == {"n": 5, "region": "SEA", "count": 3}


def test_it_records_a_partition_value_that_is_no_number() -> None:
    counted = FlyteArtifact(name="counted", partition_keys=["count"])
    active_plan(OnArtifact(counted, inputs={"a": 5, "b": counted.partitions.count}), two_inputs)
    evaluate_version(publish(counted(count="many")).pk)
    firing = TriggerFiring.objects.get()
    assert firing.outcome == FiringOutcome.FAILED and "b" in firing.reason
    assert not Execution.objects.exists()


def test_a_query_default_that_the_triggering_version_does_not_satisfy_is_resolved() -> None:
    active_plan(OnArtifact(DATASET), with_sea_default)
    sea = publish(DATASET(region="SEA"), 1, execution="e1")
    evaluate_version(publish(DATASET(region="LAX"), 2, execution="e2", minute=1).pk)
    execution = Execution.objects.get()
    given = inputs_of(execution)["n"]
    assert (value(given), literals.carried(given)) == (1, sea.pk)
    assert execution.resolution["n"]["via"] == Via.QUERY
    assert execution.resolution["n"]["explanation"] == "the newest version of ml-dataset with region=SEA"


def test_it_binds_the_time_partition_and_overrides_defaults_with_constants() -> None:
    inputs = {"n": HOURLY, "at": HOURLY.time_partition - timedelta(hours=2), "text": "given"}
    active_plan(OnArtifact(HOURLY, inputs=inputs), with_time)
    evaluate_version(hourly(9).pk)
    given = inputs_of(Execution.objects.get())
    assert {name: value(literal) for name, literal in given.items()} == {
        "n": 9,
        "at": "2026-05-17T07:00:00Z",
        "text": "given",
    }


def test_it_leaves_constant_defaults_to_the_launch() -> None:
    active_plan(OnArtifact(HOURLY, inputs={"n": HOURLY, "at": HOURLY.time_partition}), with_time)
    evaluate_version(hourly(9).pk)
    given = inputs_of(Execution.objects.get())
    assert (value(given["at"]), value(given["text"])) == ("2026-05-17T09:00:00Z", "default")


def hourly(hour: int) -> ArtifactVersion:
    at = START.replace(hour=hour)
    literal = integer(hour, {"_uap": at_run_time(time=at, granularity=Granularity.HOUR)})
    return publish_output(HOURLY, literal, execution=f"h{hour}", at=at).versions[0][1]


def test_it_resolves_the_hour_before() -> None:
    previous = HOURLY.query(time_partition=HOURLY.time_partition - timedelta(hours=1))
    active_plan(OnArtifact(HOURLY, inputs={"a": HOURLY, "b": previous}), two_inputs)
    evaluate_version(hourly(9).pk)
    first = TriggerFiring.objects.get()
    assert first.outcome == FiringOutcome.UNRESOLVED
    assert first.reason == (
        "b: ticks has no version with time partition 2026-05-17T08:00:00Z; "
        "time partitions seen: 2026-05-17T09:00:00Z to 2026-05-17T09:00:00Z"
    )
    evaluate_version(hourly(10).pk)
    given = inputs_of(Execution.objects.get())
    assert (value(given["a"]), value(given["b"])) == (10, 9)


def test_it_tries_again_when_the_version_it_lacked_arrives() -> None:
    previous = HOURLY.query(time_partition=HOURLY.time_partition - timedelta(hours=1))
    active_plan(OnArtifact(HOURLY, inputs={"a": HOURLY, "b": previous}), two_inputs)
    evaluate_version(hourly(9).pk)
    evaluate_version(hourly(8).pk)  # late
    outcomes = dict(TriggerFiring.objects.values_list("version__execution_key", "outcome"))
    assert outcomes == {"flytesnacks/development/h9": "fired", "flytesnacks/development/h8": "unresolved"}
    given = inputs_of(Execution.objects.get())
    assert (value(given["a"]), value(given["b"])) == (9, 8)


def test_it_resolves_queries_on_other_artifacts_bound_to_the_triggering_partition() -> None:
    model = FlyteArtifact(name="ml-model", partition_keys=["region"])
    inputs = {"a": DATASET, "b": model.query(region=DATASET.partitions.region)}
    active_plan(OnArtifact(DATASET, inputs=inputs), two_inputs)
    publish(model(region="LAX"), 1, execution="m1")
    sea = publish(model(region="SEA"), 2, execution="m2")
    publish(model(region="LAX"), 3, execution="m3", minute=1)
    evaluate_version(publish(DATASET(region="SEA"), 9, minute=2).pk)
    given = inputs_of(Execution.objects.get())
    assert (value(given["a"]), value(given["b"])) == (9, 2)
    assert literals.carried(given["b"]) == sea.pk
    assert VersionEdge.objects.get(version=sea, role="consumed").via == Via.QUERY


def test_it_waits_for_an_artifact_that_does_not_exist_yet() -> None:
    model = FlyteArtifact(name="ml-model")
    active_plan(OnArtifact(DATASET, inputs={"a": DATASET, "b": model}), two_inputs)
    evaluate_version(publish(DATASET(region="SEA"), 9).pk)
    firing = TriggerFiring.objects.get()
    assert firing.reason == "b: there is no artifact 'ml-model' in flytesnacks/development"
    assert firing.lacks == ["flytesnacks/development/ml-model"]
    evaluate_version(publish(model, 2, execution="m1").pk)
    firing.refresh_from_db()
    assert (firing.outcome, firing.lacks, firing.tries) == (FiringOutcome.FIRED, [], 2)
    assert firing.execution == Execution.objects.get()


def test_it_gives_up_an_unresolved_firing_of_a_deactivated_launch_plan() -> None:
    trigger = active_plan(OnArtifact(DATASET, inputs={"a": DATASET, "b": FlyteArtifact(name="ml-model")}), two_inputs)
    evaluate_version(publish(DATASET(region="SEA"), 9).pk)
    set_state(trigger.launch_plan, LaunchPlan.State.INACTIVE, actor="ada")
    assert retry_firing(TriggerFiring.objects.get().pk) == FiringOutcome.SKIPPED
    assert not Execution.objects.exists()


def test_the_sweep_evaluates_what_no_wake_up_did_and_retries_what_is_due() -> None:
    active_plan(OnArtifact(DATASET, inputs={"a": DATASET, "b": FlyteArtifact(name="ml-model")}), two_inputs)
    publish(DATASET(region="SEA"), 9)
    sweep_triggers()
    firing = TriggerFiring.objects.get()
    assert firing.outcome == FiringOutcome.UNRESOLVED
    publish(FlyteArtifact(name="ml-model"), 1, execution="m1")
    ArtifactVersion.objects.update(triggers_evaluated_at=django_timezone.now())  # evaluated before the firing was there
    TriggerFiring.objects.update(retry_at=datetime(2020, 1, 1, tzinfo=timezone.utc))
    sweep_triggers()
    firing.refresh_from_db()
    assert firing.outcome == FiringOutcome.FIRED


def test_a_launch_that_breaks_off_keeps_no_other_from_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = active_plan(OnArtifact(PRIME), name="broken")
    fine = active_plan(OnArtifact(PRIME), name="fine")

    def break_off(trigger: Trigger, *rest: object, **named: object) -> Execution:
        if trigger.pk == broken.pk:
            raise RuntimeError("the store is out of reach")
        return launch_for(trigger, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("scheduler.triggers.attempts.launch_for", break_off)
    evaluate_version(publish(PRIME).pk)
    outcomes = dict(TriggerFiring.objects.values_list("trigger_id", "outcome"))
    assert outcomes == {broken.pk: FiringOutcome.UNRESOLVED, fine.pk: FiringOutcome.FIRED}
    firing = TriggerFiring.objects.get(trigger=broken)
    assert "the store is out of reach" in firing.reason and firing.retry_at is not None


def react(version: ArtifactVersion, value: int, *, minute: int) -> ArtifactVersion:
    """The execution that `version` fired publishes in its turn."""
    execution = TriggerFiring.objects.get(version=version).execution
    assert execution is not None
    return publish(PRIME, value, execution=execution.name, minute=minute)


def test_it_counts_the_generations_of_a_chain() -> None:
    active_plan(OnArtifact(PRIME))
    version = publish(PRIME, 2)
    for number in range(1, 4):
        evaluate_version(version.pk)
        firing = TriggerFiring.objects.get(version=version)
        assert firing.generation == number
        version = react(version, number, minute=number)
    assert TriggerFiring.objects.filter(root__isnull=True).count() == 1


def test_it_stops_a_chain_that_grows(settings: Settings) -> None:
    settings.CAUSEWAY_TRIGGER_MAX_CHAIN = 3
    for name in ("one", "two"):
        active_plan(OnArtifact(PRIME), name=name)
    ready = [publish(PRIME, 2)]
    for minute in range(1, 6):
        for version in ready:
            evaluate_version(version.pk)
        fired = TriggerFiring.objects.filter(version__in=ready, execution__isnull=False)
        ready = [
            publish(PRIME, 3, execution=firing.execution.name, minute=minute) for firing in fired if firing.execution
        ]
    assert Execution.objects.count() == 2 + 2 * 3  # the first version began two chains
    skipped = TriggerFiring.objects.filter(outcome=FiringOutcome.SKIPPED)
    assert skipped and "grew to 3 unfinished executions and was stopped" in skipped.order_by("pk")[0].reason


@pytest.mark.django_db(transaction=True)
def test_two_workers_launch_one_execution(valkey: redis.Redis) -> None:
    active_plan(OnArtifact(PRIME, inputs={"n": PRIME}))
    version = publish(PRIME)
    together = threading.Barrier(3)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            together.wait()
            evaluate_version(version.pk)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert Execution.objects.count() == TriggerFiring.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_published_version_wakes_the_triggers_after_its_commit(valkey: redis.Redis) -> None:
    version = publish(PRIME)
    (message,) = valkey.lrange("causeway", 0, -1)
    assert b"scheduler.tasks.evaluate_triggers" in message
    assert str(version.pk).encode() in base64.b64decode(json.loads(message)["body"])


def test_a_version_removed_before_it_is_looked_at_launches_nothing() -> None:
    active_plan(OnArtifact(PRIME, inputs={"n": PRIME}))
    version = publish(PRIME, 7)
    remove([version], actor="ada", reason="old")
    evaluate_version(version.pk)
    firing = TriggerFiring.objects.get()
    assert (firing.outcome, firing.reason) == (
        FiringOutcome.SKIPPED,
        "the version was removed before its triggers were looked at",
    )
    assert retry_by_hand(firing.pk, actor="ada").outcome == FiringOutcome.FAILED
    assert "its data is gone" in TriggerFiring.objects.get().reason
    assert not Execution.objects.exists()
