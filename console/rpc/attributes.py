"""Matchable attributes (platform-wide defaults by project, domain or workflow): none are ever set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flyteidl.admin import matchable_resource_pb2
from google.protobuf.message import Message

from artifacts.exceptions import NotFound
from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.requests import missing

NOT_APPLIED = "matchable attributes are not applied; set them on launch plans or executions"


def get_attributes(*fields: str) -> Callable[[Any, Caller], Message]:
    """The look-up for requests that name the place by these fields: NotFound, as Flyte answers where none is set."""

    def get(request: Any, caller: Caller) -> Message:
        for field in fields:
            if not getattr(request, field):
                raise missing(field)
        caller.may(Action.READ, request.project, getattr(request, "domain", ""))
        kinds = matchable_resource_pb2.MatchableResource
        kind = kinds.Name(request.resource_type) if request.resource_type in kinds.values() else request.resource_type
        place = "/".join(getattr(request, field) for field in fields)
        raise NotFound(f"no {kind} attributes are set for {place}")

    return get


def list_attributes(
    request: matchable_resource_pb2.ListMatchableAttributesRequest, caller: Caller
) -> matchable_resource_pb2.ListMatchableAttributesResponse:
    return matchable_resource_pb2.ListMatchableAttributesResponse()
