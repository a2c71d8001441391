from __future__ import annotations

from flyteidl.admin import common_pb2, workflow_pb2
from flyteidl.core import identifier_pb2

from console.accounts import access
from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.convert import registry
from console.rpc.requests import check_identifier, list_request, missing, require_scope
from console.rpc.tasks import list_ids
from scheduler.actions.register import register_workflow
from scheduler.models import ResourceType, Workflow
from scheduler.queries import get_version, list_versions


def create_workflow(request: workflow_pb2.WorkflowCreateRequest, caller: Caller) -> workflow_pb2.WorkflowCreateResponse:
    check_identifier(request.id, identifier_pb2.WORKFLOW)
    if not request.HasField("spec"):
        raise missing("spec")
    caller.may(Action.REGISTER, request.id.project, request.id.domain)
    register_workflow(request.id, request.spec, actor=caller.name)
    return workflow_pb2.WorkflowCreateResponse()


def get_workflow(request: common_pb2.ObjectGetRequest, caller: Caller) -> workflow_pb2.Workflow:
    key = check_identifier(request.id, identifier_pb2.WORKFLOW)
    caller.may(Action.READ, key.project, key.domain)
    return registry.workflow(get_version(Workflow, **key.arguments()), access.reader(caller.user))


def list_workflows(request: common_pb2.ResourceListRequest, caller: Caller) -> workflow_pb2.WorkflowList:
    require_scope(request.id)
    caller.may(Action.READ, request.id.project, request.id.domain)
    rows, token = list_versions(
        Workflow, list_request(request), project=request.id.project, domain=request.id.domain, name=request.id.name
    )
    return workflow_pb2.WorkflowList(workflows=[registry.workflow_summary(row) for row in rows], token=token)


def list_workflow_ids(
    request: common_pb2.NamedEntityIdentifierListRequest, caller: Caller
) -> common_pb2.NamedEntityIdentifierList:
    return list_ids(ResourceType.WORKFLOW, request, caller)
