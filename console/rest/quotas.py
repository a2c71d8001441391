"""Quotas: how much of what may be used at once, or in a window, and what waits for them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import places, quotas
from console.rest.base import ApiView, Body, Filters, read_body, read_query, user_of
from scheduler.actions.quotas import Wanted, access, change_quota, remove_quota, scope_of, scope_of_row, set_quota
from scheduler.models import QuotaScope, QuotaWindow
from scheduler.models.quota import WARN_AT

TAGS = ["quotas"]


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "string", "description": "a quantity: 500m, 16Gi"}]})
class AmountField(serializers.JSONField):
    pass


class ChangesBody(Body):
    limit = AmountField(required=False, help_text="a number or a quantity of Kubernetes; nothing that runs is stopped")
    warn_at = serializers.IntegerField(required=False, help_text=f"percent of the limit; {WARN_AT} where none is said")
    guaranteed = AmountField(required=False, help_text="of the limit: kept free for this scope in wider quotas")
    borrows_from = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=300,
        help_text="of a project: another project whose quota of this resource may be used where it is free",
    )
    valid_from = serializers.DateTimeField(required=False, allow_null=True)
    valid_until = serializers.DateTimeField(required=False, allow_null=True)


class QuotaBody(ChangesBody):
    scope = serializers.ChoiceField(
        choices=QuotaScope.values, required=False, help_text="left out: by what is named of the four below"
    )
    project = serializers.CharField(required=False, allow_blank=True, default="", max_length=64)
    domain = serializers.CharField(required=False, allow_blank=True, default="", max_length=64)
    user = serializers.CharField(required=False, allow_blank=True, default="", max_length=150)
    launch_plan = serializers.CharField(required=False, allow_blank=True, default="", max_length=255)
    resource = serializers.CharField(
        max_length=128,
        help_text="executions, launches (a minute), attempts (pods), cpu, memory, ephemeral-storage, nvidia.com/gpu "
        "(or gpu), gpu:MODEL, cpu-hours, gpu-hours, weight (of a project in turns), preemption (1 or 0), or "
        "google.com/tpu and the like",
    )
    window = serializers.ChoiceField(
        choices=QuotaWindow.values, required=False, help_text="of hours, in UTC; left out: month"
    )
    limit = AmountField(help_text="a number or a quantity of Kubernetes; nothing that runs is stopped")


class QuotaOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="row.pk")
    scope = serializers.ChoiceField(choices=QuotaScope.values, source="row.scope")
    subject = serializers.CharField(source="row.subject", help_text="whose use it counts, in words")
    project = serializers.CharField(source="row.project")
    domain = serializers.CharField(source="row.domain")
    user = serializers.CharField(source="row.user")
    launch_plan = serializers.CharField(source="row.launch_plan")
    resource = serializers.CharField(source="row.resource")
    window = serializers.CharField(source="row.window")
    limit = serializers.FloatField(source="row.limit", help_text="in cores, bytes, pieces or hours")
    used = serializers.FloatField(help_text="now; of hours in this window; what others borrow counts")
    percent = serializers.IntegerField(help_text="of the limit")
    state = serializers.ChoiceField(choices=["ok", "warning", "full", "borrowing", "over", "off"])
    waiting = serializers.IntegerField(help_text="attempts (of executions and launches: executions) that wait for it")
    warn_at = serializers.IntegerField(source="row.warn_at")
    guaranteed = serializers.FloatField(source="row.guaranteed")
    borrows_from = serializers.CharField(
        source="lender", help_text="its subject in words; `another project` where you may not read that one"
    )
    valid_from = serializers.DateTimeField(source="row.valid_from", allow_null=True)
    valid_until = serializers.DateTimeField(source="row.valid_until", allow_null=True)
    by_platform = serializers.BooleanField(
        source="row.by_platform", help_text="whether only an administrator of everything may lift it"
    )
    updated_by = serializers.CharField(source="row.updated_by")
    updated_at = serializers.DateTimeField(source="row.updated_at")


class QuotasOut(serializers.Serializer[Any]):
    results = QuotaOut(many=True)


class InLineOut(serializers.Serializer[Any]):
    project = serializers.CharField()
    domain = serializers.CharField()
    place = serializers.CharField(help_text="executor or cluster; empty: of executions that have not started")
    code = serializers.CharField(help_text="quota, capacity, priority, launch limit or cluster away")
    message = serializers.CharField()
    count = serializers.IntegerField()
    since = serializers.DateTimeField()
    starts_at = serializers.DateTimeField(
        allow_null=True, help_text="about, the next of them if nobody else comes first; null: nobody can tell"
    )


class QueueOut(serializers.Serializer[Any]):
    results = InLineOut(many=True)


class LoadOut(serializers.Serializer[Any]):
    resource = serializers.CharField(help_text="cpu (cores), memory (bytes) or gpu (devices)")
    asked = serializers.FloatField()
    capacity = serializers.FloatField(help_text="0: not known; a cluster places by itself")


class PlaceOut(serializers.Serializer[Any]):
    executor = serializers.CharField()
    cluster = serializers.CharField(help_text="empty: there is one of that kind")
    processes = serializers.IntegerField(help_text="executors heard of lately")
    seen_at = serializers.DateTimeField(allow_null=True)
    running = serializers.IntegerField(help_text="attempts that it has")
    queued = serializers.IntegerField()
    loads = LoadOut(many=True)


class PlacesOut(serializers.Serializer[Any]):
    results = PlaceOut(many=True)


class ProjectFilter(Filters):
    project = serializers.CharField(required=False, default="", max_length=64)


class QuotasView(ApiView):
    @extend_schema(operation_id="quotas_list", parameters=[ProjectFilter], responses=QuotasOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """Quotas of the projects you may read, and those of everything, with what is in use."""
        project = read_query(ProjectFilter, request)["project"]
        return Response(QuotasOut({"results": quotas.shown(user_of(request), project=project)}).data)

    @extend_schema(operation_id="quotas_set", request=QuotaBody, responses={200: QuotaOut, 201: QuotaOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Set a quota; one of the same scope, resource and window is replaced.

        Administrators of everything set any; those of a project lower what it has. What runs is never stopped.
        """
        user, body = user_of(request), read_body(QuotaBody, request)
        names = ("project", "domain", "user", "launch_plan")
        scope = scope_of(body.pop("scope", ""), **{name: body.pop(name) for name in names})
        by = quotas.setter(user, scope)
        body["borrows_from"] = quotas.lender_meant(user, scope, body["resource"], body.get("borrows_from", ""))
        row, made = set_quota(Wanted(scope=scope, **body), by=by)
        return _answer(request, row.pk, status=201 if made else 200)


