"""What a launch over the API may say, and how it becomes a launch request."""

from __future__ import annotations

from typing import Any

from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core import identifier_pb2
from flyteidl.core.execution_pb2 import QualityOfService
from google.protobuf import wrappers_pb2
from rest_framework import serializers

from artifacts.addresses import parse_address
from artifacts.exceptions import InvalidArgument
from artifacts.models import ArtifactVersion
from artifacts.partitions import parse_time
from artifacts.queries import find
from artifacts.wanted import Wanted
from console.access_objects import (
    access_launch_plan,
    access_task,
    access_version,
    access_version_id,
    access_workflow,
    check_present,
)
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.interfaces import literals_for, load_literals
from console.rest.base import Body
from scheduler.actions.launch import LaunchRequest, launch, relaunch
from scheduler.models import Execution, LaunchPlan, Task


class Verbatim(serializers.CharField):
    """A text as it is: blanks at its ends belong to it, and it may be empty."""

    def __init__(self) -> None:
        super().__init__(allow_blank=True, trim_whitespace=False)


TIERS = {tier.lower(): number for tier, number in QualityOfService.Tier.items() if tier != "UNDEFINED"}


class Target(Body):
    name = serializers.CharField()
    version = serializers.CharField(required=False, help_text="default: the active one, else the newest")
    project = serializers.CharField(required=False, help_text="default: the execution's")
    domain = serializers.CharField(required=False, help_text="default: the execution's")


class RelaunchBody(Body):
    name = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=63,
        help_text="of the execution; launching the same name twice is refused with 409. Default: generated",
    )
    inputs = serializers.DictField(required=False, default=dict, help_text="JSON values by input name")
    texts = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False),
        required=False,
        default=dict,
        help_text="what a person typed, by input name: read as the input's type wants it, not as it looks",
    )
    artifacts = serializers.DictField(
        child=serializers.JSONField(),
        required=False,
        default=dict,
        help_text="artifact versions by input name: an id, a flyte:// address, or {project, domain, name, version}",
    )


class LaunchBody(RelaunchBody):
    project = serializers.CharField()
    domain = serializers.CharField()
    launch_plan = Target(required=False)
    workflow = Target(required=False)
    task = Target(required=False)
    labels = serializers.DictField(child=serializers.CharField(), required=False, default=dict)
    annotations = serializers.DictField(child=Verbatim(), required=False, default=dict)
    env = serializers.DictField(child=Verbatim(), required=False, default=dict)
    overwrite_cache = serializers.BooleanField(required=False, default=False)
    interruptible = serializers.BooleanField(required=False, allow_null=True, default=None)
    max_parallelism = serializers.IntegerField(required=False, default=0, min_value=0, max_value=100_000)
    priority = serializers.ChoiceField(
        choices=sorted(TIERS), required=False, help_text="the tier of its quality of service: whose turn comes first"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if sum(kind in attrs for kind in ("launch_plan", "workflow", "task")) != 1:
            raise serializers.ValidationError("give exactly one of launch_plan, workflow and task")
        return attrs


def launch_from(body: dict[str, Any], *, user: User) -> Execution:
    """Raises what `launch` raises, and NotFound or PermissionDenied."""
    project, domain = body["project"], body["domain"]
    access.require_found(user, Action.LAUNCH, project, domain, what=f"project {project} with domain {domain}")
    entity = _entity(user, body)
    inputs = literals_for(entity, body["inputs"], _versions(user, body["artifacts"]), body["texts"])
    resource_type = identifier_pb2.TASK if isinstance(entity, Task) else identifier_pb2.LAUNCH_PLAN
    spec = execution_pb2.ExecutionSpec(
        launch_plan=identifier_pb2.Identifier(
            resource_type=resource_type,
            project=entity.project,
            domain=entity.domain,
            name=entity.name,
            version=entity.version,
        ),
        metadata=execution_pb2.ExecutionMetadata(principal=user.username),
        labels=common_pb2.Labels(values=body["labels"]),
        annotations=common_pb2.Annotations(values=body["annotations"]),
        overwrite_cache=body["overwrite_cache"],
        max_parallelism=body["max_parallelism"],
    )
    for key, value in sorted(body["env"].items()):
        spec.envs.values.add(key=key, value=value)
    if "priority" in body:
        spec.quality_of_service.tier = TIERS[body["priority"]]  # type: ignore[assignment]
    if body["interruptible"] is not None:
        spec.interruptible.CopyFrom(wrappers_pb2.BoolValue(value=body["interruptible"]))
    request = LaunchRequest(project=project, domain=domain, name=body["name"], spec=spec, inputs=inputs)
    execution = launch(request, actor=user.username)
    if isinstance(entity, LaunchPlan):  # whoever shows it need not look them up
        execution.launch_plan, execution.workflow = entity, entity.workflow
    return execution


def _entity(user: User, body: dict[str, Any]) -> LaunchPlan | Task:
    """The launch plan or task to launch; a workflow stands for the launch plan that bears its name and version."""
    kind = next(kind for kind in ("launch_plan", "workflow", "task") if kind in body)
    target = body[kind]
    project, domain = target.get("project", body["project"]), target.get("domain", body["domain"])
    name, version = target["name"], target.get("version")
    if kind == "task":
        return access_task(user, project, domain, name, version)
    if kind == "workflow":
        version = access_workflow(user, project, domain, name, version).version
    return access_launch_plan(user, project, domain, name, version)


def _versions(user: User, references: dict[str, Any]) -> dict[str, ArtifactVersion]:
    versions = {name: _version(user, name, reference) for name, reference in references.items()}
    for version in versions.values():
        check_present(version)
    return versions


def _version(user: User, name: str, reference: Any) -> ArtifactVersion:
    if isinstance(reference, int) and not isinstance(reference, bool):
        return access_version_id(user, reference)
    if isinstance(reference, str):
        return _addressed(user, reference)
    parts = ("project", "domain", "name", "version")
    if isinstance(reference, dict) and set(reference) == set(parts):
        return access_version(user, *(str(reference[part]) for part in parts))
    raise InvalidArgument(f"artifacts.{name} must be an id, a flyte:// address, or an object with {', '.join(parts)}")


def _addressed(user: User, text: str) -> ArtifactVersion:
    address = parse_address(text)
    what = f"artifact {address.project}/{address.domain}/{address.name}"
    access.require_found(user, Action.READ, address.project, address.domain, what=what)
    wanted = Wanted(
        address.project,
        address.domain,
        address.name,
        version=address.version,
        alias=address.alias,
        partitions=address.partitions,
        time_partition=parse_time(address.time_partition) if address.time_partition else None,
    )
    return find(wanted, may_read=access.may_read(user)).version


def relaunch_from(execution: Execution, body: dict[str, Any], *, user: User) -> Execution:
    entity = execution.task or execution.launch_plan or execution.workflow
    earlier = load_literals(execution.inputs_uri).literals if body["inputs"] else {}
    inputs = literals_for(entity, body["inputs"], _versions(user, body["artifacts"]), body["texts"], earlier)
    return relaunch(execution, name=body["name"], inputs=inputs, actor=user.username)
