from __future__ import annotations

from flyteidl.admin import common_pb2, launch_plan_pb2
from flyteidl.core import identifier_pb2

from artifacts.exceptions import InvalidArgument
from console.accounts.access import Action
from console.rpc.caller import Caller
from console.rpc.convert import registry
from console.rpc.requests import check_identifier, list_request, missing, require_name, require_scope, sorted_page
from console.rpc.tasks import list_ids
from scheduler.actions.launch_plans import set_state
from scheduler.actions.register import register_launch_plan
from scheduler.models import LaunchPlan, ResourceType
from scheduler.queries import active_launch_plan, get_version, list_active_launch_plans, list_versions


def create_launch_plan(
    request: launch_plan_pb2.LaunchPlanCreateRequest, caller: Caller
) -> launch_plan_pb2.LaunchPlanCreateResponse:
    check_identifier(request.id, identifier_pb2.LAUNCH_PLAN)
    if not request.HasField("spec"):
        raise missing("spec")
    caller.may(Action.REGISTER, request.id.project, request.id.domain)
    register_launch_plan(request.id, request.spec, actor=caller.name)
    return launch_plan_pb2.LaunchPlanCreateResponse()


def update_launch_plan(
    request: launch_plan_pb2.LaunchPlanUpdateRequest, caller: Caller
) -> launch_plan_pb2.LaunchPlanUpdateResponse:
    key = check_identifier(request.id, identifier_pb2.LAUNCH_PLAN)
    if request.state not in launch_plan_pb2.LaunchPlanState.values():
        raise InvalidArgument(f"unrecognized launch plan state {request.state}")
    caller.may(Action.ACTIVATE, key.project, key.domain)
    row = get_version(LaunchPlan, **key.arguments())
    set_state(row, LaunchPlan.State(request.state), actor=caller.name)
    return launch_plan_pb2.LaunchPlanUpdateResponse()


def get_launch_plan(request: common_pb2.ObjectGetRequest, caller: Caller) -> launch_plan_pb2.LaunchPlan:
    key = check_identifier(request.id, identifier_pb2.LAUNCH_PLAN)
    caller.may(Action.READ, key.project, key.domain)
    return registry.launch_plan(get_version(LaunchPlan, **key.arguments()))


def get_active_launch_plan(
    request: launch_plan_pb2.ActiveLaunchPlanRequest, caller: Caller
) -> launch_plan_pb2.LaunchPlan:
    require_name(request.id)
    caller.may(Action.READ, request.id.project, request.id.domain)
    row = active_launch_plan(project=request.id.project, domain=request.id.domain, name=request.id.name)
    return registry.launch_plan(row)


def list_launch_plans(request: common_pb2.ResourceListRequest, caller: Caller) -> launch_plan_pb2.LaunchPlanList:
    require_scope(request.id)
    caller.may(Action.READ, request.id.project, request.id.domain)
    rows, token = list_versions(
        LaunchPlan, list_request(request), project=request.id.project, domain=request.id.domain, name=request.id.name
    )
    return launch_plan_pb2.LaunchPlanList(launch_plans=[registry.launch_plan(row) for row in rows], token=token)


def list_active(request: launch_plan_pb2.ActiveLaunchPlanListRequest, caller: Caller) -> launch_plan_pb2.LaunchPlanList:
    require_scope(request)
    caller.may(Action.READ, request.project, request.domain)
    wanted = sorted_page(request.sort_by, limit=request.limit, token=request.token)
    rows, token = list_active_launch_plans(wanted, project=request.project, domain=request.domain)
    return launch_plan_pb2.LaunchPlanList(launch_plans=[registry.launch_plan(row) for row in rows], token=token)


def list_launch_plan_ids(
    request: common_pb2.NamedEntityIdentifierListRequest, caller: Caller
) -> common_pb2.NamedEntityIdentifierList:
    return list_ids(ResourceType.LAUNCH_PLAN, request, caller)
