"""Connections that tasks ask for. Their secrets go in; out come the names of these."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.access_objects import access_connection
from console.accounts import connections
from console.rest.base import ApiView, Body, ListView, ScopeFilters, read_body, read_query, user_of
from scheduler.actions.connections import MOST_PORT, Wanted
from scheduler.actions.secrets import LARGEST

TAGS = ["connections"]


class ConnectionBody(Body):
    project = serializers.CharField(max_length=64, required=False, allow_blank=True, default="", help_text="empty: all")
    domain = serializers.CharField(max_length=64, required=False, allow_blank=True, default="", help_text="empty: all")
    name = serializers.CharField(max_length=63, help_text="small letters, digits and '_'")
    kind = serializers.CharField(
        max_length=63, required=False, allow_blank=True, default="", help_text="scheme of its address: postgresql"
    )
    host = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")
    port = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=MOST_PORT)
    user = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")
    database = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")
    options = serializers.DictField(required=False, default=dict, help_text="texts, numbers, true or false, by name")
    password = serializers.CharField(
        required=False, allow_null=True, write_only=True, trim_whitespace=False, max_length=LARGEST
    )
    secrets = serializers.DictField(
        child=serializers.CharField(allow_null=True, trim_whitespace=False, max_length=LARGEST),
        required=False,
        default=dict,
        write_only=True,
        help_text="others than the password, by name; what is not named stays, null removes it",
    )


class ConnectionOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    project = serializers.CharField(help_text="empty: every project")
    domain = serializers.CharField(help_text="empty: every domain")
    name = serializers.CharField()
    kind = serializers.CharField()
    host = serializers.CharField()
    port = serializers.IntegerField(allow_null=True)
    user = serializers.CharField()
    database = serializers.CharField()
    options = serializers.DictField()
    secret_names = serializers.ListField(child=serializers.CharField(), help_text="what is kept sealed")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_by = serializers.CharField()
    updated_at = serializers.DateTimeField()


class ConnectionsView(ListView):
    @extend_schema(parameters=[ScopeFilters], responses=ConnectionOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """Connections of the places one registers tasks in, without their secrets."""
        rows = connections.visible(user_of(request)).filter(**read_query(ScopeFilters, request))
        return self.page(request, rows, ConnectionOut)

    @extend_schema(request=ConnectionBody, responses={200: ConnectionOut, 201: ConnectionOut}, tags=TAGS)
    def put(self, request: Request) -> Response:
        """Set a connection, or replace it, for tasks that start from now on; for administrators of the place."""
        body = read_body(ConnectionBody, request)
        place = {key: body.pop(key) for key in ("project", "domain")}
        name, secrets = body.pop("name"), dict(body.pop("secrets"))
        if "password" in body:
            secrets["password"] = body.pop("password")
        row, made = connections.put(name, Wanted(**body, secrets=secrets), **place, actor=user_of(request))
        return Response(ConnectionOut(row).data, status=201 if made else 200)


class ConnectionView(ApiView):
    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, connection_id: int) -> Response:
        """Remove a connection: tasks that ask for it fail by its name from now on."""
        user = user_of(request)
        connections.remove(access_connection(user, connection_id), actor=user)
        return Response(status=204)
