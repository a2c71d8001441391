from __future__ import annotations

import json

import pytest
from causeway import OnArtifact
from flyteidl.core import artifact_id_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact
from google.protobuf import any_pb2

from artifacts import wire
from artifacts.exceptions import InvalidArgument
from scheduler.actions.launch_plans import set_state
from scheduler.models import LaunchPlan, Trigger
from scheduler.triggers.parse import trigger_from
from tests.artifacts.publishing import publish_output
from tests.scheduler.triggers.plans import DATASET, PRIME, register_plan, two_inputs, with_query_default


@pytest.mark.django_db
def test_it_writes_an_inactive_trigger_at_registration() -> None:
    plan = register_plan(OnArtifact(PRIME, inputs={"n": PRIME}))
    trigger = Trigger.objects.get(launch_plan=plan)
    assert (trigger.artifact_project, trigger.artifact_domain, trigger.artifact_name) == (
        "flytesnacks",
        "development",
        "prime",
    )
    assert (trigger.partitions, trigger.active, trigger.activated_at) == ({}, False, None)


@pytest.mark.django_db
def test_it_keeps_the_watched_partition_values() -> None:
    plan = register_plan(OnArtifact(DATASET.query(region="SEA"), inputs={"n": DATASET}))
    assert Trigger.objects.get(launch_plan=plan).partitions == {"region": "SEA"}


@pytest.mark.django_db
def test_it_follows_the_state_of_the_launch_plan() -> None:
    plan = register_plan(OnArtifact(PRIME))
    set_state(plan, LaunchPlan.State.ACTIVE, actor="ada")
    trigger = Trigger.objects.get(launch_plan=plan)
    assert trigger.active and trigger.activated_at is not None
    set_state(plan, LaunchPlan.State.INACTIVE, actor="ada")
    trigger.refresh_from_db()
    assert not trigger.active


@pytest.mark.django_db
def test_a_new_version_takes_over_what_the_old_one_has_not_seen_yet() -> None:
    old = register_plan(OnArtifact(PRIME))
    set_state(old, LaunchPlan.State.ACTIVE, actor="ada")
    new = register_plan(OnArtifact(PRIME), version="v2")
    set_state(new, LaunchPlan.State.ACTIVE, actor="ada")
    before, after = Trigger.objects.get(launch_plan=old), Trigger.objects.get(launch_plan=new)
    assert (before.active, after.active) == (False, True)
    assert after.activated_at == before.activated_at


@pytest.mark.django_db
def test_it_refuses_inputs_that_nothing_provides() -> None:
    with pytest.raises(InvalidArgument, match=r"give the inputs a, b in OnArtifact\(inputs=...\), or a default"):
        register_plan(OnArtifact(PRIME), two_inputs)
    assert not Trigger.objects.exists() and not LaunchPlan.objects.filter(name="on_prime").exists()


@pytest.mark.django_db
def test_it_accepts_a_trigger_without_inputs_when_defaults_provide_them() -> None:
    assert Trigger.objects.filter(launch_plan=register_plan(OnArtifact(PRIME), with_query_default)).exists()


@pytest.mark.django_db
def test_it_refuses_an_input_of_another_type_than_the_artifact_holds() -> None:
    publish_output(FlyteArtifact(name="report"), 1)
    from tests.scheduler.triggers.plans import with_region

    report = FlyteArtifact(name="report")
    with pytest.raises(InvalidArgument, match="input 'region' takes str, but report holds int"):
        register_plan(OnArtifact(report, inputs={"n": 1, "region": report, "count": 2}), with_region)


@pytest.mark.django_db
def test_it_refuses_a_query_on_an_artifact_of_another_type() -> None:
    publish_output(FlyteArtifact(name="report"), 1)
    from tests.scheduler.triggers.plans import with_region

    inputs = {"n": PRIME, "region": FlyteArtifact(name="report").query(), "count": 2}
    with pytest.raises(InvalidArgument, match="input 'region' takes str, but report holds int"):
        register_plan(OnArtifact(PRIME, inputs=inputs), with_region)


@pytest.mark.django_db
def test_it_refuses_partitions_that_the_artifact_does_not_have() -> None:
    publish_output(DATASET(region="SEA"))
    shops = FlyteArtifact(name="ml-dataset", partition_keys=["shop"])
    with pytest.raises(InvalidArgument, match="ml-dataset has no partition shop; its partition keys: region"):
        register_plan(OnArtifact(shops.query(shop="1")))


def conditions(**over: object) -> any_pb2.Any:
    found = any_pb2.Any()
    found.Pack(wire.Trigger(trigger=artifact_id_pb2.ArtifactID(**over)))  # type: ignore[arg-type]
    return found


def more(**said: object) -> any_pb2.Any:
    """A trigger whose field 100 says this."""
    found = conditions(artifact_key=artifact_id_pb2.ArtifactKey(name="prime"))
    text = json.dumps(said).encode()
    found.value += b"\xa2\x06" + len(text).to_bytes(1, "big") + text  # field 100, bytes
    return found


def test_it_understands_what_is_packed_twice_and_any_prefix() -> None:
    inner = conditions(artifact_key=artifact_id_pb2.ArtifactKey(name="prime"))
    inner.type_url = "example.org/flyteidl.artifact.Trigger"
    outer = any_pb2.Any()
    outer.Pack(inner)
    assert trigger_from(outer, project="p", domain="d").sources[0].name == "prime"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (any_pb2.Any(type_url="type.googleapis.com/other.Thing"), "are not understood"),
        (any_pb2.Any(type_url="x/flyteidl.artifact.Trigger", value=b"\xff\xff\xff"), "do not decode"),
        (any_pb2.Any(type_url="x/google.protobuf.Any", value=b"\xff\xff\xff"), "do not decode"),
        (conditions(artifact_key=artifact_id_pb2.ArtifactKey(name="a", project="p" * 65)), "is not a project"),
        (more(also=[{"name": "b", "domain": "d\0"}]), "is not a domain"),
        (more(also=[{"name": "b", "partitions": {"k": 5}}]), "a mapping of partitions"),
        (more(also=[{"name": "b", "partitions": {"k": ["x"]}}]), "a mapping of partitions"),
        (more(also=[{"name": "\ud800"}]), "is not JSON"),
        (conditions(), "names no artifact"),
        (conditions(artifact_key=artifact_id_pb2.ArtifactKey(name="a/b")), "not an artifact name"),
        (conditions(artifact_key=artifact_id_pb2.ArtifactKey(name="a"), version="v1"), "not one version"),
    ],
)
def test_it_refuses_conditions_that_are_no_trigger(conditions: any_pb2.Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        trigger_from(conditions, project="p", domain="d")
