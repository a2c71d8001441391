"""`OnArtifact`: run a launch plan whenever a new version of an artifact is published.

On the wire a trigger is `flyteidl.artifact.Trigger` in the launch plan's `launch_conditions`: which artifact (and
partition values) to watch, and for each workflow input a parameter that says how the control plane finds its value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from flyteidl.core import artifact_id_pb2, interface_pb2
from flytekit.core.artifact import Artifact, ArtifactQuery, Partition, Partitions, TimePartition
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.launch_plan import LaunchPlan
from flytekit.core.schedule import LaunchPlanTriggerBase
from flytekit.core.type_engine import TypeEngine
from google.protobuf.message import Message

from causeway import wire
from causeway.queries import complete
from causeway.times import transform_of

Watched: TypeAlias = Artifact | ArtifactQuery
TIME_PARTITION = "time_partition"


class AllOf:
    """A launch for each round of one version of every artifact.

    :param artifacts: two or more artifacts, or queries on them that say which versions count.
    :param on: what the versions of a round share: a partition key, `"time_partition"`, or several; nothing: any
        versions make a round. Times of different granularity are compared in the coarser one: every hour makes a round
        with the newest version of its day, whichever came first.
    :param window: how long a round waits for the others, from the publication of its first version on; then it expires
        and the ledger says so. None: for ever.
    """

    def __init__(self, *artifacts: Watched, on: str | Sequence[str] = (), window: timedelta | None = None):
        self.artifacts = _watched_list("AllOf", artifacts)
        self.on = [on] if isinstance(on, str) else list(on)
        self.window = window
        if len(artifacts) < 2:
            raise ValueError("AllOf takes two or more artifacts")
        if window is not None and window <= timedelta(0):
            raise ValueError("AllOf: the window must be longer than nothing")
        for artifact in map(_artifact_of, self.artifacts):
            for key in self.on:
                has = artifact.time_partitioned if key == TIME_PARTITION else key in (artifact.partition_keys or [])
                if not has:
                    raise ValueError(f"AllOf(on=...): {artifact.name} has no {key}")


class AnyOf:
    """A launch for every version of any of the artifacts.

    :param artifacts: artifacts, or queries on them that say which versions count.
    """

    def __init__(self, *artifacts: Watched):
        self.artifacts = _watched_list("AnyOf", artifacts)
        if not artifacts:
            raise ValueError("AnyOf takes one or more artifacts")


def _watched_list(what: str, artifacts: Sequence[Any]) -> list[Watched]:
    for one in artifacts:
        if not isinstance(one, Artifact | ArtifactQuery):
            raise ValueError(f"{what} takes artifacts and queries on them, not {type(one).__name__}")
    return list(artifacts)


def _artifact_of(watched: Watched) -> Artifact:
    return watched if isinstance(watched, Artifact) else watched.artifact


class OnArtifact(LaunchPlanTriggerBase):  # type: ignore[misc]
    """Launch when a version of `trigger_on` is published.

    :param trigger_on: an artifact (any version fires), a query on one (only versions with the query's partition values
        fire, e.g. `Dataset.query(region="SEA")`), or `AllOf` or `AnyOf` several of these.
    :param inputs: how to fill the workflow's inputs: the triggering artifact itself (`Dataset`), its time partition
        (`Dataset.time_partition - timedelta(hours=1)`, `start_of("day", Dataset.time_partition)`), one of its
        partition values (`Dataset.partitions.region`), a query (partitions it leaves open on the triggering artifact
        follow the triggering version), another artifact (its newest version), or a constant. Inputs left out use the
        launch plan's own defaults, query defaults included. An input whose query finds nothing gets the launch plan's
        default, None if it is `Optional`; any other waits for a version.
    :param rate_limit: at most so many launches in such a time, e.g. `(10, timedelta(hours=1))`.
    :param max_concurrent: at most so many triggered executions of the launch plan that have not ended.
    :param on_limit: `"queue"` (wait for a turn, in order), `"skip"`, or `"replace"` (abort the oldest that runs).
    :param newest_only: of the versions of a partition that wait, launch only for the newest.
    :param checks: `"passed"`: a version that a check blocks launches nothing; it waits while one is to be judged.
    :raises ValueError: for a trigger or an input that could never be resolved.
    """

    def __init__(
        self,
        trigger_on: Watched | AllOf | AnyOf,
        inputs: Mapping[str, Any] | None = None,
        *,
        rate_limit: tuple[int, timedelta] | None = None,
        max_concurrent: int | None = None,
        on_limit: str = "queue",
        newest_only: bool = False,
        checks: str = "",
    ):
        if checks not in ("", "passed"):
            raise ValueError(f"checks must be 'passed', not {checks!r}")
        if not isinstance(trigger_on, Artifact | ArtifactQuery | AllOf | AnyOf):
            raise ValueError(
                "trigger_on must be an Artifact, a query on one, or AllOf or AnyOf of several, "
                f"not {type(trigger_on).__name__}"
            )
        if inputs is not None and not isinstance(inputs, Mapping):
            raise ValueError(
                f"inputs must map input names to artifacts, queries or constants, not {type(inputs).__name__}"
            )
        if on_limit not in ("queue", "skip", "replace"):
            raise ValueError(f"on_limit must be queue, skip or replace, not {on_limit!r}")
        self.trigger_on = trigger_on
        self.watched: list[Watched] = trigger_on.artifacts if isinstance(trigger_on, AllOf | AnyOf) else [trigger_on]
        self.artifact: Artifact = _artifact_of(self.watched[0])
        self.inputs = dict(inputs or {})
        self.rate_limit, self.max_concurrent = rate_limit, max_concurrent
        self.on_limit, self.newest_only = on_limit, newest_only
        self.checks = checks
        self._members: dict[str, int] = {}

    def to_flyte_idl(self, launch_plan: LaunchPlan, *args: Any, **kwargs: Any) -> Message:
        """The `flyteidl.artifact.Trigger` of this trigger on `launch_plan`, as flytekit asks for at registration."""
        self._members = {}
        parameters = self._parameters(launch_plan).SerializeToString(deterministic=True)
        first, *also = [self._watched_id(one) for one in self.watched]
        more = self._more(also)
        trigger: Message = wire.Trigger(
            trigger=first.SerializeToString(),
            trigger_inputs=parameters,
            causeway=json.dumps(more, sort_keys=True) if more else "",
        )
        return trigger

    def _more(self, also: Sequence[artifact_id_pb2.ArtifactID]) -> dict[str, Any]:
        """What the message itself has no field for. Empty for a trigger on one artifact without limits."""
        more: dict[str, Any] = {"also": [_as_json(one) for one in also]} if also else {}
        if isinstance(self.trigger_on, AllOf):
            more["mode"] = "all"
            if self.trigger_on.on:
                more["on"] = self.trigger_on.on
            if self.trigger_on.window is not None:
                more["window"] = self.trigger_on.window.total_seconds()
        if self._members and also:
            more["members"] = self._members
        if self.checks:
            more["checks"] = self.checks
        limits: dict[str, Any] = {}
        if self.rate_limit is not None:
            count, period = self.rate_limit
            limits.update(rate_count=count, rate_seconds=period.total_seconds())
        if self.max_concurrent is not None:
            limits["max_concurrent"] = self.max_concurrent
        if self.newest_only:
            limits["newest_only"] = True
        if self.on_limit != "queue":
            limits["on_limit"] = self.on_limit
        return {**more, "limits": limits} if limits else more

    def _position(self, artifact: Artifact | None) -> int | None:
        """Which of the watched artifacts it names; teams may each declare their own `Artifact` object of one name."""
        for position, watched in enumerate(map(_artifact_of, self.watched)):
            if artifact is watched:
                return position
        for position, watched in enumerate(map(_artifact_of, self.watched)):
            if artifact is not None and _names(artifact) == _names(watched):
                return position
        return None

    def _is_trigger(self, artifact: Artifact | None) -> bool:
        return self._position(artifact) is not None

    def _bind(self, name: str, artifact: Artifact | None) -> None:
        position = self._position(artifact)
        if position is not None and len(self.watched) > 1:
            self._members[name] = position

    def _watched_id(self, watched: Watched) -> artifact_id_pb2.ArtifactID:
        artifact = _artifact_of(watched)
        values: dict[str, artifact_id_pb2.LabelValue] = {}
        asked = watched.partitions if isinstance(watched, ArtifactQuery) else None
        for key, partition in _items(asked).items():
            if partition.value is None:
                continue
            if not partition.value.HasField("static_value"):
                raise ValueError(f"trigger_on: partition {key!r} of {artifact.name} must be a constant string")
            values[key] = partition.value
        if unknown := sorted(set(values) - set(artifact.partition_keys or [])):
            raise ValueError(
                f"trigger_on: {artifact.name} has no partition {', '.join(unknown)}; "
                f"its keys are {', '.join(artifact.partition_keys or []) or 'none'}"
            )
        return artifact_id_pb2.ArtifactID(
            artifact_key=_key(artifact),
            partitions=artifact_id_pb2.Partitions(value=values) if values else None,
            time_partition=_watched_time(watched),
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
            if self._is_trigger(value) and len(self.watched) == 1:
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
        if self._is_trigger(query.artifact) and len(self.watched) == 1:
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
        message = artifact_id_pb2.ArtifactQuery(
            artifact_id=artifact_id_pb2.ArtifactID(
                artifact_key=artifact_id_pb2.ArtifactKey(project=query.project, domain=query.domain, name=query.name),
                partitions=artifact_id_pb2.Partitions(value=partitions) if partitions else None,
                time_partition=self._time_partition(name, query),
            )
        )
        return complete(message, query)

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
        plain = asked.op is None and query.artifact is asked.reference_artifact
        if plain and len(self.watched) > 1:
            return None  # as its partitions: the version of the round, else the newest
        if plain and self._is_trigger(query.artifact):
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
            raise ValueError(f"input {name!r}: a time partition must be that of {self._names()}, not of {other}")
        self._bind(name, value.reference_artifact)
        return artifact_id_pb2.ArtifactBindingData(bind_to_time_partition=True, time_transform=transform_of(value))

    def _names(self) -> str:
        return " or ".join(str(_artifact_of(one).name) for one in self.watched)

    def _partition_binding(self, name: str, value: Partition) -> artifact_id_pb2.ArtifactBindingData:
        if not self._is_trigger(value.reference_artifact):
            other = value.reference_artifact.name if value.reference_artifact else "nothing"
            raise ValueError(f"input {name!r}: a partition must be that of {self._names()}, not of {other}")
        self._bind(name, value.reference_artifact)
        return artifact_id_pb2.ArtifactBindingData(partition_key=value.name)


class OnAlias(OnArtifact):
    """Launch when an alias of `artifact` moves to another version: by hand, by its policy, or when it falls back.

    :param artifact: an artifact, or a query on one: only versions with the query's partition values fire
    :param alias: such as `champion`
    :param inputs: as of `OnArtifact`: the artifact itself is the version that the alias names now
    :param options: as of `OnArtifact`: `checks`, `rate_limit`, `max_concurrent`, `on_limit`, `newest_only`
    :raises ValueError: for a trigger or an input that could never be resolved.
    """

    def __init__(self, artifact: Watched, alias: str, inputs: Mapping[str, Any] | None = None, **options: Any):
        if not isinstance(artifact, Artifact | ArtifactQuery):
            raise ValueError(f"OnAlias takes an artifact or a query on one, not {type(artifact).__name__}")
        if not isinstance(alias, str) or not alias or alias == "latest":
            raise ValueError(f"OnAlias takes the name of an alias that moves, such as 'champion', not {alias!r}")
        super().__init__(artifact, inputs, **options)
        self.alias = alias

    def _more(self, also: Sequence[artifact_id_pb2.ArtifactID]) -> dict[str, Any]:
        return {**super()._more(also), "alias": self.alias}


def _items(partitions: Partitions | None) -> dict[str, Partition]:
    return dict(partitions.partitions or {}) if partitions is not None else {}


def _key(artifact: Artifact) -> artifact_id_pb2.ArtifactKey:
    # Project and domain stay empty when the user gave none: the control plane binds them at registration.
    return artifact_id_pb2.ArtifactKey(project=artifact.project, domain=artifact.domain, name=artifact.name)


def _names(artifact: Artifact) -> tuple[str | None, str | None, str | None]:
    return artifact.name, artifact.project, artifact.domain


def _watched_time(watched: Watched) -> artifact_id_pb2.TimePartition | None:
    """The one time partition that fires, of a query that gives one."""
    asked = watched.time_partition if isinstance(watched, ArtifactQuery) else None
    if asked is None or asked.value is None:
        return None
    if not asked.value.HasField("time_value") or asked.op is not None:
        raise ValueError(f"trigger_on: the time partition of {_artifact_of(watched).name} must be a datetime")
    return artifact_id_pb2.TimePartition(value=asked.value, granularity=asked.granularity)


def _as_json(one: artifact_id_pb2.ArtifactID) -> dict[str, Any]:
    key = one.artifact_key
    found: dict[str, Any] = {"project": key.project, "domain": key.domain, "name": key.name}
    found["partitions"] = {name: label.static_value for name, label in one.partitions.value.items()}
    if one.HasField("time_partition"):
        found["time_partition"] = one.time_partition.value.time_value.ToJsonString()
    return {name: value for name, value in found.items() if value}
