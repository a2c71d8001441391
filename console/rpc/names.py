"""Named entities: what people say about a task, workflow or launch plan name."""

from __future__ import annotations

from flyteidl.admin import common_pb2

from artifacts.exceptions import InvalidArgument
from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.convert import registry
from console.rpc.requests import missing, require_name, require_scope, sorted_page
from scheduler.actions.named_entities import update_named_entity as update
from scheduler.models import ResourceType
from scheduler.queries import get_name, list_names

_SERVED = (ResourceType.TASK, ResourceType.WORKFLOW, ResourceType.LAUNCH_PLAN)


def _resource_type(number: int) -> ResourceType:
    if number not in _SERVED:
        raise InvalidArgument("invalid value for resource_type: tasks, workflows and launch plans have names")
    return ResourceType(number)


def get_named_entity(request: common_pb2.NamedEntityGetRequest, caller: Caller) -> common_pb2.NamedEntity:
    resource_type = _resource_type(request.resource_type)
    require_name(request.id)
    caller.may(Action.READ, request.id.project, request.id.domain)
    row = get_name(resource_type, project=request.id.project, domain=request.id.domain, name=request.id.name)
    return registry.named_entity(row)


def list_named_entities(request: common_pb2.NamedEntityListRequest, caller: Caller) -> common_pb2.NamedEntityList:
    resource_type = _resource_type(request.resource_type)
    require_scope(request)
    caller.may(Action.READ, request.project, request.domain)
    wanted = sorted_page(request.sort_by, limit=request.limit, token=request.token, filters=request.filters)
    rows, token = list_names(resource_type, wanted, project=request.project, domain=request.domain)
    return common_pb2.NamedEntityList(entities=[registry.named_entity(row) for row in rows], token=token)


def update_named_entity(
    request: common_pb2.NamedEntityUpdateRequest, caller: Caller
) -> common_pb2.NamedEntityUpdateResponse:
    resource_type = _resource_type(request.resource_type)
    require_name(request.id)
    if not request.HasField("metadata"):
        raise missing("metadata")
    if request.metadata.state not in (common_pb2.NAMED_ENTITY_ACTIVE, common_pb2.NAMED_ENTITY_ARCHIVED):
        raise InvalidArgument("invalid value for state: a name is active or archived")
    caller.may(Action.REGISTER, request.id.project, request.id.domain)
    row = get_name(resource_type, project=request.id.project, domain=request.id.domain, name=request.id.name)
    archived = request.metadata.state == common_pb2.NAMED_ENTITY_ARCHIVED
    update(row, description=request.metadata.description, archived=archived, actor=caller.name)
    return common_pb2.NamedEntityUpdateResponse()
