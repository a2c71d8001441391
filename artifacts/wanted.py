"""An artifact query with every binding filled in: what is wanted, in plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flyteidl.core import artifact_id_pb2, literals_pb2

from artifacts.addresses import parse_address
from artifacts.exceptions import InvalidArgument
from artifacts.models import ArtifactVersion
from artifacts.partitions import format_time, label_time, literal_as_text, literal_as_time, parse_time, shift
from artifacts.wire import PASSED, QUERY_MOMENTS, more_of_query, transform_of_input


@dataclass(frozen=True)
class Wanted:
    """`partitions` holds only the keys that were asked for. Fields left empty do not restrict."""

    project: str
    domain: str
    name: str
    version: str = ""
    alias: str = ""
    partitions: Mapping[str, str] = field(default_factory=dict)
    time_partition: datetime | None = None  # not truncated yet: that needs the artifact's granularity
    time_from: datetime | None = None  # time partition at or after
    time_before: datetime | None = None  # time partition before
    created_before: datetime | None = None  # the newest as of then
    passed: bool = False  # no check blocks it
    quarantined: bool = False  # quarantined ones too

    def conditions(self) -> str:
        """`region=SEA, time partition 2026-01-01T00:00:00Z`, empty when anything would do."""
        said = [f"{key}={value}" for key, value in sorted(self.partitions.items())]
        for label, moment in (
            ("time partition", self.time_partition),
            ("time partition from", self.time_from),
            ("time partition before", self.time_before),
            ("created before", self.created_before),
        ):
            if moment is not None:
                said.append(f"{label} {format_time(moment)}")
        if self.passed:
            said.append("checks passed")
        return ", ".join(said)


Inputs = Mapping[str, literals_pb2.Literal]


def read_query(
    query: artifact_id_pb2.ArtifactQuery,
    *,
    project: str,
    domain: str,
    inputs: Inputs,
    trigger: ArtifactVersion | None = None,
) -> Wanted:
    """What the query wants. A missing project or domain is the given one; InvalidArgument for a binding to nothing."""
    kind = query.WhichOneof("identifier")
    if kind == "artifact_id":
        wanted = read_artifact_id(query.artifact_id, project=project, domain=domain, inputs=inputs, trigger=trigger)
        return _with_more(wanted, more_of_query(query), inputs)
    if kind == "artifact_tag":
        key = query.artifact_tag.artifact_key
        alias = _text(query.artifact_tag.value, inputs, trigger) or "latest"
        return Wanted(key.project or project, key.domain or domain, _name(key.name), alias=alias)
    if kind == "uri":
        address = parse_address(query.uri)
        return Wanted(
            address.project,
            address.domain,
            address.name,
            version=address.version,
            alias=address.alias,
            partitions=address.partitions,
            time_partition=parse_time(address.time_partition) if address.time_partition else None,
        )
    if kind == "binding":
        if trigger is None:
            raise InvalidArgument("only the inputs of a trigger can be bound to the triggering artifact")
        return Wanted(*trigger.artifact.key, version=trigger.version)
    raise InvalidArgument("the artifact query is empty: give an artifact, a tag, a flyte:// address or a binding")


def _with_more(wanted: Wanted, more: Mapping[str, Any], inputs: Inputs) -> Wanted:
    if not more:
        return wanted
    moments: dict[str, Any] = {}
    for key in QUERY_MOMENTS:
        if isinstance(value := more.get(key), dict):
            label = artifact_id_pb2.LabelValue(input_binding=artifact_id_pb2.InputBindingData(var=value["input"]))
            moments[key] = literal_as_time(_bound(label, inputs), name=value["input"])
        elif value:
            moments[key] = parse_time(value)
    return replace(
        wanted,
        alias=more.get("alias", ""),
        passed=more.get("checks") == PASSED,
        quarantined=more.get("quarantined") == "yes",
        **moments,
    )


def inputs_asked(query: artifact_id_pb2.ArtifactQuery) -> Iterator[str]:
    """The inputs that the query is bound to: they need their values first."""
    if query.WhichOneof("identifier") == "artifact_tag":
        labels = [query.artifact_tag.value]
    else:
        labels = [*query.artifact_id.partitions.value.values(), query.artifact_id.time_partition.value]
    yield from (label.input_binding.var for label in labels if label.HasField("input_binding"))
    yield from (value["input"] for value in more_of_query(query).values() if isinstance(value, dict))


def read_artifact_id(
    wanted: artifact_id_pb2.ArtifactID,
    *,
    project: str,
    domain: str,
    inputs: Inputs,
    trigger: ArtifactVersion | None = None,
) -> Wanted:
    key = wanted.artifact_key
    asked = {name: _text(label, inputs, trigger) for name, label in wanted.partitions.value.items()}
    return Wanted(
        project=key.project or project,
        domain=key.domain or domain,
        name=_name(key.name),
        version=wanted.version,
        partitions={name: value for name, value in asked.items() if value},  # "" is how flytekit writes an open key
        time_partition=_moment(wanted.time_partition.value, inputs, trigger),
    )


def _name(name: str) -> str:
    if not name:
        raise InvalidArgument("the artifact query names no artifact")
    return name


def _triggering(trigger: ArtifactVersion | None) -> ArtifactVersion:
    if trigger is None:
        raise InvalidArgument("the query is bound to a triggering artifact, but nothing triggered this launch")
    return trigger


def _bound(label: artifact_id_pb2.LabelValue, inputs: Inputs) -> literals_pb2.Literal:
    name = label.input_binding.var
    if name not in inputs:
        raise InvalidArgument(f"the query is bound to input '{name}', which has no value")
    return inputs[name]


def triggered_text(binding: artifact_id_pb2.ArtifactBindingData, trigger: ArtifactVersion) -> str:
    """The partition value, or the time partition as text, of the triggering version that the binding points to."""
    if binding.WhichOneof("partition_data") == "partition_key":
        value = trigger.partitions.get(binding.partition_key)
        if value is None:
            raise InvalidArgument(
                f"{trigger.artifact.name} has no partition '{binding.partition_key}'; its partition keys: "
                f"{', '.join(trigger.artifact.partition_keys) or 'none'}"
            )
        return str(value)
    return format_time(triggered_time(binding, trigger))


def triggered_time(binding: artifact_id_pb2.ArtifactBindingData, trigger: ArtifactVersion) -> datetime:
    """The time partition of the triggering version, shifted as the binding says."""
    if binding.WhichOneof("partition_data") == "partition_key":
        moment = parse_time(triggered_text(binding, trigger))
    elif trigger.time_partition is not None:
        moment = trigger.time_partition
    else:
        raise InvalidArgument(
            f"{trigger.artifact.name} is not time partitioned, but a query is bound to its time partition"
        )
    return shift(moment, binding.time_transform)


def _text(label: artifact_id_pb2.LabelValue, inputs: Inputs, trigger: ArtifactVersion | None) -> str:
    kind = label.WhichOneof("value")
    if kind == "input_binding":
        return literal_as_text(_bound(label, inputs), name=label.input_binding.var)
    if kind == "triggered_binding":
        return triggered_text(label.triggered_binding, _triggering(trigger))
    if kind == "time_value":
        return format_time(label_time(label))
    return label.static_value


def _moment(label: artifact_id_pb2.LabelValue, inputs: Inputs, trigger: ArtifactVersion | None) -> datetime | None:
    kind = label.WhichOneof("value")
    if kind == "input_binding":
        moment = literal_as_time(_bound(label, inputs), name=label.input_binding.var)
        return shift(moment, transform_of_input(label.input_binding))
    if kind == "triggered_binding":
        return triggered_time(label.triggered_binding, _triggering(trigger))
    if kind == "time_value":
        return label_time(label)
    if kind == "static_value" and label.static_value:
        return parse_time(label.static_value)
    return None
