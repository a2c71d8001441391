"""Schedules: what they launched and when they will, pausing them, launching once now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_schedule
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, Filters, ListView, ScopeFilters, read_body, read_query, user_of
from console.rest.fields import EntityName
from console.rest.triggers import VouchedFor
from scheduler.models import Schedule, ScheduleFire
from scheduler.schedules import switch
from scheduler.schedules.backfill import backfill, slots
from scheduler.schedules.fire import run_now
from scheduler.schedules.parse import recurrence_of
from scheduler.schedules.words import in_words

_HEAVY = ["launch_plan__spec", "launch_plan__closure", "launch_plan__digest"]


class LaunchedNow(serializers.Serializer[Any]):
    execution = serializers.CharField(help_text="project/domain/name")


class ScheduleOut(VouchedFor):
    id = serializers.IntegerField()
    launch_plan = EntityName()
    kind = serializers.ChoiceField(choices=Schedule.Kind.choices)
    expression = serializers.CharField(help_text="cron, or the rate in seconds")
    words = serializers.SerializerMethodField(help_text="the same for people: at 03:00, every day")
    time_zone = serializers.CharField(help_text="whose clocks the cron expression means")
    offset_seconds = serializers.IntegerField(help_text="how long after its nominal time it launches")
    kickoff_input = serializers.CharField(help_text="the input that gets the nominal time; empty: none")
    active = serializers.BooleanField()
    paused_at = serializers.DateTimeField(allow_null=True, help_text="since when it is paused; null: it is not")
    paused_by = serializers.CharField()
    last_fire_at = serializers.DateTimeField(allow_null=True, help_text="nominal time of the last launch")
    next_fire_at = serializers.DateTimeField(
        allow_null=True, help_text="when it launches next; null: not active, or paused"
    )

    def get_words(self, schedule: Schedule) -> str:
        return in_words(recurrence_of(schedule))


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


class ScheduleView(ApiView):
    @extend_schema(responses=ScheduleOut, tags=["triggers"])
    def get(self, request: Request, schedule_id: int) -> Response:
        """One schedule."""
        return Response(ScheduleOut(access_schedule(user_of(request), schedule_id)).data)


def _switched(request: Request, schedule_id: int, change: Callable[..., Schedule]) -> Response:
    access_schedule(user_of(request), schedule_id, action=Action.ACTIVATE)
    change(schedule_id, actor=user_of(request).username)
    return Response(ScheduleOut(access_schedule(user_of(request), schedule_id)).data)


class PauseScheduleView(ApiView):
    @extend_schema(request=None, responses=ScheduleOut, tags=["triggers"])
    def post(self, request: Request, schedule_id: int) -> Response:
        """Launch nothing by the clock until it is resumed. What falls due meanwhile is launched by nobody."""
        return _switched(request, schedule_id, switch.pause)


class ResumeScheduleView(ApiView):
    @extend_schema(request=None, responses=ScheduleOut, tags=["triggers"])
    def post(self, request: Request, schedule_id: int) -> Response:
        """Go on with the next nominal time."""
        return _switched(request, schedule_id, switch.resume)


class RunScheduleView(ApiView):
    @extend_schema(request=None, responses={201: LaunchedNow}, tags=["triggers"])
    def post(self, request: Request, schedule_id: int) -> Response:
        """Launch once now, whatever the clock says; its kickoff input gets this moment."""
        user = user_of(request)
        schedule = access_schedule(user, schedule_id, action=Action.LAUNCH)
        return Response({"execution": run_now(schedule, actor=user.username).key}, status=201)


class RangeIn(Filters):
    start = serializers.DateTimeField(help_text="the first nominal time may be this one")
    end = serializers.DateTimeField(help_text="nominal times before it; now at the latest")


class SlotOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="the nominal time")
    open = serializers.BooleanField(source="is_open", help_text="whether it would be launched")
    execution = serializers.CharField(source="fire.execution.key", default=None, allow_null=True)
    error = serializers.CharField(source="fire.error", default="", help_text="why nothing was launched")


class SlotsOut(serializers.Serializer[Any]):
    results = SlotOut(many=True)


class RefusedOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    error = serializers.CharField()


class FilledOut(serializers.Serializer[Any]):
    launched = serializers.ListField(child=serializers.CharField(), help_text="executions")
    refused = RefusedOut(many=True)
    left = serializers.IntegerField(help_text="open ones that it did not come to: ask once more")


class BackfillView(ApiView):
    @extend_schema(operation_id="backfill_preview", parameters=[RangeIn], responses=SlotsOut, tags=["triggers"])
    def get(self, request: Request, schedule_id: int) -> Response:
        """The nominal times of a range, and which of them nothing came of."""
        wanted = read_query(RangeIn, request)
        schedule = access_schedule(user_of(request), schedule_id)
        return Response(SlotsOut({"results": slots(schedule, wanted["start"], wanted["end"])}).data)

    @extend_schema(operation_id="backfill", request=RangeIn, responses=FilledOut, tags=["triggers"])
    def post(self, request: Request, schedule_id: int) -> Response:
        """Launch those that nothing came of, each once, the oldest first, 100 at most."""
        user = user_of(request)
        schedule = access_schedule(user, schedule_id, action=Action.LAUNCH)
        wanted = read_body(RangeIn, request)
        filled = backfill(schedule, wanted["start"], wanted["end"], actor=user.username)
        data = {
            "launched": [execution.key for execution in filled.launched],
            "refused": [{"at": at, "error": error} for at, error in filled.refused],
            "left": filled.left,
        }
        return Response(FilledOut(data).data)


class FireOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField(source="fire_at", help_text="the nominal time")
    execution = serializers.CharField(source="execution.key", default=None, allow_null=True)
    error = serializers.CharField(help_text="why nothing was launched")


class FiresView(ListView):
    newest_by = "fire_at"

    @extend_schema(responses=FireOut(many=True), tags=["triggers"])
    def get(self, request: Request, schedule_id: int) -> Response:
        """The nominal times that a schedule dealt with, newest first, with what was launched."""
        read_query(Filters, request)
        fires = ScheduleFire.objects.filter(schedule=access_schedule(user_of(request), schedule_id))
        return self.page(request, fires.select_related("execution").defer("execution__spec"), FireOut)
