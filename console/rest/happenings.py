"""What happened, newest first."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.happenings import KINDS
from artifacts.models import Happening
from console.accounts import access
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_query, user_of


class HappeningFilters(ScopeFilters):
    kind = serializers.ChoiceField(choices=sorted(KINDS), required=False)
    version = serializers.IntegerField(required=False, help_text="id of an artifact version")
    execution_key = serializers.CharField(required=False, help_text="project/domain/name")
    name = serializers.CharField(required=False, help_text="of the alias, the check, the signal")
    actor = serializers.CharField(required=False)
    unfinished = serializers.BooleanField(
        required=False, default=False, help_text="only those of which something is tried again, or was given up"
    )


class HappeningOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.CharField()
    at = serializers.DateTimeField()
    project = serializers.CharField()
    domain = serializers.CharField()
    subject = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField(source="version_id", allow_null=True)
    execution_key = serializers.CharField()
    actor = serializers.CharField()
    cause = serializers.IntegerField(source="cause_id", allow_null=True, help_text="the happening that it follows from")
    detail = serializers.DictField()
    undone = serializers.ListField(child=serializers.CharField(), help_text="what follows from it and is not done")
    retry_at = serializers.DateTimeField(allow_null=True, help_text="when that is tried again; null: it was given up")
    tries = serializers.IntegerField(help_text="of what broke")


class HappeningsView(ListView):
    newest_by = "at"

    @extend_schema(parameters=[HappeningFilters], responses=HappeningOut(many=True), tags=["governance"])
    def get(self, request: Request) -> Response:
        """Publications, moves of aliases, checks, approvals and all else that is kept as having happened."""
        filters = read_query(HappeningFilters, request)
        unfinished = filters.pop("unfinished")
        rows = Happening.objects.filter(access.readable(user_of(request)), **filters)
        return self.page(request, rows.exclude(undone=[]) if unfinished else rows, HappeningOut)


class KindOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    words = serializers.CharField(help_text="what it did, behind its subject")


class KindsView(ApiView):
    @extend_schema(responses=KindOut(many=True), tags=["governance"])
    def get(self, request: Request) -> Response:
        """The kinds of happenings that there are: what a subscription may name."""
        read_query(Body, request)
        return Response(KindOut([KINDS[name] for name in sorted(KINDS)], many=True).data)
