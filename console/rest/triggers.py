"""Triggers with their ledger of firings, and schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.models import ArtifactVersion
from console.access_objects import access_artifact, access_firing, access_trigger, access_version
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.rest.base import ApiView, Body, Filters, ListView, ScopeFilters, read_body, read_query, user_of
from console.rest.fields import EntityName, ResolutionField
from scheduler.authority import Authority
from scheduler.ledger import told_history, told_reason
from scheduler.models import (
    Backlog,
    FiringOutcome,
    OnLimit,
    Schedule,
    Trigger,
    TriggerFiring,
    TriggerMode,
    TriggerSource,
)
from scheduler.triggers.evaluate import retry_by_hand
from scheduler.triggers.limits import read_limits
from scheduler.triggers.preview import hypothetical, preview
from scheduler.triggers.switch import pause, reset_limits, resume, set_limits
from scheduler.vouching import lacks, vouching

_HEAVY = ["launch_plan__spec", "launch_plan__closure", "launch_plan__digest"]


class SourceOut(serializers.Serializer[Any]):
    project = serializers.CharField()
    domain = serializers.CharField()
    name = serializers.CharField()
    partitions = serializers.DictField(child=serializers.CharField(), help_text="only these values fire; empty: any")
    time_partition = serializers.DateTimeField(allow_null=True, help_text="only this one fires; null: any")


class LimitsOut(serializers.Serializer[Any]):
    rate_count = serializers.IntegerField(allow_null=True)
    rate_seconds = serializers.FloatField(allow_null=True)
    max_concurrent = serializers.IntegerField(allow_null=True)
    on_limit = serializers.ChoiceField(choices=OnLimit.choices)
    newest_only = serializers.BooleanField()


class VouchedFor(serializers.Serializer[Any]):
    """By whose name a trigger or schedule launches, and whether it can."""

    activated_by = serializers.CharField(help_text="launches by this name; empty: not known, the control plane's")
    stopped = serializers.SerializerMethodField(help_text="why it launches nothing although active; empty: it does")

    def get_stopped(self, row: Trigger | Schedule) -> str:
        if not row.active:
            return ""
        known: dict[Authority, Authority] = self.__dict__.setdefault("_known", {})  # of a page of rows, each name once
        authority = known.setdefault(vouching(row), vouching(row))
        sources = [(one.project, one.domain) for one in row.sources.all()] if isinstance(row, Trigger) else []
        return lacks(authority, place=(row.launch_plan.project, row.launch_plan.domain), sources=sources)


class TriggerOut(VouchedFor):
    id = serializers.IntegerField()
    launch_plan = EntityName()
    artifact_project = serializers.CharField(help_text="of the first source")
    artifact_domain = serializers.CharField()
    artifact_name = serializers.CharField()
    partitions = serializers.DictField(child=serializers.CharField(), help_text="only these values fire; empty: any")
    active = serializers.BooleanField()
    activated_at = serializers.DateTimeField(allow_null=True)
    alias = serializers.CharField(help_text="fires when it moves; empty: for publications")
    needs_checks = serializers.BooleanField(help_text="only versions that no check blocks")
    mode = serializers.ChoiceField(choices=TriggerMode.choices)
    join_on = serializers.ListField(child=serializers.CharField())
    window_seconds = serializers.FloatField(allow_null=True)
    sources = SourceOut(many=True)
    limits = LimitsOut(source="*")
    limits_by = serializers.CharField(help_text="who set them; empty: the program")
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_by = serializers.CharField()
    backlog = serializers.ChoiceField(choices=Backlog.choices, allow_blank=True)


class TriggerFilters(ScopeFilters):
    artifact_project = serializers.CharField(required=False)
    artifact_domain = serializers.CharField(required=False)
    artifact_name = serializers.CharField(required=False, help_text="any of the artifacts it watches")
    launch_plan = serializers.CharField(required=False)
    active = serializers.BooleanField(required=False, default=None, allow_null=True)
    paused = serializers.BooleanField(required=False, default=None, allow_null=True)


_SOURCE = {"artifact_project": "project", "artifact_domain": "domain", "artifact_name": "name"}


class TriggersView(ListView):
    newest_by = "launch_plan__created_at"

    @extend_schema(parameters=[TriggerFilters], responses=TriggerOut(many=True), tags=["triggers"])
    def get(self, request: Request) -> Response:
        """Triggers of the launch plans I may read. `project` and `domain` are the launch plan's."""
        asked = {key: value for key, value in read_query(TriggerFilters, request).items() if value is not None}
        watched = {_SOURCE[key]: asked.pop(key) for key in list(asked) if key in _SOURCE}
        filters: dict[str, Any] = {}
        for key, column in (("project", "project"), ("domain", "domain"), ("launch_plan", "name")):
            if key in asked:
                filters[f"launch_plan__{column}"] = asked.pop(key)
        if "paused" in asked:
            filters["paused_at__isnull"] = not asked.pop("paused")
        mine = access.readable(user_of(request), project="launch_plan__project", domain="launch_plan__domain")
        rows = Trigger.objects.filter(mine, **filters, **asked)
        if watched:
            rows = rows.filter(pk__in=TriggerSource.objects.filter(**watched).values("trigger"))
        rows = rows.select_related("launch_plan").prefetch_related("sources").defer("condition", *_HEAVY)
        return self.page(request, rows, TriggerOut)


