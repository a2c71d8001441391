"""Description entities: what flytekit sends as `docs` with a task or workflow, read back from the stored spec."""

from __future__ import annotations

from flyteidl.admin import common_pb2, description_entity_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2

from artifacts.exceptions import InvalidArgument, NotFound
from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.convert.common import identifier
from console.rpc.requests import check_identifier, require_name, sorted_page
from scheduler.models import Task, Workflow
from scheduler.queries import get_version, list_versions

_DESCRIBED: dict[int, type[Task] | type[Workflow]] = {
    identifier_pb2.TASK: Task,
    identifier_pb2.WORKFLOW: Workflow,
}


def _model(resource_type: int) -> type[Task] | type[Workflow]:
    if resource_type not in _DESCRIBED:
        raise InvalidArgument("invalid value for resource_type: tasks and workflows have descriptions")
    return _DESCRIBED[resource_type]


def _describe(row: Task | Workflow) -> description_entity_pb2.DescriptionEntity | None:
    spec: task_pb2.TaskSpec | workflow_pb2.WorkflowSpec
    spec = (task_pb2.TaskSpec if isinstance(row, Task) else workflow_pb2.WorkflowSpec).FromString(bytes(row.spec))
    if not spec.HasField("description"):
        return None
    described = spec.description
    described.id.CopyFrom(identifier(row))
    return described


def get_description(request: common_pb2.ObjectGetRequest, caller: Caller) -> description_entity_pb2.DescriptionEntity:
    model = _model(request.id.resource_type)
    key = check_identifier(request.id, request.id.resource_type)
    caller.may(Action.READ, key.project, key.domain)
    described = _describe(get_version(model, **key.arguments()))
    if described is None:
        raise NotFound(f"{key.name}@{key.version} has no description")
    return described


def list_descriptions(
    request: description_entity_pb2.DescriptionEntityListRequest, caller: Caller
) -> description_entity_pb2.DescriptionEntityList:
    model = _model(request.resource_type)
    require_name(request.id)
    caller.may(Action.READ, request.id.project, request.id.domain)
    wanted = sorted_page(request.sort_by, limit=request.limit, token=request.token, filters=request.filters)
    rows, token = list_versions(
        model, wanted, project=request.id.project, domain=request.id.domain, name=request.id.name, with_spec=True
    )
    found = [described for row in rows if (described := _describe(row)) is not None]
    return description_entity_pb2.DescriptionEntityList(descriptionEntities=found, token=token)
