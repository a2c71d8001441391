from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from flyteidl.admin import launch_plan_pb2
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_launch_plan
from console.accounts.access import Action
from console.interfaces import literals_json
from console.rest.base import ApiView, ListView, read_query, user_of
from console.rest.fields import EntityName, NameOf
from console.rest.registry import Interface, VersionFilters, VersionSummary, visible
from scheduler.actions.launch_plans import set_state
from scheduler.models import LaunchPlan

TAGS = ["launch plans"]
_HEAVY = ["workflow__spec", "workflow__closure", "workflow__digest"]


@extend_schema_field({"type": "string", "enum": LaunchPlan.State.names})
class StateField(NameOf):
    choices = LaunchPlan.State


class LaunchPlanSummary(VersionSummary):
    state = StateField(read_only=True)
    state_changed_at = serializers.DateTimeField()
    workflow = EntityName()


class LaunchPlanDetail(LaunchPlanSummary, Interface):
    fixed_inputs = serializers.SerializerMethodField()
    trigger = serializers.SerializerMethodField()
    schedule = serializers.SerializerMethodField()
    last_fire_at = serializers.DateTimeField(source="schedule.last_fire_at", default=None, allow_null=True)
    next_fire_at = serializers.DateTimeField(source="schedule.next_fire_at", default=None, allow_null=True)

    def get_fixed_inputs(self, launch_plan: LaunchPlan) -> dict[str, Any]:
        spec = launch_plan_pb2.LaunchPlanSpec.FromString(bytes(launch_plan.spec))
        return literals_json(spec.fixed_inputs)

    def get_trigger(self, launch_plan: LaunchPlan) -> int | None:
        """The id of its trigger."""
        trigger = getattr(launch_plan, "trigger", None)
        return trigger.pk if trigger is not None else None

    def get_schedule(self, launch_plan: LaunchPlan) -> str | None:
        """Its cron expression, or its rate as `every <n> seconds`."""
        schedule = getattr(launch_plan, "schedule", None)
        if schedule is None:
            return None
        return str(schedule.expression) if schedule.kind == "cron" else f"every {schedule.expression} seconds"


class LaunchPlanFilters(VersionFilters):
    state = StateField(required=False)


class LaunchPlansView(ListView):
    @extend_schema(parameters=[LaunchPlanFilters], responses=LaunchPlanSummary(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Versions of launch plans, newest first."""
        rows = visible(request, LaunchPlan.objects.all(), read_query(LaunchPlanFilters, request))
        rows = rows.select_related("workflow").defer("spec", "closure", "digest", *_HEAVY)
        return self.page(request, rows, LaunchPlanSummary)


class LaunchPlanView(ApiView):
    @extend_schema(responses=LaunchPlanDetail, tags=TAGS, operation_id="launch_plans_current")
    def get(self, request: Request, project: str, domain: str, name: str) -> Response:
        """The active version of a launch plan, or the newest where none is active."""
        return Response(LaunchPlanDetail(access_launch_plan(user_of(request), project, domain, name)).data)


class LaunchPlanVersionView(ApiView):
    @extend_schema(responses=LaunchPlanDetail, tags=TAGS)
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """One version of a launch plan."""
        return Response(LaunchPlanDetail(access_launch_plan(user_of(request), project, domain, name, version)).data)


class ActivateView(ApiView):
    @extend_schema(request=None, responses=LaunchPlanDetail, tags=TAGS, operation_id="launch_plans_activate")
    def post(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """Activate this version; the version that was active is deactivated in the same transaction."""
        return _set_state(request, LaunchPlan.State.ACTIVE, project, domain, name, version)


class DeactivateView(ApiView):
    @extend_schema(request=None, responses=LaunchPlanDetail, tags=TAGS, operation_id="launch_plans_deactivate")
    def post(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """Deactivate this version: its trigger and schedule stop."""
        return _set_state(request, LaunchPlan.State.INACTIVE, project, domain, name, version)


def _set_state(request: Request, state: LaunchPlan.State, *identifier: str) -> Response:
    user = user_of(request)
    row = access_launch_plan(user, *identifier, action=Action.ACTIVATE)
    set_state(row, state, actor=user.username)
    return Response(LaunchPlanDetail(access_launch_plan(user, *identifier)).data)
