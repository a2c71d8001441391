"""Triggers come and go with their launch plan: written at registration, switched with its state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime

from flyteidl.core import interface_pb2, types_pb2
from google.protobuf import any_pb2

from artifacts import literals
from artifacts.exceptions import InvalidArgument
from artifacts.models import Artifact
from artifacts.queries import newest_of
from scheduler.models import Contest, LaunchPlan, Trigger, TriggerSource
from scheduler.triggers.kinds import ALIAS
from scheduler.triggers.parse import TIME, Source
from scheduler.triggers.plan import TriggerPlan, conditions_of, plan_of_launch_plan


def attach(launch_plan: LaunchPlan) -> Trigger | None:
    """Write the trigger of a launch plan that is being registered, inactive; None when it has no launch conditions.

    InvalidArgument, before anything is written, for a trigger that could never launch it.
    """
    conditions = conditions_of(launch_plan)
    return give(launch_plan, conditions) if conditions is not None else None


def give(launch_plan: LaunchPlan, conditions: any_pb2.Any, *, contest: Contest | None = None) -> Trigger:
    """Write a trigger of the launch plan, which has none, inactive; the program's own, or one that a contest gives it.

    InvalidArgument as for `attach`.
    """
    plan = plan_of_launch_plan(launch_plan, conditions)
    plan.spec.kind.admit(launch_plan)
    check_types(plan)
    spec, first, limits = plan.spec, plan.spec.sources[0], plan.spec.limits
    alias = spec.of if spec.kind is ALIAS else ""
    trigger = Trigger.objects.create(
        launch_plan=launch_plan,
        artifact_project=first.project,
        artifact_domain=first.domain,
        artifact_name=first.name,
        partitions=dict(first.partitions),
        condition=conditions.SerializeToString(deterministic=True),
        mode=spec.mode,
        join_on=list(spec.join_on),
        window_seconds=spec.window_seconds,
        kind=spec.kind.name,
        alias=alias,
        needs_checks=spec.needs_checks,
        contest=contest,
        **asdict(limits),
    )
    sources = [
        TriggerSource(
            trigger=trigger,
            position=position,
            project=source.project,
            domain=source.domain,
            name=source.name,
            partitions=dict(source.partitions),
            time_partition=source.time_partition,
            alias=alias,
        )
        for position, source in enumerate(spec.sources)
    ]
    TriggerSource.objects.bulk_create(sources)
    return trigger


def check_sources(sources: Iterable[Source | TriggerSource], join_on: Sequence[str]) -> list[Artifact | None]:
    """The watched artifacts, as far as they exist. InvalidArgument where a version could never be what is asked for."""
    return [_check_source(source, join_on) for source in sources]


def check_types(plan: TriggerPlan) -> None:
    """What is known of the artifacts by now must fit: partition keys, and the types of the inputs they fill."""
    watched = check_sources(plan.spec.sources, plan.spec.join_on)
    for name, parameter in plan.sources.items():
        position = plan.spec.members.get(name, 0)
        artifact = watched[position] if takes_triggering(parameter) else _queried(parameter, plan)
        held = _held(artifact) if artifact is not None else None
        if artifact is not None and held is not None and not literals.is_castable(held, parameter.var.type):
            raise InvalidArgument(
                f"input '{name}' takes {literals.describe_type(parameter.var.type)}, but {artifact.name} holds "
                f"{literals.describe_type(held)}"
            )


def _check_source(source: Source | TriggerSource, join_on: Sequence[str]) -> Artifact | None:
    """The watched artifact, if it exists already, with the partitions that the trigger asks of it."""
    watched = Artifact.objects.filter(project=source.project, domain=source.domain, name=source.name).first()
    if watched is None:
        return None
    joined = set(join_on) - {TIME}
    if unknown := sorted((set(source.partitions) | joined) - set(watched.partition_keys)):
        raise InvalidArgument(
            f"{watched.name} has no partition {', '.join(unknown)}; its partition keys: "
            f"{', '.join(watched.partition_keys) or 'none'}"
        )
    if (TIME in join_on or source.time_partition) and not watched.granularity:
        raise InvalidArgument(f"{watched.name} is not time partitioned, but the trigger asks for a time partition")
    return watched


def takes_triggering(parameter: interface_pb2.Parameter) -> bool:
    query = parameter.artifact_query
    return query.WhichOneof("identifier") == "binding" and query.binding.WhichOneof("partition_data") is None


def _queried(parameter: interface_pb2.Parameter, plan: TriggerPlan) -> Artifact | None:
    """The artifact that a query by name means, if it exists already."""
    is_query = parameter.HasField("artifact_query")
    key = (parameter.artifact_query.artifact_id if is_query else parameter.artifact_id).artifact_key
    if not key.name:
        return None
    project, domain = key.project or plan.launch_plan.project, key.domain or plan.launch_plan.domain
    return Artifact.objects.filter(project=project, domain=domain, name=key.name).first()


def _held(artifact: Artifact) -> types_pb2.LiteralType | None:
    """The type that the artifact's newest version has."""
    newest = newest_of(artifact)
    return types_pb2.LiteralType.FromString(bytes(newest.literal_type)) if newest is not None else None


def begin_of(replaced: Iterable[LaunchPlan], *, at: datetime) -> datetime:
    """From when on published versions fire a trigger activated at `at` in the place of active ones.

    Versions published but not evaluated yet when one version of a launch plan takes over from another fire the new one.
    """
    begins = Trigger.objects.filter(launch_plan__in=list(replaced), active=True).values_list("activated_at", flat=True)
    return min((begin for begin in begins if begin is not None), default=at)
