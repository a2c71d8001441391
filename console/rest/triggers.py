"""Triggers with their ledger of firings, and schedules."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_trigger
from console.accounts import access
from console.rest.base import ApiView, Filters, ListView, ScopeFilters, read_query, user_of
from console.rest.fields import EntityName
from scheduler.models import FiringOutcome, Schedule, Trigger, TriggerFiring

_HEAVY = ["launch_plan__spec", "launch_plan__closure", "launch_plan__digest"]


class TriggerOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    launch_plan = EntityName()
    artifact_project = serializers.CharField()
    artifact_domain = serializers.CharField()
    artifact_name = serializers.CharField()
    partitions = serializers.DictField(child=serializers.CharField(), help_text="only these values fire; empty: any")
    active = serializers.BooleanField()
    activated_at = serializers.DateTimeField(allow_null=True)


class TriggerFilters(ScopeFilters):
    artifact_project = serializers.CharField(required=False)
    artifact_domain = serializers.CharField(required=False)
    artifact_name = serializers.CharField(required=False)
    active = serializers.BooleanField(required=False, default=None, allow_null=True)


class TriggersView(ListView):
    newest_by = "launch_plan__created_at"

    @extend_schema(parameters=[TriggerFilters], responses=TriggerOut(many=True), tags=["triggers"])
    def get(self, request: Request) -> Response:
        """Triggers of the launch plans I may read. `project` and `domain` are the launch plan's."""
        filters = {key: value for key, value in read_query(TriggerFilters, request).items() if value is not None}
        for key in ("project", "domain"):
            if key in filters:
                filters[f"launch_plan__{key}"] = filters.pop(key)
        mine = access.readable(user_of(request), project="launch_plan__project", domain="launch_plan__domain")
        rows = Trigger.objects.filter(mine, **filters).select_related("launch_plan").defer("condition", *_HEAVY)
        return self.page(request, rows, TriggerOut)


class TriggerView(ApiView):
    @extend_schema(responses=TriggerOut, tags=["triggers"])
    def get(self, request: Request, trigger_id: int) -> Response:
        """One trigger."""
        return Response(TriggerOut(access_trigger(user_of(request), trigger_id)).data)


class FiringOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    trigger = serializers.IntegerField(source="trigger_id")
    version_id = serializers.IntegerField()
    artifact = serializers.CharField(source="version.artifact")
    version = serializers.CharField(source="version.version")
    outcome = serializers.ChoiceField(choices=FiringOutcome.choices)
    reason = serializers.CharField()
    execution = serializers.CharField(source="execution.key", default=None, allow_null=True)
    resolution = serializers.DictField(help_text="for each input how it was found")
    published_at = serializers.DateTimeField()
    at = serializers.DateTimeField()
    latency_ms = serializers.FloatField(allow_null=True)


class FiringFilters(Filters):
    outcome = serializers.ChoiceField(choices=FiringOutcome.choices, required=False)


class FiringsView(ListView):
    newest_by = "at"

    @extend_schema(parameters=[FiringFilters], responses=FiringOut(many=True), tags=["triggers"])
    def get(self, request: Request, trigger_id: int) -> Response:
        """The ledger of a trigger: every version it saw, what came of it and why."""
        trigger = access_trigger(user_of(request), trigger_id)
        rows = TriggerFiring.objects.filter(trigger=trigger, **read_query(FiringFilters, request))
        rows = rows.select_related("version__artifact", "execution").defer(
            "version__literal", "version__literal_type", "version__card", "execution__spec"
        )
        return self.page(request, rows, FiringOut)


class ScheduleOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    launch_plan = EntityName()
    kind = serializers.ChoiceField(choices=Schedule.Kind.choices)
    expression = serializers.CharField(help_text="cron, or the rate in seconds")
    active = serializers.BooleanField()
    last_fire_at = serializers.DateTimeField(allow_null=True)
    next_fire_at = serializers.DateTimeField(allow_null=True)


class ScheduleFilters(ScopeFilters):
    active = serializers.BooleanField(required=False, default=None, allow_null=True)


class SchedulesView(ListView):
    newest_by = "launch_plan__created_at"

    @extend_schema(parameters=[ScheduleFilters], responses=ScheduleOut(many=True), tags=["triggers"])
    def get(self, request: Request) -> Response:
        """Schedules of the launch plans I may read."""
        filters = {key: value for key, value in read_query(ScheduleFilters, request).items() if value is not None}
        for key in ("project", "domain"):
            if key in filters:
                filters[f"launch_plan__{key}"] = filters.pop(key)
        mine = access.readable(user_of(request), project="launch_plan__project", domain="launch_plan__domain")
        rows = Schedule.objects.filter(mine, **filters).select_related("launch_plan").defer(*_HEAVY)
        return self.page(request, rows, ScheduleOut)
