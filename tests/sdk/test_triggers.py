from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import pytest
from causeway import Artifact as OurArtifact
from causeway import OnArtifact, start_of, wire
from causeway.durations import isoformat
from flyteidl.core import artifact_id_pb2, interface_pb2
from flytekit import LaunchPlan, task, workflow
from flytekit.core.artifact import Artifact, Granularity, Inputs, TimePartition

Rides = Artifact(
    name="rides", partition_keys=["region"], time_partitioned=True, time_partition_granularity=Granularity.HOUR
)
Weather = Artifact(name="weather", partition_keys=["region"])


@task
def report(rides: str, previous: str, weather: str, at: datetime, top: int, region: str) -> str:
    return f"{rides} {previous} {weather} {at} {top} {region}"


@workflow
def reporting(rides: str, previous: str, weather: str, at: datetime, top: int, region: str) -> str:
    return report(rides=rides, previous=previous, weather=weather, at=at, top=top, region=region)


def parse(trigger: OnArtifact) -> tuple[artifact_id_pb2.ArtifactID, interface_pb2.ParameterMap]:
    plan = LaunchPlan.create(f"reporting-{id(trigger)}", reporting, trigger=trigger)
    message: Any = trigger.to_flyte_idl(plan)
    assert message.DESCRIPTOR.full_name == "flyteidl.artifact.Trigger"
    return (
        artifact_id_pb2.ArtifactID.FromString(message.trigger),
        interface_pb2.ParameterMap.FromString(message.trigger_inputs),
    )


def parameter(value: Any, *, name: str = "rides") -> interface_pb2.Parameter:
    return parse(OnArtifact(Rides, inputs={name: value}))[1].parameters[name]


def test_it_watches_any_version_of_an_artifact() -> None:
    watched, inputs = parse(OnArtifact(Rides))
    assert watched == artifact_id_pb2.ArtifactID(artifact_key=artifact_id_pb2.ArtifactKey(name="rides"))
    assert not inputs.parameters


def test_it_watches_only_the_partitions_a_query_names() -> None:
    watched, _ = parse(OnArtifact(Rides.query(region="SEA")))
    assert watched.partitions.value["region"].static_value == "SEA"


def test_it_passes_the_triggering_artifact_whoever_declared_it() -> None:
    same_name = Artifact(name="rides", partition_keys=["region"])
    for artifact in (Rides, same_name):
        assert parameter(artifact).artifact_query.WhichOneof("identifier") == "binding"


def test_it_queries_relative_to_the_time_partition_that_fired() -> None:
    query = parameter(Rides.query(time_partition=Rides.time_partition - timedelta(hours=1))).artifact_query
    binding = query.artifact_id.time_partition.value.triggered_binding
    assert binding.bind_to_time_partition
    assert (binding.time_transform.transform, binding.time_transform.op) == ("PT1H", artifact_id_pb2.MINUS)
    assert query.artifact_id.partitions.value["region"].triggered_binding.partition_key == "region"


def test_it_keeps_all_steps_of_a_formula_inside_a_query() -> None:
    before = start_of("day", Rides.time_partition) - timedelta(days=1)
    query = parameter(Rides.query(time_partition=before)).artifact_query
    binding = query.artifact_id.time_partition.value.triggered_binding
    assert binding.time_transform.transform == "start_of=day;-P1D"


def test_a_default_query_may_move_the_time_of_its_input() -> None:
    hour_before = Rides.query(time_partition=TimePartition(Inputs.at) - timedelta(hours=1))
    binding = hour_before.to_flyte_idl().artifact_id.time_partition.value.input_binding
    assert binding.var == "at"
    transform = wire.InputBinding.FromString(binding.SerializeToString()).time_transform
    found = artifact_id_pb2.TimeTransform.FromString(transform)
    assert (found.transform, found.op) == ("PT1H", artifact_id_pb2.MINUS)
    with pytest.raises(ValueError, match="only the time of an input can be moved"):
        Rides.query(
            time_partition=TimePartition(datetime(2026, 1, 1, tzinfo=timezone.utc)) - timedelta(hours=1)
        ).to_flyte_idl()


def test_its_own_queries_ask_for_more() -> None:
    model = OurArtifact(name="model", partition_keys=["version"])
    asked = model.query(version="small", alias="champion", created_before=Inputs.at)
    for query in (asked.to_flyte_idl(), parameter(asked).artifact_query):
        assert query.artifact_id.partitions.value["version"].static_value == "small"
        assert json.loads(wire.Query.FromString(query.SerializeToString()).causeway) == {
            "alias": "champion",
            "created_before": {"input": "at"},
        }
    one = OurArtifact(name="model").query(version="v1", time_before=datetime(2026, 1, 1, tzinfo=timezone.utc))
    assert one.to_flyte_idl().artifact_id.version == "v1"
    with pytest.raises(ValueError, match="time_from must be a datetime or an input"):
        model.query(time_from="yesterday")  # type: ignore[arg-type]


def test_it_leaves_another_artifacts_partitions_open() -> None:
    query = parameter(Weather).artifact_query
    assert query.artifact_id == artifact_id_pb2.ArtifactID(artifact_key=artifact_id_pb2.ArtifactKey(name="weather"))


def test_it_binds_another_artifacts_partition_to_the_one_that_fired() -> None:
    query = parameter(Weather.query(region=Rides.partitions.region)).artifact_query
    assert query.artifact_id.partitions.value["region"].triggered_binding.partition_key == "region"


def test_it_passes_time_partition_partition_and_constants_as_values() -> None:
    assert parameter(Rides.time_partition, name="at").artifact_query.binding.bind_to_time_partition
    assert parameter(Rides.partitions.region, name="region").artifact_query.binding.partition_key == "region"
    assert parameter(7, name="top").default.scalar.primitive.integer == 7


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (lambda: OnArtifact("rides"), "must be an Artifact, a query on one, or AllOf or AnyOf"),  # type: ignore[arg-type]
        (lambda: OnArtifact(Rides, inputs={"rides", "x"}), "must map input names"),  # type: ignore[arg-type]
        (lambda: OnArtifact(Rides, inputs={"ride": Rides}), "ride is no input of the workflow"),
        (lambda: OnArtifact(Rides.query(city="SEA")), "rides has no partition city; its keys are region"),
        (lambda: OnArtifact(Rides.query(region=Inputs.region)), "must be a constant string"),
        (lambda: OnArtifact(Weather, inputs={"at": Rides.time_partition}), "must be that of weather, not of rides"),
    ],
)
def test_it_refuses_what_could_never_be_resolved(trigger: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(trigger())


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(hours=1), "PT1H"),
        (timedelta(days=1, minutes=30), "P1DT30M"),
        (timedelta(seconds=-15), "-PT15S"),
        (timedelta(milliseconds=1500), "PT1.5S"),
    ],
)
def test_it_writes_durations_in_iso_8601(duration: timedelta, text: str) -> None:
    assert isoformat(duration) == text


def test_it_annotates_outputs_like_flytekit() -> None:
    @task
    def produce(region: str) -> Annotated[str, Weather(region=Inputs.region)]:
        return region

    partial = produce.interface.outputs["o0"].artifact_partial_id
    assert partial.partitions.value["region"].input_binding.var == "region"
