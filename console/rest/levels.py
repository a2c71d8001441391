"""Service levels, how well they are kept, and how available Causeway is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_level
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, ListView, ScopeFilters, read_body, read_query, user_of
from scheduler.actions.levels import remove_level, set_level
from scheduler.levels.attainment import attainment, availability, over_time
from scheduler.models import ServiceLevel

TAGS = ["service levels"]


class LevelBody(Body):
    project = serializers.CharField(max_length=64)
    domain = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(choices=ServiceLevel.Kind.choices)
    name = serializers.CharField(max_length=255, help_text="of the artifact; of ends_within and p95_within the plan's")
    partitions = serializers.DictField(child=serializers.CharField(), required=False, default=dict)
    time = serializers.CharField(required=False, allow_blank=True, default="", max_length=5, help_text="HH:MM")
    zone = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=64, help_text="Europe/Berlin; UTC unless given"
    )
    seconds = serializers.FloatField(required=False, allow_null=True, default=None, help_text="at most so old, or long")


class LevelOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField()
    domain = serializers.CharField()
    kind = serializers.ChoiceField(choices=ServiceLevel.Kind.choices)
    name = serializers.CharField()
    words = serializers.CharField(help_text="what was promised")
    partitions = serializers.DictField(child=serializers.CharField())
    time = serializers.CharField()
    zone = serializers.CharField()
    seconds = serializers.FloatField(allow_null=True)
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()
    met = serializers.SerializerMethodField(help_text="in the last 30 days")
    breached = serializers.SerializerMethodField()
    attainment = serializers.SerializerMethodField(help_text="from 0 to 1: of what was due; of fresh, of the time")
    open_since = serializers.SerializerMethodField(help_text="of a breach that lasts")

    def get_met(self, row: ServiceLevel) -> int:
        return int(self._of(row).met)

    def get_breached(self, row: ServiceLevel) -> int:
        return int(self._of(row).breached)

    def get_attainment(self, row: ServiceLevel) -> float | None:
        share: float | None = self._of(row).share
        return share

    def get_open_since(self, row: ServiceLevel) -> str | None:
        since = self._of(row).open_since
        return since.isoformat() if since is not None else None

    def _of(self, row: ServiceLevel) -> Any:
        return self.context["attainment"][row.pk]


def told_of(rows: list[ServiceLevel]) -> dict[str, Any]:
    return {"attainment": attainment(rows, now=timezone.now())}


class LevelsView(ListView):
    newest_by = "set_at"

    @extend_schema(parameters=[ScopeFilters], responses=LevelOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Service levels, with how well each was kept in the last 30 days."""
        filters = read_query(ScopeFilters, request)
        rows = ServiceLevel.objects.filter(access.readable(user_of(request)), removed_at__isnull=True, **filters)
        return self.page(request, rows, LevelOut, context_of=told_of)

    @extend_schema(request=LevelBody, responses={201: LevelOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Promise something of an artifact or a launch plan; from now on it is looked whether it is kept."""
        user = user_of(request)
        body = read_body(LevelBody, request)
        where = f"project {body['project']} with domain {body['domain']}"
        access.require_found(user, Action.ACTIVATE, body["project"], body["domain"], what=where)
        body["kind"] = ServiceLevel.Kind(body["kind"])
        row = set_level(**body, actor=user.username)
        return Response(LevelOut(row, context=told_of([row])).data, status=201)


class DayOut(serializers.Serializer[Any]):
    day = serializers.DateField()
    met = serializers.IntegerField()
    breached = serializers.IntegerField()


class LevelDetail(LevelOut):
    days = serializers.SerializerMethodField(help_text="of the last 30 days, those on which something was due")

    def get_days(self, row: ServiceLevel) -> list[dict[str, Any]]:
        found = over_time(row, now=timezone.now())
        return [{"day": day.date().isoformat(), "met": met, "breached": bad} for day, met, bad in found]


class LevelView(ApiView):
    @extend_schema(responses=LevelDetail, tags=TAGS)
    def get(self, request: Request, level_id: int) -> Response:
        """One service level, with how it was kept day by day."""
        row = access_level(user_of(request), level_id)
        return Response(LevelDetail(row, context=told_of([row])).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, level_id: int) -> Response:
        """Look at it no more; what came of it stays."""
        user = user_of(request)
        remove_level(access_level(user, level_id, action=Action.ACTIVATE), actor=user.username)
        return Response(status=204)


class LevelOutcomeOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    met = serializers.BooleanField()
    at = serializers.DateTimeField(help_text="when it was due, or became too late")
    until = serializers.DateTimeField(allow_null=True, help_text="of a breach that lasts: null")
    value = serializers.FloatField(allow_null=True, help_text="seconds")
    subject = serializers.CharField(help_text="the version or execution")


class OutcomeFilters(Filters):
    met = serializers.BooleanField(required=False, allow_null=True, default=None)


class LevelOutcomesView(ListView):
    newest_by = "at"

    @extend_schema(parameters=[OutcomeFilters], responses=LevelOutcomeOut(many=True), tags=TAGS)
    def get(self, request: Request, level_id: int) -> Response:
        """What came of it, newest first; `met=false`: breaches."""
        met = read_query(OutcomeFilters, request)["met"]
        rows = access_level(user_of(request), level_id).outcomes.all()
        return self.page(request, rows if met is None else rows.filter(met=met), LevelOutcomeOut)


class SpanOut(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()


class AvailabilityOut(serializers.Serializer[Any]):
    since = serializers.DateTimeField(source="window.since")
    until = serializers.DateTimeField(source="window.until")
    availability = serializers.FloatField(source="share", allow_null=True, help_text="of the time, from 0 to 1")
    down = SpanOut(many=True)
    counts = serializers.DictField(child=serializers.IntegerField())


class AvailabilityFilters(Body):
    days = serializers.FloatField(required=False, default=30, min_value=0.01, max_value=3660)


class AvailabilityView(ApiView):
    @extend_schema(parameters=[AvailabilityFilters], responses=AvailabilityOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """Causeway's own: when it was down, and what was lost or broke, of the last days."""
        access.require(user_of(request), Action.WATCH)
        days = read_query(AvailabilityFilters, request)["days"]
        return Response(AvailabilityOut(availability(now=timezone.now(), window=timedelta(days=days))).data)
