"""Naming rules: which datasets of other systems become artifacts."""

from __future__ import annotations

import dataclasses
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import dataset_rules
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of
from lineage.actions.dataset_rules import SHAPES, TIMES, Wanted, wanted_of

TAGS = ["lineage"]


class DatasetRuleChange(Body):
    namespace = serializers.CharField(
        required=False, max_length=500, help_text="a pattern: `*`, and `{word}` for parts"
    )
    name = serializers.CharField(required=False, max_length=500, help_text="a pattern, as of the namespace")
    artifact = serializers.CharField(required=False, max_length=255, help_text="its name, with parts as `{word}`")
    partitions = serializers.DictField(child=serializers.CharField(max_length=255), required=False)
    position = serializers.IntegerField(required=False, min_value=0, max_value=1_000_000, help_text="the first counts")
    shape = serializers.ChoiceField(choices=SHAPES, required=False)
    format = serializers.CharField(required=False, allow_blank=True, max_length=40)
    by_time = serializers.ChoiceField(
        choices=TIMES, required=False, allow_blank=True, help_text="partition by the run's nominal time, to this"
    )


class DatasetRuleBody(DatasetRuleChange):
    project = serializers.CharField(max_length=64)
    domain = serializers.CharField(max_length=64)
    namespace = serializers.CharField(max_length=500)
    name = serializers.CharField(max_length=500)
    artifact = serializers.CharField(max_length=255)


class DatasetRuleOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField()
    domain = serializers.CharField()
    position = serializers.IntegerField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    artifact = serializers.CharField()
    partitions = serializers.DictField(child=serializers.CharField())
    shape = serializers.CharField()
    format = serializers.CharField()
    by_time = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class RulesView(ListView):
    @extend_schema(parameters=[ScopeFilters], responses=DatasetRuleOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Naming rules of the places that you read."""
        rows = dataset_rules.visible(user_of(request)).filter(**read_query(ScopeFilters, request))
        return self.page(request, rows, DatasetRuleOut)

    @extend_schema(request=DatasetRuleBody, responses={201: DatasetRuleOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Make a naming rule; it counts for what is told from now on."""
        body = read_body(DatasetRuleBody, request)
        project, domain = body.pop("project"), body.pop("domain")
        rule = dataset_rules.make(project, domain, Wanted(**body), actor=user_of(request))
        return Response(DatasetRuleOut(rule).data, status=201)


class RuleView(ApiView):
    @extend_schema(responses=DatasetRuleOut, tags=TAGS)
    def get(self, request: Request, pk: int) -> Response:
        """One naming rule."""
        return Response(DatasetRuleOut(dataset_rules.find(user_of(request), pk)).data)

    @extend_schema(request=DatasetRuleChange, responses=DatasetRuleOut, tags=TAGS)
    def patch(self, request: Request, pk: int) -> Response:
        """Change some of it; what it made before stays."""
        user = user_of(request)
        rule = dataset_rules.find(user, pk)
        wanted = dataclasses.replace(wanted_of(rule), **read_body(DatasetRuleChange, request))
        return Response(DatasetRuleOut(dataset_rules.change(rule, wanted, actor=user)).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, pk: int) -> Response:
        """Remove it; what it made stays."""
        user = user_of(request)
        dataset_rules.remove(dataset_rules.find(user, pk), actor=user)
        return Response(status=204)
