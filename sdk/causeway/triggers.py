"""`OnArtifact`: run a launch plan whenever a new version of an artifact is published.

On the wire a trigger is `flyteidl.artifact.Trigger` in the launch plan's `launch_conditions`: which artifact (and
partition values) to watch, and for each workflow input a parameter that says how the control plane finds its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flyteidl.core import artifact_id_pb2, interface_pb2
from flytekit.core.artifact import Artifact, ArtifactQuery, Partition, Partitions, TimePartition
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.launch_plan import LaunchPlan
from flytekit.core.schedule import LaunchPlanTriggerBase
from flytekit.core.type_engine import TypeEngine
from google.protobuf.message import Message

from causeway import wire


class OnArtifact(LaunchPlanTriggerBase):  # type: ignore[misc]
    """Launch when a version of `trigger_on` is published.

    :param trigger_on: an artifact (any version fires), or a query on one: only versions with the query's partition
        values fire, e.g. `Dataset.query(region="SEA")`.
    :param inputs: how to fill the workflow's inputs: the triggering artifact itself (`Dataset`), its time partition
        (`Dataset.time_partition - timedelta(hours=1)`), one of its partition values (`Dataset.partitions.region`), a
        query (partitions it leaves open on the triggering artifact follow the triggering version), another artifact
        (its newest version), or a constant. Inputs left out use the launch plan's own defaults, query defaults
        included.
    :raises ValueError: for a trigger or an input that could never be resolved.
    """

    def __init__(self, trigger_on: Artifact | ArtifactQuery, inputs: Mapping[str, Any] | None = None):
        if not isinstance(trigger_on, Artifact | ArtifactQuery):
            raise ValueError(f"trigger_on must be an Artifact or a query on one, not {type(trigger_on).__name__}")
        if inputs is not None and not isinstance(inputs, Mapping):
            raise ValueError(
                f"inputs must map input names to artifacts, queries or constants, not {type(inputs).__name__}"
            )
        self.trigger_on = trigger_on
        self.artifact: Artifact = trigger_on if isinstance(trigger_on, Artifact) else trigger_on.artifact
        self.inputs = dict(inputs or {})

    def to_flyte_idl(self, launch_plan: LaunchPlan, *args: Any, **kwargs: Any) -> Message:
        """The `flyteidl.artifact.Trigger` of this trigger on `launch_plan`, as flytekit asks for at registration."""
        trigger: Message = wire.Trigger(
            trigger=self._watched().SerializeToString(),
            trigger_inputs=self._parameters(launch_plan).SerializeToString(deterministic=True),
        )
        return trigger

    def _is_trigger(self, artifact: Artifact | None) -> bool:
        """Whether it names the triggering artifact; teams may each declare their own `Artifact` object of one name."""
        return artifact is self.artifact or (
            artifact is not None
            and (artifact.name, artifact.project, artifact.domain)
            == (self.artifact.name, self.artifact.project, self.artifact.domain)
        )

    def _watched(self) -> artifact_id_pb2.ArtifactID:
        values: dict[str, artifact_id_pb2.LabelValue] = {}
        asked = self.trigger_on.partitions if isinstance(self.trigger_on, ArtifactQuery) else None
        for key, partition in _items(asked).items():
            if partition.value is None:
                continue
            if not partition.value.HasField("static_value"):
                raise ValueError(f"trigger_on: partition {key!r} of {self.artifact.name} must be a constant string")
            values[key] = partition.value
        if unknown := sorted(set(values) - set(self.artifact.partition_keys or [])):
            raise ValueError(
                f"trigger_on: {self.artifact.name} has no partition {', '.join(unknown)}; "
                f"its keys are {', '.join(self.artifact.partition_keys or []) or 'none'}"
            )
        return artifact_id_pb2.ArtifactID(
            artifact_key=_key(self.artifact),
            partitions=artifact_id_pb2.Partitions(value=values) if values else None,
        )

    def _parameters(self, launch_plan: LaunchPlan) -> interface_pb2.ParameterMap:
        python_types, variables = launch_plan.python_interface.inputs, launch_plan.interface.inputs
        if unknown := sorted(set(self.inputs) - set(variables)):
            raise ValueError(
                f"OnArtifact of {launch_plan.name}: {', '.join(unknown)} is no input of the workflow; "
                f"its inputs are {', '.join(sorted(variables)) or 'none'}"
            )
        parameters = {}
        for name, value in self.inputs.items():
            variable = variables[name].to_flyte_idl()
            query = self._query(name, value)
            if query is not None:
                parameters[name] = interface_pb2.Parameter(var=variable, artifact_query=query)
            else:
                context = FlyteContextManager.current_context()
                literal = TypeEngine.to_literal(context, value, python_types[name], variables[name].type)
                parameters[name] = interface_pb2.Parameter(var=variable, default=literal.to_flyte_idl())
        return interface_pb2.ParameterMap(parameters=parameters)

    def _query(self, name: str, value: Any) -> artifact_id_pb2.ArtifactQuery | None:
        """How the control plane finds the input, or None for a constant."""
        if isinstance(value, Artifact):
            if self._is_trigger(value):
                return artifact_id_pb2.ArtifactQuery(binding=artifact_id_pb2.ArtifactBindingData())
            return self._artifact_query(name, value.query())
        if isinstance(value, ArtifactQuery):
            return self._artifact_query(name, value)
        if isinstance(value, TimePartition):
            return artifact_id_pb2.ArtifactQuery(binding=self._time_binding(name, value))
        if isinstance(value, Partition):
            return artifact_id_pb2.ArtifactQuery(binding=self._partition_binding(name, value))
        return None

    def _artifact_query(self, name: str, query: ArtifactQuery) -> artifact_id_pb2.ArtifactQuery:
        partitions: dict[str, artifact_id_pb2.LabelValue] = {}
        if self._is_trigger(query.artifact):
            # Keys that a query on the triggering artifact leaves open follow the version that fired.
            for key in query.artifact.partition_keys or []:
                follow = artifact_id_pb2.ArtifactBindingData(partition_key=key)
                partitions[key] = artifact_id_pb2.LabelValue(triggered_binding=follow)
        for key, partition in _items(query.partitions).items():
            if partition.value is not None:
                partitions[key] = partition.value
            elif partition.reference_artifact is not query.artifact:
                bound = self._partition_binding(name, partition)
                partitions[key] = artifact_id_pb2.LabelValue(triggered_binding=bound)
        return artifact_id_pb2.ArtifactQuery(
            artifact_id=artifact_id_pb2.ArtifactID(
                artifact_key=artifact_id_pb2.ArtifactKey(project=query.project, domain=query.domain, name=query.name),
                partitions=artifact_id_pb2.Partitions(value=partitions) if partitions else None,
                time_partition=self._time_partition(name, query),
            )
        )

    def _time_partition(self, name: str, query: ArtifactQuery) -> artifact_id_pb2.TimePartition | None:
        asked = query.time_partition
        if asked is None:
            return None
        if asked.value is not None:
            if asked.op is not None:
                raise ValueError(
                    f"input {name!r}: only the time partition of {self.artifact.name} takes +/- a timedelta"
                )
            return artifact_id_pb2.TimePartition(value=asked.value, granularity=asked.granularity)
        if not self._is_trigger(asked.reference_artifact):
            return None  # any time partition of another artifact: the newest
        if asked.op is None and self._is_trigger(query.artifact) and query.artifact is asked.reference_artifact:
            # `Trigger.query()` alone: follow the version that fired, as its other partitions do.
            binding = artifact_id_pb2.ArtifactBindingData(bind_to_time_partition=True)
        else:
            binding = self._time_binding(name, asked)
        return artifact_id_pb2.TimePartition(
            value=artifact_id_pb2.LabelValue(triggered_binding=binding), granularity=asked.granularity
        )

    def _time_binding(self, name: str, value: TimePartition) -> artifact_id_pb2.ArtifactBindingData:
        if not self._is_trigger(value.reference_artifact):
            other = value.reference_artifact.name if value.reference_artifact else "nothing"
            raise ValueError(f"input {name!r}: a time partition must be that of {self.artifact.name}, not of {other}")
        transform = None
        if value.op is not None and isinstance(value.other, timedelta):
            transform = artifact_id_pb2.TimeTransform(transform=isoformat(value.other), op=value.op)
        return artifact_id_pb2.ArtifactBindingData(bind_to_time_partition=True, time_transform=transform)

    def _partition_binding(self, name: str, value: Partition) -> artifact_id_pb2.ArtifactBindingData:
        if not self._is_trigger(value.reference_artifact):
            other = value.reference_artifact.name if value.reference_artifact else "nothing"
            raise ValueError(f"input {name!r}: a partition must be that of {self.artifact.name}, not of {other}")
        return artifact_id_pb2.ArtifactBindingData(partition_key=value.name)


def _items(partitions: Partitions | None) -> dict[str, Partition]:
    return dict(partitions.partitions or {}) if partitions is not None else {}


def _key(artifact: Artifact) -> artifact_id_pb2.ArtifactKey:
    # Project and domain stay empty when the user gave none: the control plane binds them at registration.
    return artifact_id_pb2.ArtifactKey(project=artifact.project, domain=artifact.domain, name=artifact.name)


def isoformat(duration: timedelta) -> str:
    """ISO 8601: `PT1H`, `P1DT30M`, `-PT15S`.

    >>> isoformat(timedelta(days=1, minutes=30))
    'P1DT30M'
    """
    seconds = duration.total_seconds()
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    date = f"{int(days)}D" if days else ""
    time = "".join(f"{value:g}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value)
    return f"{sign}P{date}" + (f"T{time}" if time or not date else "") + ("" if time or date else "0S")