class TriggerView(ApiView):
    @extend_schema(responses=TriggerOut, tags=["triggers"])
    def get(self, request: Request, trigger_id: int) -> Response:
        """One trigger."""
        return Response(TriggerOut(access_trigger(user_of(request), trigger_id)).data)


class PauseBody(Body):
    backlog = serializers.ChoiceField(
        choices=Backlog.choices,
        required=False,
        default=Backlog.KEEP,
        help_text="what is published meanwhile: keep and launch when resumed, or drop",
    )


def _changed(request: Request, trigger_id: int, change: Callable[[str], object]) -> Response:
    """`change` is given who asks for it."""
    user = user_of(request)
    access_trigger(user, trigger_id, action=Action.ACTIVATE)
    change(user.username)
    return Response(TriggerOut(access_trigger(user, trigger_id)).data)


class PauseView(ApiView):
    @extend_schema(request=PauseBody, responses=TriggerOut, tags=["triggers"])
    def post(self, request: Request, trigger_id: int) -> Response:
        """Launch nothing for now. What waits already stays."""
        body = read_body(PauseBody, request)
        backlog = Backlog(body["backlog"])
        return _changed(request, trigger_id, lambda actor: pause(trigger_id, backlog=backlog, actor=actor))


class ResumeView(ApiView):
    @extend_schema(request=None, responses=TriggerOut, tags=["triggers"])
    def post(self, request: Request, trigger_id: int) -> Response:
        """Launch again: what waits first, in order."""
        return _changed(request, trigger_id, lambda actor: resume(trigger_id, actor=actor))


class LimitsBody(Body):
    rate_count = serializers.IntegerField(required=False, allow_null=True)
    rate_seconds = serializers.FloatField(required=False, allow_null=True)
    max_concurrent = serializers.IntegerField(required=False, allow_null=True)
    on_limit = serializers.ChoiceField(choices=OnLimit.choices, required=False)
    newest_only = serializers.BooleanField(required=False)


class LimitsView(ApiView):
    @extend_schema(request=LimitsBody, responses=TriggerOut, tags=["triggers"])
    def put(self, request: Request, trigger_id: int) -> Response:
        """Other limits than the program's: all of them, those left out do not hold."""
        limits = read_limits(read_body(LimitsBody, request))
        return _changed(request, trigger_id, lambda actor: set_limits(trigger_id, limits, actor=actor))

    @extend_schema(responses={200: TriggerOut}, tags=["triggers"])
    def delete(self, request: Request, trigger_id: int) -> Response:
        """The program's limits again."""
        return _changed(request, trigger_id, lambda actor: reset_limits(trigger_id, actor=actor))


class StationOut(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=FiringOutcome.choices)
    at = serializers.DateTimeField(help_text="when it was last found so")
    reason = serializers.CharField()


class FiringOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    trigger = serializers.IntegerField(source="trigger_id")
    launch_plan = EntityName(source="trigger.launch_plan")
    version_id = serializers.IntegerField(allow_null=True, help_text="null, as the next two: one you may not read")
    artifact = serializers.CharField(source="version.artifact", allow_null=True)
    version = serializers.CharField(source="version.version", allow_null=True)
    outcome = serializers.ChoiceField(choices=FiringOutcome.choices)
    reason = serializers.CharField()
    execution = serializers.CharField(source="execution.key", default=None, allow_null=True)
    resolution = ResolutionField(help_text="for each input how it was found")
    published_at = serializers.DateTimeField()
    at = serializers.DateTimeField()
    latency_ms = serializers.FloatField(allow_null=True)
    tries = serializers.IntegerField()
    retry_at = serializers.DateTimeField(allow_null=True)
    generation = serializers.IntegerField(help_text="1 + the reactions that led to its version")
    round = serializers.IntegerField(source="round_id", allow_null=True, help_text="shared by what is joined")
    history = serializers.SerializerMethodField(help_text="what it was before, oldest first: its last 100 moves")

    @extend_schema_field(StationOut(many=True))
    def get_history(self, firing: TriggerFiring) -> Any:
        may_read = access.may_read(user_of(self.context["request"]))
        return StationOut(told_history(firing, may_read), many=True).data

    def to_representation(self, instance: TriggerFiring) -> dict[str, Any]:
        shown = dict(super().to_representation(instance))
        user, artifact = user_of(self.context["request"]), instance.version.artifact
        if not access.can(user, Action.READ, artifact.project, artifact.domain):
            shown |= {"version_id": None, "artifact": None, "version": None}
        return shown | {"reason": told_reason(instance, access.may_read(user))}


