"""Readers of the SQL views: login roles of the database, for those who administer all that they see."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.accounts.models import Reader
from console.rest.base import ApiView, Body, Filters, ListView, read_body, read_query, user_of
from console.sqlviews import readers
from console.sqlviews.schema import SCHEMA

TAGS = ["readers"]


class ReaderBody(Body):
    name = serializers.CharField(max_length=40, help_text="small letters, digits and underscores")
    places = serializers.ListField(
        child=serializers.CharField(max_length=200),
        max_length=100,
        help_text="what it sees: `weather`, `weather/production`, or `*` for everything",
    )
    description = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)
    statement_seconds = serializers.IntegerField(required=False, default=readers.DEFAULT_SECONDS)
    connections = serializers.IntegerField(required=False, default=readers.DEFAULT_CONNECTIONS)


class ReaderChange(Body):
    places = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=100)
    statement_seconds = serializers.IntegerField(required=False)
    connections = serializers.IntegerField(required=False)


class ReaderOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    role = serializers.CharField(help_text="the user's name in the database")
    places = serializers.SerializerMethodField()
    description = serializers.CharField()
    statement_seconds = serializers.IntegerField(help_text="a statement is ended after so many")
    connections = serializers.IntegerField(help_text="at most so many sessions at once")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_places(self, reader: Reader) -> list[str]:
        return readers.names(sorted(reader.scopes.all(), key=str))


class MadeReader(ReaderOut):
    password = serializers.CharField(help_text="shown this once")
    database = serializers.CharField()
    schema = serializers.CharField()


class ReadersView(ListView):
    @extend_schema(responses=ReaderOut(many=True), tags=TAGS)
    def get(self, request: Request) -> Response:
        """The readers of which you administer every place."""
        read_query(Filters, request)
        return self.page(request, readers.visible(user_of(request)), ReaderOut)

    @extend_schema(request=ReaderBody, responses={201: MadeReader}, tags=TAGS)
    def post(self, request: Request) -> Response:
        """Make a reader; its password is in the answer, and nowhere else."""
        body = read_body(ReaderBody, request)
        made, secret = readers.make(
            body["name"],
            [readers.place_of(place) for place in body["places"]],
            limits=readers.Limits(body["statement_seconds"], body["connections"]),
            description=body["description"],
            actor=user_of(request),
        )
        return Response(_with_password(made, secret), status=201)


class ReaderView(ApiView):
    @extend_schema(responses=ReaderOut, tags=TAGS)
    def get(self, request: Request, name: str) -> Response:
        """One reader."""
        return Response(ReaderOut(readers.find(user_of(request), name)).data)

    @extend_schema(request=ReaderChange, responses=ReaderOut, tags=TAGS)
    def patch(self, request: Request, name: str) -> Response:
        """Change what it sees, from its next statement on, or its limits, from its next session on."""
        user, body = user_of(request), read_body(ReaderChange, request)
        found = readers.find(user, name)
        seconds, connections = body.get("statement_seconds"), body.get("connections")
        limits = None
        if seconds is not None or connections is not None:
            limits = readers.Limits(
                found.statement_seconds if seconds is None else seconds,
                found.connections if connections is None else connections,
            )
        places = [readers.place_of(place) for place in body["places"]] if "places" in body else None
        return Response(ReaderOut(readers.change(found, places=places, limits=limits, actor=user)).data)

    @extend_schema(responses={204: None}, tags=TAGS)
    def delete(self, request: Request, name: str) -> Response:
        """Take the reader away; its sessions end."""
        user = user_of(request)
        readers.remove(readers.find(user, name), actor=user)
        return Response(status=204)


class RotateReaderView(ApiView):
    @extend_schema(request=None, responses=MadeReader, tags=TAGS)
    def post(self, request: Request, name: str) -> Response:
        """A new password; the old one is wrong at once, and sessions end."""
        user = user_of(request)
        found = readers.find(user, name)
        return Response(_with_password(found, readers.rotate(found, actor=user)))


def _with_password(reader: Reader, secret: str) -> dict[str, Any]:
    database = settings.DATABASES["default"]["NAME"]
    return {**ReaderOut(reader).data, "password": secret, "database": database, "schema": SCHEMA}
