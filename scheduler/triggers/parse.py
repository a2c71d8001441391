"""What a launch plan's `launch_conditions` asks for, checked as far as it can be without the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flyteidl.core import artifact_id_pb2, interface_pb2
from google.protobuf import any_pb2

from artifacts import wire
from artifacts.exceptions import InvalidArgument
from artifacts.names import check_name, check_partition_keys, check_partition_value


@dataclass(frozen=True)
class TriggerSpec:
    """The artifact a trigger watches, the partition values that fire it, and how it fills inputs of the launch plan."""

    project: str
    domain: str
    name: str
    partitions: Mapping[str, str]
    inputs: Mapping[str, interface_pb2.Parameter]


def trigger_from(conditions: any_pb2.Any, *, project: str, domain: str) -> TriggerSpec:
    """InvalidArgument says what is wrong. A missing project or domain is the launch plan's."""
    artifact, inputs = wire.decode_trigger(conditions)
    key = artifact.artifact_key
    if not key.name:
        raise InvalidArgument("the trigger names no artifact")
    if artifact.version:
        raise InvalidArgument(f"a trigger watches an artifact, not one version of it ({key.name}@{artifact.version})")
    if artifact.time_partition.value.WhichOneof("value") is not None:
        raise InvalidArgument(f"a trigger cannot watch a single time partition of {key.name}")
    check_partition_keys(artifact.partitions.value)
    return TriggerSpec(
        project=key.project or project,
        domain=key.domain or domain,
        name=check_name(key.name),
        partitions=_watched(artifact),
        inputs=inputs,
    )


def _watched(artifact: artifact_id_pb2.ArtifactID) -> dict[str, str]:
    watched = {}
    for key, label in artifact.partitions.value.items():
        kind = label.WhichOneof("value")
        if kind not in (None, "static_value", "runtime_binding"):
            raise InvalidArgument(f"the trigger's partition '{key}' must be a constant: it decides which versions fire")
        if kind == "static_value" and label.static_value:  # "" is how flytekit writes an open key
            watched[key] = check_partition_value(key, label.static_value)
    return watched
