"""What an hour of a resource costs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, Body, read_body, user_of
from scheduler.actions.prices import remove_price, set_price
from scheduler.models import Price

TAGS = ["quotas"]


class PriceBody(Body):
    resource = serializers.CharField(max_length=128, help_text="cpu, memory (of a GiB), nvidia.com/gpu, attempts ...")
    per_hour = serializers.FloatField(help_text="of a core, a GiB, a device, an attempt")
    currency = serializers.CharField(
        max_length=8, required=False, allow_blank=True, default="", help_text="the same for all prices"
    )
    valid_from = serializers.DateTimeField(required=False, allow_null=True, default=None, help_text="left out: now")


class PriceOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    resource = serializers.CharField()
    per_hour = serializers.FloatField()
    currency = serializers.CharField()
    valid_from = serializers.DateTimeField()
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()


class PricesOut(serializers.Serializer[Any]):
    results = PriceOut(many=True)


class PricesView(ApiView):
    @extend_schema(operation_id="prices_list", responses=PricesOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """All that were set: of each resource the last one that has begun holds."""
        return Response(PricesOut({"results": Price.objects.order_by("resource", "valid_from")}).data)

    @extend_schema(operation_id="prices_set", request=PriceBody, responses={201: PriceOut}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Set a price from a moment on; one of the same resource and moment is replaced. For administrators of
        everything."""
        user = user_of(request)
        access.require(user, Action.ADMIN)
        body = read_body(PriceBody, request)
        row = set_price(body.pop("resource"), body.pop("per_hour"), **body, actor=user.username)
        return Response(PriceOut(row).data, status=201)


class PriceView(ApiView):
    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, pk: int) -> Response:
        """Remove a price: the one before it holds on, or none."""
        user = user_of(request)
        access.require(user, Action.ADMIN)
        remove_price(pk, actor=user.username)
        return Response(status=204)
