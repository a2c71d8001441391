"""Launch conditions as the package `union` (import name `unionai` before) packs them, built by hand from its messages.

Its `flyteidl.artifact.Trigger` has fields 1 and 2 only; an artifact among the inputs is an empty binding, a time
partition a binding with an ISO 8601 duration, a query on the triggering artifact binds every key that it leaves open.
"""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from flyteidl.admin import launch_plan_pb2
from flyteidl.core import artifact_id_pb2, interface_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import Granularity
from google.protobuf import any_pb2

from artifacts.models import ArtifactVersion
from scheduler.models import Execution, LaunchPlan, Trigger
from scheduler.triggers.evaluate import evaluate_version
from scheduler.triggers.plan import plan_of
from scheduler.triggers.register import attach
from tests.artifacts.publishing import at_run_time, integer, publish_output
from tests.scheduler.triggers.plans import register_plan, two_inputs, with_time
from tests.scheduler.triggers.test_evaluate import inputs_of, value

pytestmark = pytest.mark.django_db

DAY = Granularity.DAY
DAILY = FlyteArtifact(name="daily", time_partitioned=True, time_partition_granularity=DAY, partition_keys=["region"])


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


def packed(trigger: artifact_id_pb2.ArtifactID, **queries: artifact_id_pb2.ArtifactQuery) -> any_pb2.Any:
    """Field 1 and field 2 of the message, tag by tag, in an Any within an Any as flytekit packs it."""
    parameters = {name: interface_pb2.Parameter(artifact_query=query) for name, query in queries.items()}
    first, second = trigger.SerializeToString(), interface_pb2.ParameterMap(parameters=parameters).SerializeToString()
    value = b"".join(bytes([tag]) + _length(part) + part for tag, part in ((0x0A, first), (0x12, second)))
    inner = any_pb2.Any(type_url="type.googleapis.com/flyteidl.artifact.Trigger", value=value)
    outer = any_pb2.Any()
    outer.Pack(inner)
    return outer


def _length(part: bytes) -> bytes:
    count, found = len(part), b""
    while count > 0x7F:
        found, count = found + bytes([count & 0x7F | 0x80]), count >> 7
    return found + bytes([count])


def activate(plan: LaunchPlan, conditions: any_pb2.Any) -> Trigger:
    """Gives the registered launch plan these conditions and makes them active, long since."""
    Trigger.objects.filter(launch_plan=plan).delete()
    plan_of.cache_clear()
    spec = launch_plan_pb2.LaunchPlanSpec.FromString(bytes(plan.spec))
    spec.entity_metadata.launch_conditions.CopyFrom(conditions)
    plan.spec = spec.SerializeToString()
    plan.save(update_fields=["spec"])
    trigger = attach(plan)
    assert trigger is not None
    Trigger.objects.update(active=True, activated_at=datetime(2020, 1, 1, tzinfo=timezone.utc))
    trigger.sources.update(active=True)
    return trigger


def daily(number: int, day: int, region: str = "SEA") -> ArtifactVersion:
    at = datetime(2026, 5, day, tzinfo=timezone.utc)
    metadata = {"_uap": at_run_time({"region": region}, at, int(DAY))}
    published = publish_output(DAILY, integer(number, metadata), execution=f"e{number}", at=at)
    return published.versions[0][1]


def watched() -> artifact_id_pb2.ArtifactID:
    """As its Artifact.to_id_idl writes it: keys without a value, a time partition without one."""
    found = artifact_id_pb2.ArtifactID(artifact_key=artifact_id_pb2.ArtifactKey(name="daily"))
    found.partitions.value["region"].static_value = ""
    found.time_partition.SetInParent()
    return found


def test_the_triggering_artifact_and_a_query_for_the_day_before() -> None:
    before = artifact_id_pb2.ArtifactID(artifact_key=artifact_id_pb2.ArtifactKey(name="daily"))
    before.partitions.value["region"].triggered_binding.partition_key = "region"
    binding = before.time_partition.value.triggered_binding
    binding.bind_to_time_partition = True
    binding.time_transform.transform, binding.time_transform.op = "P1D", artifact_id_pb2.MINUS
    conditions = packed(
        watched(),
        a=artifact_id_pb2.ArtifactQuery(binding=artifact_id_pb2.ArtifactBindingData()),
        b=artifact_id_pb2.ArtifactQuery(artifact_id=before),
    )
    activate(register_plan(None, two_inputs), conditions)
    daily(1, 1)
    daily(9, 1, region="LAX")
    evaluate_version(daily(2, 2).pk)
    given = inputs_of(Execution.objects.get())
    assert {name: value(literal) for name, literal in given.items()} == {"a": 2, "b": 1}


def test_a_time_partition_with_an_offset() -> None:
    moved = artifact_id_pb2.ArtifactBindingData(bind_to_time_partition=True)
    moved.time_transform.transform, moved.time_transform.op = "P1DT2H", artifact_id_pb2.PLUS
    conditions = packed(
        watched(),
        n=artifact_id_pb2.ArtifactQuery(binding=artifact_id_pb2.ArtifactBindingData()),
        at=artifact_id_pb2.ArtifactQuery(binding=moved),
    )
    activate(register_plan(None, with_time), conditions)
    evaluate_version(daily(1, 3).pk)
    assert value(inputs_of(Execution.objects.get())["at"]) == "2026-05-04T02:00:00Z"


def test_a_query_to_trigger_on() -> None:
    only = watched()
    only.partitions.value["region"].static_value = "LAX"
    query = artifact_id_pb2.ArtifactQuery(binding=artifact_id_pb2.ArtifactBindingData())
    activate(register_plan(None), packed(only, n=query))
    for number, region in ((1, "SEA"), (2, "LAX")):
        evaluate_version(daily(number, 1, region).pk)
    assert value(inputs_of(Execution.objects.get())["n"]) == 2
