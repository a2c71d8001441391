"""The spec an execution is stored with: what was asked for, completed by its launch plan as flyteadmin does."""

from __future__ import annotations

from django.conf import settings
from flyteidl.admin import execution_pb2, launch_plan_pb2
from flyteidl.core import identifier_pb2, security_pb2

from scheduler.attributes import Applied, fill, says_who
from scheduler.models import Execution, ExecutionMode, NodeExecution


def complete_spec(
    asked: execution_pb2.ExecutionSpec,
    plan: launch_plan_pb2.LaunchPlanSpec,
    *,
    mode: ExecutionMode,
    principal: str,
    parent_node: NodeExecution | None,
    reference: Execution | None,
    applied: Applied,
) -> execution_pb2.ExecutionSpec:
    """Each setting is the request's, or else the launch plan's, or what is `applied` at its place.
    Inputs are stored elsewhere and left out."""
    spec = execution_pb2.ExecutionSpec()
    spec.CopyFrom(asked)
    spec.ClearField("inputs")
    spec.metadata.mode = mode.value  # type: ignore[assignment]
    spec.metadata.principal = principal
    for inherited in ("reference_execution", "parent_node_execution", "nesting"):
        spec.metadata.ClearField(inherited)  # true of this execution only as the arguments say
    if mode != ExecutionMode.SCHEDULED:
        spec.metadata.ClearField("scheduled_at")
    if reference is not None:
        spec.metadata.reference_execution.CopyFrom(execution_identifier(reference))
    if parent_node is not None:
        spec.metadata.parent_node_execution.node_id = parent_node.node_id
        spec.metadata.parent_node_execution.execution_id.CopyFrom(execution_identifier(parent_node.execution))
        parent = execution_pb2.ExecutionSpec.FromString(bytes(parent_node.execution.spec))
        spec.metadata.nesting = parent.metadata.nesting + 1
    _fill_from_plan(spec, plan)
    fill(spec, plan)
    for config in applied.configs:
        fill(spec, config)
    if applied.cluster_label and not spec.execution_cluster_label.value:
        spec.execution_cluster_label.value = applied.cluster_label
    if applied.cluster_pool and not spec.cluster_assignment.cluster_pool_name:
        spec.cluster_assignment.cluster_pool_name = applied.cluster_pool
    if not says_who(spec.security_context):
        spec.security_context.CopyFrom(_security_of(spec, plan))
    spec.max_parallelism = spec.max_parallelism or settings.CAUSEWAY_MAX_PARALLELISM
    return spec


def _fill_from_plan(spec: execution_pb2.ExecutionSpec, plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    """What only launch plans can say; the rest is done by `fill`."""
    if not spec.HasField("quality_of_service") and plan.HasField("quality_of_service"):
        spec.quality_of_service.CopyFrom(plan.quality_of_service)
    if not spec.cluster_assignment.cluster_pool_name:
        spec.cluster_assignment.CopyFrom(plan.cluster_assignment)
    if not spec.execution_env_assignments:
        spec.execution_env_assignments.extend(plan.execution_env_assignments)
    if spec.WhichOneof("notification_overrides") is None and plan.entity_metadata.notifications:
        spec.notifications.notifications.extend(plan.entity_metadata.notifications)


def _security_of(
    spec: execution_pb2.ExecutionSpec, plan: launch_plan_pb2.LaunchPlanSpec
) -> security_pb2.SecurityContext:
    """What the deprecated role fields say."""
    roles = [
        (spec.auth_role.assumable_iam_role, spec.auth_role.kubernetes_service_account),
        (plan.auth_role.assumable_iam_role, plan.auth_role.kubernetes_service_account),
        (plan.auth.assumable_iam_role, plan.auth.kubernetes_service_account),
        (plan.role, ""),
    ]
    iam_role, service_account = next((role for role in roles if any(role)), ("", ""))
    run_as = security_pb2.Identity(iam_role=iam_role, k8s_service_account=service_account)
    context = security_pb2.SecurityContext()
    context.CopyFrom(spec.security_context)  # secrets and tokens stay
    context.run_as.CopyFrom(run_as)
    return context


def execution_identifier(execution: Execution) -> identifier_pb2.WorkflowExecutionIdentifier:
    return identifier_pb2.WorkflowExecutionIdentifier(
        project=execution.project, domain=execution.domain, name=execution.name
    )
