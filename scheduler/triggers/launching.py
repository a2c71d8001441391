"""Launching for a trigger: the same launch as a person's, under a name that trigger and version determine."""

from __future__ import annotations

import hashlib

from flyteidl.admin import execution_pb2
from flyteidl.core import artifact_id_pb2

from artifacts.models import ArtifactVersion
from scheduler import vouching
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.authority import Authority
from scheduler.models import Execution, ExecutionMode, Trigger, TriggerFiring
from scheduler.triggers.kinds import KINDS
from scheduler.triggers.plan import plan_of
from scheduler.triggers.resolve import Fired, TriggerInputs

ACTOR = vouching.TRIGGER  # of what the control plane does about triggers by itself


def execution_name(trigger_id: int, version_id: int) -> str:
    """The one name under which this trigger ever launches for this version: launching twice finds the first."""
    return "t" + hashlib.blake2b(f"{trigger_id}:{version_id}".encode(), digest_size=10).hexdigest()[:19]


def name_for(firing: TriggerFiring) -> str:
    """As execution_name; of what may happen to a version again (an alias names it, a check is asked for), each time."""
    if KINDS[firing.trigger.kind].once:
        return execution_name(firing.trigger_id, firing.version_id)
    named = f"{firing.trigger_id}:happening:{firing.happening_id}"
    return "t" + hashlib.blake2b(named.encode(), digest_size=10).hexdigest()[:19]


def artifact_id_of(version: ArtifactVersion) -> artifact_id_pb2.ArtifactID:
    """The version as FlyteIDL names it."""
    artifact = version.artifact
    found = artifact_id_pb2.ArtifactID(
        artifact_key=artifact_id_pb2.ArtifactKey(project=artifact.project, domain=artifact.domain, name=artifact.name),
        version=version.version,
    )
    for key, value in version.partitions.items():
        found.partitions.value[key].static_value = value
    if version.time_partition is not None:
        found.time_partition.value.time_value.FromDatetime(version.time_partition)
        found.time_partition.granularity = artifact.granularity  # type: ignore[assignment]
    return found


def launch_for(
    trigger: Trigger, fired: Fired, resolved: TriggerInputs, *, authority: Authority, name: str
) -> Execution:
    """Launch the trigger's launch plan with the resolved inputs, in the caller's transaction.

    `authority`: of whoever vouches for it (scheduler.vouching). `name`: by `name_for`.
    """
    version = fired.version
    identifier = plan_of(trigger.pk).launch_plan
    spec = execution_pb2.ExecutionSpec(
        launch_plan=identifier,
        metadata=execution_pb2.ExecutionMetadata(
            mode=execution_pb2.ExecutionMetadata.TRIGGER,
            principal=authority.principal,
            artifact_ids=[artifact_id_of(one) for one in fired.versions()],
        ),
    )
    request = LaunchRequest(
        project=identifier.project,
        domain=identifier.domain,
        name=name,
        spec=spec,
        inputs=resolved.inputs,
    )
    return launch(
        request,
        actor=authority.principal,
        only_in=authority.project,
        mode=ExecutionMode.TRIGGER,
        trigger=version,
        trigger_id=trigger.pk,
        resolved=resolved.versions,
    )
