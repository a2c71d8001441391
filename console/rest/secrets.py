"""Secrets that tasks ask for. Values go in; out come names, who set them and when."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_secret
from console.accounts import secrets
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of
from scheduler.actions.secrets import LARGEST
from scheduler.secrets.names import Name

TAGS = ["secrets"]
ENCODED = LARGEST * 4 // 3 + 4  # letters of base64


class SecretName(Body):
    project = serializers.CharField(max_length=64, required=False, allow_blank=True, default="", help_text="empty: all")
    domain = serializers.CharField(max_length=64, required=False, allow_blank=True, default="", help_text="empty: all")
    group = serializers.CharField(max_length=253, required=False, allow_blank=True, default="")
    key = serializers.CharField(max_length=253, required=False, allow_blank=True, default="")
    version = serializers.CharField(max_length=253, required=False, allow_blank=True, default="")


class SecretBody(SecretName):
    value = serializers.CharField(
        required=False, allow_blank=True, write_only=True, trim_whitespace=False, max_length=LARGEST
    )
    value_base64 = serializers.CharField(
        required=False,
        allow_blank=True,
        write_only=True,
        max_length=ENCODED,
        help_text="instead of `value`, for what is not text",
    )


class SecretOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField(help_text="empty: every project")
    domain = serializers.CharField(help_text="empty: every domain")
    group = serializers.CharField()
    key = serializers.CharField()
    version = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_by = serializers.CharField()
    updated_at = serializers.DateTimeField()


class SecretsView(ListView):
    @extend_schema(parameters=[ScopeFilters], responses=SecretOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Names of secrets, in the places one registers tasks in."""
        rows = secrets.visible(user_of(request)).filter(**read_query(ScopeFilters, request))
        return self.page(request, rows, SecretOut)

    @extend_schema(request=SecretBody, responses={200: SecretOut, 201: SecretOut}, tags=TAGS)
    def put(self, request: Request) -> Response:
        """Set a secret, or replace its value, for tasks that start from now on; for administrators of the place."""
        body = read_body(SecretBody, request)
        row, made = secrets.put(
            Name(body["group"], body["key"], body["version"]),
            _value(body),
            project=body["project"],
            domain=body["domain"],
            actor=user_of(request),
        )
        return Response(SecretOut(row).data, status=201 if made else 200)


class SecretView(ApiView):
    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, secret_id: int) -> Response:
        """Remove a secret: tasks that ask for it fail by its name from now on."""
        user = user_of(request)
        secrets.remove(access_secret(user, secret_id), actor=user)
        return Response(status=204)


def _value(body: dict[str, Any]) -> bytes:
    """InvalidArgument unless there is one value, in one of the two forms; never with the value in the message."""
    if ("value" in body) == ("value_base64" in body):
        raise InvalidArgument("a secret needs `value`, or `value_base64` for what is not text")
    if "value" in body:
        return str(body["value"]).encode()
    try:
        return base64.b64decode(body["value_base64"], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument("value_base64: this is not base64") from None
