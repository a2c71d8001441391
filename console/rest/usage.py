"""What was used: cores, bytes and devices times the time that attempts ran."""

from __future__ import annotations

import csv
import io
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import usage
from console.rest.base import ApiView, Filters, read_query, user_of

TAGS = ["quotas"]


class UsageFilters(Filters):
    start = serializers.DateTimeField(required=False, help_text="left out: the beginning of this month, UTC")
    end = serializers.DateTimeField(required=False, help_text="left out: now")
    by = serializers.CharField(
        required=False, default="project", max_length=64, help_text=f"with commas: {', '.join(usage.GROUPS)}"
    )


class UsedOut(serializers.Serializer[Any]):
    group = serializers.DictField(child=serializers.CharField())
    resource = serializers.CharField(help_text="`attempts`: the time that they ran")
    seconds = serializers.FloatField(help_text="times the amount: core seconds, byte seconds, GPU seconds")
    hours = serializers.FloatField()
    cost = serializers.FloatField(allow_null=True, help_text="in the prices of then (see /prices); null: it had none")


class UsageOut(serializers.Serializer[Any]):
    results = UsedOut(many=True)


class UsageView(ApiView):
    @extend_schema(operation_id="usage", parameters=[UsageFilters], responses=UsageOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """What attempts asked for, times the time that they ran; of the projects you may read."""
        return Response(UsageOut({"results": _found(request)}).data)


class UsageCsvView(ApiView):
    @extend_schema(parameters=[UsageFilters], responses={(200, "text/csv"): OpenApiTypes.STR}, tags=TAGS)
    def get(self, request: Request) -> HttpResponse:
        """The same as CSV."""
        found = _found(request)
        names = list(found[0].group) if found else []
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow([*names, "resource", "seconds", "hours", "cost"])
        for one in found:
            amounts = [repr(one.seconds), repr(one.hours), "" if one.cost is None else repr(one.cost)]
            table.writerow([*map(_cell, one.group.values()), one.resource, *amounts])
        return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")


def _cell(text: str) -> str:
    """No spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _found(request: Request) -> list[usage.Used]:
    wanted = read_query(UsageFilters, request)
    by = tuple(dict.fromkeys(name.strip() for name in wanted["by"].split(",") if name.strip()))
    return usage.usage(user_of(request), start=wanted.get("start"), end=wanted.get("end"), by=by)
