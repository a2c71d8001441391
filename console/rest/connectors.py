"""Connector services that tasks run at, by their types."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console import connectors
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, read_body, read_query, user_of
from console.rest.clusters import DescriptionField
from scheduler.actions.connectors import change_connector, read_description, remove_connector, set_connector

TAGS = ["connectors"]


class ConnectorBody(Body):
    description = DescriptionField(
        required=False, help_text="settings of the connector, as in CAUSEWAY_CONNECTORS, without the name"
    )
    endpoint = serializers.CharField(required=False, help_text="as in the description: host:port of its gRPC door")
    open = serializers.BooleanField(required=False, help_text="as in the description: whether new attempts go there")


class TaskTypeOut(serializers.Serializer[Any]):
    agent = serializers.CharField(help_text="the connector's own name of the part that runs it")
    type = serializers.CharField()
    version = serializers.IntegerField(help_text="of the task type")
    sync = serializers.BooleanField(help_text="whether it is answered in one call")


class ConnectorOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    source = serializers.CharField(  # type: ignore[assignment]  # a field, not Field.source
        help_text="`database`, or `settings`: changed there"
    )
    open = serializers.BooleanField(help_text="whether new attempts go there")
    endpoint = serializers.CharField()
    description = serializers.DictField()
    answers = serializers.BooleanField(help_text="whether it did when it was last asked")
    problem = serializers.CharField(help_text="why it gets nothing; empty: it does")
    types = TaskTypeOut(many=True, help_text="what it runs, as it last said")
    read_at = serializers.DateTimeField(allow_null=True, help_text="when it said so")
    updated_by = serializers.CharField()
    updated_at = serializers.DateTimeField(allow_null=True)


class ConnectorsOut(serializers.Serializer[Any]):
    results = ConnectorOut(many=True)


class ConnectorsView(ApiView):
    @extend_schema(operation_id="connectors_list", responses=ConnectorsOut, tags=TAGS)
    def get(self, request: Request) -> Response:
        """All connectors; for administrators of the platform."""
        read_query(Filters, request)
        return Response(ConnectorsOut({"results": connectors.shown(user_of(request))}).data)


class ConnectorView(ApiView):
    @extend_schema(responses=ConnectorOut, tags=TAGS)
    def get(self, request: Request, name: str) -> Response:
        """One connector; for administrators of the platform."""
        return _answer(request, name)

    @extend_schema(request=ConnectorBody, responses={200: ConnectorOut, 201: ConnectorOut}, tags=TAGS)
    def put(self, request: Request, name: str) -> Response:
        """Set a connector, or replace its description. It is used within seconds."""
        user = user_of(request)
        access.require(user, Action.ADMIN)
        _row, made = set_connector(name, _described(read_body(ConnectorBody, request)), actor=user.username)
        return _answer(request, name, status=201 if made else 200)

    @extend_schema(request=ConnectorBody, responses=ConnectorOut, tags=TAGS)
    def patch(self, request: Request, name: str) -> Response:
        """Change what is named of the description (a JSON merge patch: null takes a setting away)."""
        user = user_of(request)
        row = connectors.access_connector(user, name).changeable()
        change_connector(row, _described(read_body(ConnectorBody, request)), actor=user.username)
        return _answer(request, name)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, name: str) -> Response:
        """Remove a connector that has no jobs."""
        user = user_of(request)
        remove_connector(connectors.access_connector(user, name).changeable(), actor=user.username)
        return Response(status=204)


def _described(body: dict[str, Any]) -> dict[str, Any]:
    given = read_description(body.get("description", {}))
    return {**given, **{name: body[name] for name in ("endpoint", "open") if name in body}}


def _answer(request: Request, name: str, status: int = 200) -> Response:
    return Response(ConnectorOut(connectors.access_connector(user_of(request), name)).data, status=status)
