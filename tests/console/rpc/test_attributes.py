"""Matchable attributes as flytekit's client and flytectl set them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from flyteidl.admin import (
    matchable_resource_pb2,
    project_attributes_pb2,
    project_domain_attributes_pb2,
    workflow_attributes_pb2,
)
from flyteidl.service import admin_pb2
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.exceptions.user import FlyteEntityNotExistException
from flytekit.models.matchable_resource import ClusterResourceAttributes, MatchableResource, MatchingAttributes

from audit.models import AuditEvent
from tests.console.rpc.conftest import Call

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
CONFIG = matchable_resource_pb2.WORKFLOW_EXECUTION_CONFIG


def matching(parallelism: int) -> matchable_resource_pb2.MatchingAttributes:
    config = matchable_resource_pb2.WorkflowExecutionConfig(max_parallelism=parallelism)
    return matchable_resource_pb2.MatchingAttributes(workflow_execution_config=config)


def test_flytekits_client_sets_gets_and_lists_them(client: SynchronousFlyteClient) -> None:
    quotas = MatchingAttributes(cluster_resource_attributes=ClusterResourceAttributes({"projectQuotaCpu": "10"}))
    kind = MatchableResource.CLUSTER_RESOURCE
    with pytest.raises(FlyteEntityNotExistException):
        client.get_project_domain_attributes("demo", "development", kind)
    client.update_project_domain_attributes("demo", "development", quotas)
    found = client.get_project_domain_attributes("demo", "development", kind).attributes
    assert found.matching_attributes.cluster_resource_attributes.attributes == {"projectQuotaCpu": "10"}
    client.update_workflow_attributes("demo", "development", "flow", quotas)
    assert client.get_workflow_attributes("demo", "development", "flow", kind).attributes.workflow == "flow"
    listed = client.list_matchable_attributes(kind).configurations
    assert [(one.project, one.domain, one.workflow) for one in listed] == [
        ("demo", "development", "flow"),
        ("demo", "development", ""),
    ]
    assert set(AuditEvent.objects.values_list("verb", "subject")) == {
        ("attributes.update", "demo/development:CLUSTER_RESOURCE"),
        ("attributes.update", "demo/development/flow:CLUSTER_RESOURCE"),
    }


def test_a_project_shows_the_platforms_settings_where_it_has_none(call: Call) -> None:
    asked = project_attributes_pb2.ProjectAttributesGetRequest(project="demo", resource_type=CONFIG)

    def parallelism() -> int:
        answer = call(ADMIN, "GetProjectAttributes", asked)
        return answer.attributes.matching_attributes.workflow_execution_config.max_parallelism  # type: ignore[attr-defined,no-any-return]

    assert parallelism() > 0
    wanted = project_attributes_pb2.ProjectAttributes(project="demo", matching_attributes=matching(3))
    call(ADMIN, "UpdateProjectAttributes", project_attributes_pb2.ProjectAttributesUpdateRequest(attributes=wanted))
    assert parallelism() == 3
    gone = project_attributes_pb2.ProjectAttributesDeleteRequest(project="demo", resource_type=CONFIG)
    for _ in range(2):  # flyteadmin does not mind
        call(ADMIN, "DeleteProjectAttributes", gone)
    assert parallelism() != 3
    assert AuditEvent.objects.filter(verb="attributes.delete").count() == 1


def test_deleting_a_more_specific_one_leaves_the_other(call: Call) -> None:
    of_domain = project_domain_attributes_pb2.ProjectDomainAttributes(
        project="demo", domain="development", matching_attributes=matching(4)
    )
    request = project_domain_attributes_pb2.ProjectDomainAttributesUpdateRequest(attributes=of_domain)
    call(ADMIN, "UpdateProjectDomainAttributes", request)
    of_flow = workflow_attributes_pb2.WorkflowAttributes(
        project="demo", domain="development", workflow="flow", matching_attributes=matching(5)
    )
    call(ADMIN, "UpdateWorkflowAttributes", workflow_attributes_pb2.WorkflowAttributesUpdateRequest(attributes=of_flow))
    place: dict[str, Any] = {"project": "demo", "domain": "development", "workflow": "flow", "resource_type": CONFIG}
    call(ADMIN, "DeleteWorkflowAttributes", workflow_attributes_pb2.WorkflowAttributesDeleteRequest(**place))
    answer = call(ADMIN, "GetWorkflowAttributes", workflow_attributes_pb2.WorkflowAttributesGetRequest(**place))
    assert answer.attributes == workflow_attributes_pb2.WorkflowAttributes(  # type: ignore[attr-defined]
        project="demo", domain="development", matching_attributes=matching(4)
    )


@pytest.mark.parametrize(("role", "status"), [("contributor", "PERMISSION_DENIED"), ("", "PERMISSION_DENIED")])
def test_they_are_for_administrators(call: Call, token_of: Callable[..., str], role: str, status: str) -> None:
    wanted = project_attributes_pb2.ProjectAttributes(project="demo", matching_attributes=matching(3))
    request = project_attributes_pb2.ProjectAttributesUpdateRequest(attributes=wanted)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "UpdateProjectAttributes", request, token=token_of("carl", role))
    assert error.value.code().name == status
    call(ADMIN, "UpdateProjectAttributes", request, token=token_of("ada", "admin"))
    listed = matchable_resource_pb2.ListMatchableAttributesRequest(resource_type=CONFIG)
    outsider = token_of("olga", "viewer", "other")
    assert not call(ADMIN, "ListMatchableAttributes", listed, token=outsider).configurations  # type: ignore[attr-defined]