class QuotaView(ApiView):
    @extend_schema(responses=QuotaOut, tags=TAGS)
    def get(self, request: Request, pk: int) -> Response:
        """One quota, with what is in use."""
        return _answer(request, pk)

    @extend_schema(request=ChangesBody, responses=QuotaOut, tags=TAGS)
    def patch(self, request: Request, pk: int) -> Response:
        """Change what is named."""
        user, changes = user_of(request), read_body(ChangesBody, request)
        by = quotas.setter_of(user, pk)
        if "borrows_from" in changes:
            row = access(pk)
            changes["borrows_from"] = quotas.lender_meant(
                user, scope_of_row(row), row.resource, changes["borrows_from"]
            )
        change_quota(pk, changes, by=by)
        return _answer(request, pk)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, pk: int) -> Response:
        """Remove a quota: what waited for it starts."""
        remove_quota(pk, by=quotas.setter_of(user_of(request), pk))
        return Response(status=204)


class QueueView(ApiView):
    @extend_schema(operation_id="queue_list", parameters=[ProjectFilter], responses=QueueOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """What waits now and for what, of the projects you may read; what waits longest first."""
        project = read_query(ProjectFilter, request)["project"]
        return Response(QueueOut({"results": quotas.queue(user_of(request), project=project)}).data)


class PlacesView(ApiView):
    @extend_schema(operation_id="queue_places", responses=PlacesOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """Where work runs: executors and clusters, what is asked of them and what they have, over all projects."""
        read_query(Filters, request)
        return Response(PlacesOut({"results": places.places(user_of(request))}).data)


def _answer(request: Request, pk: int, status: int = 200) -> Response:
    return Response(QuotaOut(quotas.access_quota(user_of(request), pk)).data, status=status)
