from __future__ import annotations

from flyteidl.admin import common_pb2, task_pb2
from flyteidl.core import identifier_pb2

from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.convert import registry
from console.rpc.requests import check_identifier, list_request, missing, require_scope, sorted_page
from scheduler.actions.register import register_task
from scheduler.models import ResourceType, Task
from scheduler.queries import get_version, list_names, list_versions


def create_task(request: task_pb2.TaskCreateRequest, caller: Caller) -> task_pb2.TaskCreateResponse:
    check_identifier(request.id, identifier_pb2.TASK)
    if not request.HasField("spec"):
        raise missing("spec")
    caller.may(Action.REGISTER, request.id.project, request.id.domain)
    register_task(request.id, request.spec, actor=caller.name)
    return task_pb2.TaskCreateResponse()


def get_task(request: common_pb2.ObjectGetRequest, caller: Caller) -> task_pb2.Task:
    key = check_identifier(request.id, identifier_pb2.TASK)
    caller.may(Action.READ, key.project, key.domain)
    return registry.task(get_version(Task, **key.arguments()))


def list_tasks(request: common_pb2.ResourceListRequest, caller: Caller) -> task_pb2.TaskList:
    require_scope(request.id)
    caller.may(Action.READ, request.id.project, request.id.domain)
    rows, token = list_versions(
        Task, list_request(request), project=request.id.project, domain=request.id.domain, name=request.id.name
    )
    return task_pb2.TaskList(tasks=[registry.task(row) for row in rows], token=token)


def list_task_ids(
    request: common_pb2.NamedEntityIdentifierListRequest, caller: Caller
) -> common_pb2.NamedEntityIdentifierList:
    return list_ids(ResourceType.TASK, request, caller)


def list_ids(
    resource_type: ResourceType, request: common_pb2.NamedEntityIdentifierListRequest, caller: Caller
) -> common_pb2.NamedEntityIdentifierList:
    """The names of a resource type; all three kinds of registered versions list them alike."""
    require_scope(request)
    caller.may(Action.READ, request.project, request.domain)
    wanted = sorted_page(request.sort_by, limit=request.limit, token=request.token, filters=request.filters)
    rows, token = list_names(resource_type, wanted, project=request.project, domain=request.domain)
    return registry.identifier_list(rows, token)
