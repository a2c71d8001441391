"""Which matchable attributes hold somewhere, and how settings of several levels become one.

The rules of flyteadmin: of each kind the most specific row counts alone (workflow, then domain of a project, then
project), but what an execution's settings leave open there the project's still fill
(ExecutionManager.getExecutionConfig).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from flyteidl.admin import execution_pb2, launch_plan_pb2, matchable_resource_pb2
from flyteidl.core import security_pb2

from artifacts.arrays import array_of
from artifacts.exceptions import InvalidArgument, NotFound
from scheduler.models import MatchableAttributes
from scheduler.statements import select

Config = matchable_resource_pb2.WorkflowExecutionConfig
TASK_RESOURCE = matchable_resource_pb2.TASK_RESOURCE
WORKFLOW_EXECUTION_CONFIG = matchable_resource_pb2.WORKFLOW_EXECUTION_CONFIG
CLUSTER_LABEL = matchable_resource_pb2.EXECUTION_CLUSTER_LABEL
CLUSTER_ASSIGNMENT = matchable_resource_pb2.CLUSTER_ASSIGNMENT
# The field of admin.MatchingAttributes for each kind. As in flyteadmin a quality of service cannot be set.
FIELDS = {
    matchable_resource_pb2.TASK_RESOURCE: "task_resource_attributes",
    matchable_resource_pb2.CLUSTER_RESOURCE: "cluster_resource_attributes",
    matchable_resource_pb2.EXECUTION_QUEUE: "execution_queue_attributes",
    matchable_resource_pb2.EXECUTION_CLUSTER_LABEL: "execution_cluster_label",
    matchable_resource_pb2.PLUGIN_OVERRIDE: "plugin_overrides",
    matchable_resource_pb2.WORKFLOW_EXECUTION_CONFIG: "workflow_execution_config",
    matchable_resource_pb2.CLUSTER_ASSIGNMENT: "cluster_assignment",
}


@dataclass(frozen=True)
class Place:
    project: str
    domain: str = ""
    workflow: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.project, self.domain, self.workflow) if part)


@dataclass(frozen=True)
class Applied:
    """What holds for an execution: `configs`, the first one wins, defaults and limits of its tasks' resources, and what
    the clusters it may go to are asked for by."""

    configs: tuple[Config, ...] = ()
    task_resources: matchable_resource_pb2.TaskResourceAttributes | None = None
    cluster_label: str = ""
    cluster_pool: str = ""


def kind_name(kind: int) -> str:
    """InvalidArgument for a number that is no kind of attributes."""
    if kind not in FIELDS:
        raise InvalidArgument(f"there are no attributes of kind {kind}; there are: {', '.join(kind_names())}")
    return matchable_resource_pb2.MatchableResource.Name(kind)


def kind_names() -> list[str]:
    return [matchable_resource_pb2.MatchableResource.Name(kind) for kind in sorted(FIELDS)]


# Every registration of a task asks this.
_COVERING = """kind = ANY(%s::int[]) AND project = %s::text AND domain IN ('', %s::text) AND workflow IN ('', %s::text)
    ORDER BY id"""


def covering(place: Place, kinds: Iterable[int]) -> list[MatchableAttributes]:
    """The rows that hold at the place, the most specific of each kind first."""
    values = [array_of(str(kind) for kind in kinds), place.project, place.domain, place.workflow]
    rows = select(MatchableAttributes, _COVERING, values, planned=True)
    return sorted(rows, key=lambda row: (bool(row.workflow), bool(row.domain)), reverse=True)


def attributes_at(place: Place, kind: int) -> MatchableAttributes:
    """The most specific row that holds at the place. NotFound if there is none, InvalidArgument for no kind."""
    name = kind_name(kind)
    for row in covering(place, [kind]):
        return row
    raise NotFound(f"no {name} attributes are set for {place}")


def read(row: MatchableAttributes) -> matchable_resource_pb2.MatchingAttributes:
    return matchable_resource_pb2.MatchingAttributes.FromString(bytes(row.attributes))


def config_of_project(project: str) -> Config:
    """The project's settings for executions, completed by the installation's, as flyteadmin shows them."""
    found = Config()
    for row in covering(Place(project), [WORKFLOW_EXECUTION_CONFIG]):
        found.CopyFrom(read(row).workflow_execution_config)
    fill(found, Config(max_parallelism=settings.CAUSEWAY_MAX_PARALLELISM))
    return found


def applied_at(place: Place) -> Applied:
    """What an execution of the workflow has to go by. One query."""
    rows = covering(place, [TASK_RESOURCE, WORKFLOW_EXECUTION_CONFIG, CLUSTER_LABEL, CLUSTER_ASSIGNMENT])
    narrowest = {row.kind: read(row) for row in reversed(rows)}
    configs = [row for row in rows if row.kind == WORKFLOW_EXECUTION_CONFIG]
    chosen = [row for row in configs if row is configs[0] or not row.domain]
    resources = narrowest.get(TASK_RESOURCE)
    nothing = matchable_resource_pb2.MatchingAttributes()
    return Applied(
        configs=tuple(read(row).workflow_execution_config for row in chosen),
        task_resources=resources.task_resource_attributes if resources is not None else None,
        cluster_label=narrowest.get(CLUSTER_LABEL, nothing).execution_cluster_label.value,
        cluster_pool=narrowest.get(CLUSTER_ASSIGNMENT, nothing).cluster_assignment.cluster_pool_name,
    )


def fill(target: execution_pb2.ExecutionSpec | Config, source: launch_plan_pb2.LaunchPlanSpec | Config) -> None:
    """Take from `source` what `target` leaves open: flyteadmin's MergeIntoExecConfig."""
    target.max_parallelism = target.max_parallelism or source.max_parallelism
    if not target.raw_output_data_config.output_location_prefix:
        target.raw_output_data_config.CopyFrom(source.raw_output_data_config)
    if not target.labels.values:
        target.labels.CopyFrom(source.labels)
    if not target.annotations.values:
        target.annotations.CopyFrom(source.annotations)
    if not target.envs.values:
        target.envs.CopyFrom(source.envs)
    if not target.HasField("interruptible") and source.HasField("interruptible"):
        target.interruptible.CopyFrom(source.interruptible)
    target.overwrite_cache = target.overwrite_cache or source.overwrite_cache
    if not says_who(target.security_context) and says_who(source.security_context):
        target.security_context.CopyFrom(source.security_context)


def says_who(context: security_pb2.SecurityContext) -> bool:
    who = context.run_as
    return bool(who.k8s_service_account or who.iam_role or who.execution_identity)
