"""Which function serves which method of Flyte's services, and why some are served by none."""

from __future__ import annotations

import grpc
from flyteidl.admin import project_attributes_pb2, project_domain_attributes_pb2, workflow_attributes_pb2
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2

from console.rpc import (
    attempts,
    attributes,
    auth,
    data_proxy,
    descriptions,
    executions,
    identity,
    launch_plans,
    metrics,
    names,
    nodes,
    projects,
    signals,
    tasks,
    workflows,
)
from console.rpc.dispatch import Greeting, Method, OpenMethod, service_handler

ADMIN: dict[str, Method] = {
    "CreateTask": tasks.create_task,
    "GetTask": tasks.get_task,
    "ListTasks": tasks.list_tasks,
    "ListTaskIds": tasks.list_task_ids,
    "CreateWorkflow": workflows.create_workflow,
    "GetWorkflow": workflows.get_workflow,
    "ListWorkflows": workflows.list_workflows,
    "ListWorkflowIds": workflows.list_workflow_ids,
    "CreateLaunchPlan": launch_plans.create_launch_plan,
    "UpdateLaunchPlan": launch_plans.update_launch_plan,
    "GetLaunchPlan": launch_plans.get_launch_plan,
    "GetActiveLaunchPlan": launch_plans.get_active_launch_plan,
    "ListLaunchPlans": launch_plans.list_launch_plans,
    "ListActiveLaunchPlans": launch_plans.list_active,
    "ListLaunchPlanIds": launch_plans.list_launch_plan_ids,
    "GetNamedEntity": names.get_named_entity,
    "ListNamedEntities": names.list_named_entities,
    "UpdateNamedEntity": names.update_named_entity,
    "GetDescriptionEntity": descriptions.get_description,
    "ListDescriptionEntities": descriptions.list_descriptions,
    "CreateExecution": executions.create_execution,
    "RelaunchExecution": executions.relaunch_execution,
    "RecoverExecution": executions.recover_execution,
    "GetExecution": executions.get_execution,
    "GetExecutionData": executions.get_execution_data,
    "ListExecutions": executions.list_executions,
    "TerminateExecution": executions.terminate_execution,
    "UpdateExecution": executions.update_execution,
    "GetExecutionMetrics": metrics.get_execution_metrics,
    "GetNodeExecution": nodes.get_node_execution,
    "GetNodeExecutionData": nodes.get_node_execution_data,
    "GetDynamicNodeWorkflow": nodes.get_dynamic_node_workflow,
    "ListNodeExecutions": nodes.list_node_executions,
    "ListNodeExecutionsForTask": attempts.list_for_task,
    "GetTaskExecution": attempts.get_task_execution,
    "GetTaskExecutionData": attempts.get_task_execution_data,
    "ListTaskExecutions": attempts.list_task_executions,
    "RegisterProject": projects.register_project,
    "UpdateProject": projects.update_project,
    "GetProject": projects.get_project,
    "ListProjects": projects.list_projects,
    "GetDomains": projects.get_domains,
    "GetVersion": projects.get_version,
    "GetProjectAttributes": attributes.get_project_attributes,
    "GetProjectDomainAttributes": attributes.get_domain_attributes,
    "GetWorkflowAttributes": attributes.get_workflow_attributes,
    "UpdateProjectAttributes": attributes.update(
        "project", response=project_attributes_pb2.ProjectAttributesUpdateResponse
    ),
    "UpdateProjectDomainAttributes": attributes.update(
        "project", "domain", response=project_domain_attributes_pb2.ProjectDomainAttributesUpdateResponse
    ),
    "UpdateWorkflowAttributes": attributes.update(
        "project", "domain", "workflow", response=workflow_attributes_pb2.WorkflowAttributesUpdateResponse
    ),
    "DeleteProjectAttributes": attributes.delete_attributes(
        "project", response=project_attributes_pb2.ProjectAttributesDeleteResponse
    ),
    "DeleteProjectDomainAttributes": attributes.delete_attributes(
        "project", "domain", response=project_domain_attributes_pb2.ProjectDomainAttributesDeleteResponse
    ),
    "DeleteWorkflowAttributes": attributes.delete_attributes(
        "project", "domain", "workflow", response=workflow_attributes_pb2.WorkflowAttributesDeleteResponse
    ),
    "ListMatchableAttributes": attributes.list_attributes,
}
_EVENTS = "Causeway's own engine records what happens; events of other engines are not taken in"
ADMIN_NOT_SERVED = {
    "CreateWorkflowEvent": _EVENTS,
    "CreateNodeEvent": _EVENTS,
    "CreateTaskEvent": _EVENTS,
}
# Answered to nobody too.
GREETINGS: dict[str, Greeting] = {"GetVersion": projects.get_version}

DATA_PROXY: dict[str, Method] = {
    "CreateUploadLocation": data_proxy.create_upload_location,
    "CreateDownloadLocation": data_proxy.create_download_location,
    "CreateDownloadLink": data_proxy.create_download_link,
    "GetData": data_proxy.get_data,
}
SIGNALS: dict[str, Method] = {
    "GetOrCreateSignal": signals.get_or_create_signal,
    "ListSignals": signals.list_signals,
    "SetSignal": signals.set_signal,
}
AUTH_METADATA: dict[str, OpenMethod] = {
    "GetOAuth2Metadata": auth.get_oauth2_metadata,
    "GetPublicClientConfig": auth.get_public_client_config,
}
IDENTITY: dict[str, Method] = {"UserInfo": identity.user_info}


def handlers() -> list[grpc.GenericRpcHandler]:
    """The handlers of every service."""
    return [
        service_handler(
            admin_pb2.DESCRIPTOR.services_by_name["AdminService"],
            ADMIN,
            greetings=GREETINGS,
            not_served=ADMIN_NOT_SERVED,
        ),
        service_handler(dataproxy_pb2.DESCRIPTOR.services_by_name["DataProxyService"], DATA_PROXY),
        service_handler(signal_pb2.DESCRIPTOR.services_by_name["SignalService"], SIGNALS),
        service_handler(auth_pb2.DESCRIPTOR.services_by_name["AuthMetadataService"], {}, open_methods=AUTH_METADATA),
        service_handler(identity_pb2.DESCRIPTOR.services_by_name["IdentityService"], IDENTITY),
    ]
