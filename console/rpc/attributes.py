"""Matchable attributes: what administrators set for projects, domains of them and workflows there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flyteidl.admin import (
    matchable_resource_pb2,
    project_attributes_pb2,
    project_domain_attributes_pb2,
    workflow_attributes_pb2,
)
from google.protobuf.message import Message

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_project
from console.accounts import access
from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.requests import missing
from scheduler import attributes
from scheduler.actions.attributes import delete_attributes as delete
from scheduler.actions.attributes import set_attributes
from scheduler.attributes import Place
from scheduler.models import MatchableAttributes

Served = Callable[[Any, Caller], Message]


def _place(request: Any, fields: tuple[str, ...]) -> Place:
    for field in fields:
        if not getattr(request, field):
            raise missing(field)
    return Place(**{field: getattr(request, field) for field in fields})


def update(*fields: str, response: type[Message]) -> Served:
    def served(request: Any, caller: Caller) -> Message:
        if not request.HasField("attributes"):
            raise missing("attributes")
        place = _place(request.attributes, fields)
        if not request.attributes.HasField("matching_attributes"):
            raise missing("matching_attributes")
        caller.may(Action.ADMIN, place.project, place.domain)
        set_attributes(place, request.attributes.matching_attributes, actor=caller.name)
        return response()

    return served


def delete_attributes(*fields: str, response: type[Message]) -> Served:
    def served(request: Any, caller: Caller) -> Message:
        place = _place(request, fields)
        caller.may(Action.ADMIN, place.project, place.domain)
        delete(place, request.resource_type, actor=caller.name)
        return response()

    return served


def get_domain_attributes(
    request: project_domain_attributes_pb2.ProjectDomainAttributesGetRequest, caller: Caller
) -> project_domain_attributes_pb2.ProjectDomainAttributesGetResponse:
    """The most specific that hold there; the answer says where they were set."""
    place = _place(request, ("project", "domain"))
    caller.may(Action.READ, place.project, place.domain)
    row = attributes.attributes_at(place, request.resource_type)
    found = project_domain_attributes_pb2.ProjectDomainAttributes(
        project=row.project, domain=row.domain, matching_attributes=attributes.read(row)
    )
    return project_domain_attributes_pb2.ProjectDomainAttributesGetResponse(attributes=found)


def get_workflow_attributes(
    request: workflow_attributes_pb2.WorkflowAttributesGetRequest, caller: Caller
) -> workflow_attributes_pb2.WorkflowAttributesGetResponse:
    place = _place(request, ("project", "domain", "workflow"))
    caller.may(Action.READ, place.project, place.domain)
    row = attributes.attributes_at(place, request.resource_type)
    found = workflow_attributes_pb2.WorkflowAttributes(
        project=row.project, domain=row.domain, workflow=row.workflow, matching_attributes=attributes.read(row)
    )
    return workflow_attributes_pb2.WorkflowAttributesGetResponse(attributes=found)


def get_project_attributes(
    request: project_attributes_pb2.ProjectAttributesGetRequest, caller: Caller
) -> project_attributes_pb2.ProjectAttributesGetResponse:
    """Settings for executions are completed by the installation's, so that there always are some, as in flyteadmin."""
    place = _place(request, ("project",))
    access_project(caller.user, place.project)
    if request.resource_type == attributes.WORKFLOW_EXECUTION_CONFIG:
        config = attributes.config_of_project(place.project)
        matching = matchable_resource_pb2.MatchingAttributes(workflow_execution_config=config)
    else:
        matching = attributes.read(attributes.attributes_at(place, request.resource_type))
    found = project_attributes_pb2.ProjectAttributes(project=place.project, matching_attributes=matching)
    return project_attributes_pb2.ProjectAttributesGetResponse(attributes=found)


def list_attributes(
    request: matchable_resource_pb2.ListMatchableAttributesRequest, caller: Caller
) -> matchable_resource_pb2.ListMatchableAttributesResponse:
    """All of a kind that the caller may read, the most specific first."""
    if request.resource_type not in matchable_resource_pb2.MatchableResource.values():
        raise InvalidArgument(f"invalid value for resource_type: {request.resource_type}")
    readable = access.reader(caller.user)
    rows = MatchableAttributes.objects.filter(kind=request.resource_type).order_by("-workflow", "-domain", "project")
    return matchable_resource_pb2.ListMatchableAttributesResponse(
        configurations=[
            matchable_resource_pb2.MatchableAttributesConfiguration(
                project=row.project, domain=row.domain, workflow=row.workflow, attributes=attributes.read(row)
            )
            for row in rows
            if readable(row.project, row.domain)
        ]
    )