class FiringFilters(Filters):
    outcome = serializers.ChoiceField(choices=FiringOutcome.choices, required=False)
    version_id = serializers.IntegerField(required=False)
    artifact_name = serializers.CharField(required=False)


class AllFiringFilters(FiringFilters, ScopeFilters):
    launch_plan = serializers.CharField(required=False)


_FIRING_COLUMNS = {
    "artifact_name": "version__artifact__name",
    "launch_plan": "trigger__launch_plan__name",
    "project": "trigger__launch_plan__project",
    "domain": "trigger__launch_plan__domain",
}


def _firings(asked: Mapping[str, Any]) -> QuerySet[TriggerFiring]:
    rows = TriggerFiring.objects.filter(**{_FIRING_COLUMNS.get(key, key): value for key, value in asked.items()})
    return rows.select_related("trigger__launch_plan", "version__artifact", "execution").defer(
        "version__literal",
        "version__literal_type",
        "version__card",
        "execution__spec",
        "trigger__condition",
        "trigger__launch_plan__spec",
        "trigger__launch_plan__closure",
    )


class FiringsView(ListView):
    newest_by = "at"

    @extend_schema(parameters=[FiringFilters], responses=FiringOut(many=True), tags=["triggers"])
    def get(self, request: Request, trigger_id: int) -> Response:
        """The ledger of a trigger: every version it saw, what came of it and why."""
        trigger = access_trigger(user_of(request), trigger_id)
        rows = _firings(read_query(FiringFilters, request)).filter(trigger=trigger)
        return self.page(request, rows, FiringOut)


class AllFiringsView(ListView):
    newest_by = "at"

    @extend_schema(parameters=[AllFiringFilters], responses=FiringOut(many=True), tags=["triggers"])
    def get(self, request: Request) -> Response:
        """The ledger of all triggers of the launch plans I may read. `project` and `domain` are the launch plan's."""
        mine = access.readable(
            user_of(request), project="trigger__launch_plan__project", domain="trigger__launch_plan__domain"
        )
        return self.page(request, _firings(read_query(AllFiringFilters, request)).filter(mine), FiringOut)


class FiringView(ApiView):
    @extend_schema(responses=FiringOut, tags=["triggers"])
    def get(self, request: Request, firing_id: int) -> Response:
        """One row of the ledger."""
        access_firing(user_of(request), firing_id)
        return Response(FiringOut(_firings({"pk": firing_id}).get(), context={"request": request}).data)


class RetryView(ApiView):
    @extend_schema(request=None, responses=FiringOut, tags=["triggers"])
    def post(self, request: Request, firing_id: int) -> Response:
        """Launch after all for a version that was skipped, expired, failed or did not resolve. A chain may go on."""
        user = user_of(request)
        firing = access_firing(user, firing_id, action=Action.LAUNCH)
        retry_by_hand(firing.pk, actor=user.username)
        return Response(FiringOut(_firings({"pk": firing_id}).get(), context={"request": request}).data)


class PreviewOut(serializers.Serializer[Any]):
    trigger = serializers.IntegerField(source="trigger.pk")
    launch_plan = EntityName(source="trigger.launch_plan")
    launches = serializers.BooleanField()
    reason = serializers.CharField(help_text="why it would not launch now")
    inputs = serializers.DictField(help_text="for each input how it would be found")


class PreviewFilters(Filters):
    inactive = serializers.BooleanField(required=False, default=False, help_text="launch plans not active, too")


class PreviewBody(Body):
    partitions = serializers.DictField(child=serializers.CharField(trim_whitespace=False), required=False, default=dict)
    time_partition = serializers.DateTimeField(required=False, allow_null=True, default=None)
    inactive = serializers.BooleanField(required=False, default=False)


def _previews(user: User, version: ArtifactVersion, *, inactive: bool) -> Response:
    found = [
        one
        for one in preview(version, reader=Authority(user.username), inactive=inactive)
        if access.can(user, Action.READ, one.trigger.launch_plan.project, one.trigger.launch_plan.domain)
    ]
    return Response({"results": PreviewOut(found, many=True).data})


class PreviewResults(serializers.Serializer[Any]):
    results = PreviewOut(many=True)


class VersionTriggersView(ApiView):
    @extend_schema(parameters=[PreviewFilters], responses=PreviewResults, tags=["triggers"])
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """What the version would trigger if it were published now, with which inputs. Nothing is launched."""
        found = access_version(user_of(request), project, domain, name, version)
        return _previews(user_of(request), found, inactive=read_query(PreviewFilters, request)["inactive"])


class PreviewView(ApiView):
    @extend_schema(request=PreviewBody, responses=PreviewResults, tags=["triggers"])
    def post(self, request: Request, project: str, domain: str, name: str) -> Response:
        """What a version with these partitions would trigger. Nothing is published or launched."""
        artifact = access_artifact(user_of(request), project, domain, name)
        body = read_body(PreviewBody, request)
        version = hypothetical(artifact, partitions=body["partitions"], time_partition=body["time_partition"])
        return _previews(user_of(request), version, inactive=body["inactive"])
