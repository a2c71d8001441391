"""What administrators set for all that runs in a project, a domain of it, or of one workflow there."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from flyteidl.admin import matchable_resource_pb2
from google.protobuf import json_format
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts.exceptions import InvalidArgument
from artifacts.literals.protobuf import message_dict
from console.access_objects import access_project
from console.accounts import access, audit
from console.accounts.access import Action
from console.rest.base import ApiView, Body, Filters, ListView, read_query, user_of
from scheduler import attributes
from scheduler.actions.attributes import delete_attributes, set_attributes
from scheduler.attributes import FIELDS, Place
from scheduler.models import MatchableAttributes

TAGS = ["attributes"]
KINDS = {attributes.kind_name(kind).lower(): kind for kind in FIELDS}


class AttributesOut(serializers.Serializer[Any]):
    kind = serializers.SerializerMethodField()
    project = serializers.CharField()
    domain = serializers.CharField(help_text="empty: all of them")
    workflow = serializers.CharField(help_text="empty: all of them")
    attributes = serializers.SerializerMethodField("read_attributes", help_text="FlyteIDL's message of that kind")
    updated_by = serializers.CharField()
    updated_at = serializers.DateTimeField()

    def get_kind(self, row: MatchableAttributes) -> str:
        return attributes.kind_name(row.kind).lower()

    def read_attributes(self, row: MatchableAttributes) -> dict[str, Any]:
        message = getattr(attributes.read(row), FIELDS[row.kind])  # type: ignore[index]
        return message_dict(message, field_names=True)


class PlaceFields(Body):
    domain = serializers.CharField(required=False, max_length=64)
    workflow = serializers.CharField(required=False, max_length=255)


class AttributesFilters(Filters, PlaceFields):
    pass


class AttributesView(ListView):
    @extend_schema(parameters=[AttributesFilters], responses=AttributesOut(many=True), tags=TAGS)
    def get(self, request: Request, project: str) -> Response:
        """All that is set in a project, as far as I may read it."""
        user = user_of(request)
        access_project(user, project)
        rows = MatchableAttributes.objects.filter(access.readable(user), project=project)
        return self.page(request, rows.filter(**read_query(AttributesFilters, request)), AttributesOut)


class KindView(ApiView):
    @extend_schema(parameters=[PlaceFields], responses=AttributesOut, tags=TAGS)
    def get(self, request: Request, project: str, kind: str) -> Response:
        """What holds in the project, or in a domain or for a workflow of it: the most specific that is set."""
        place = _place(request, project)
        if place.domain:
            access.require_found(user_of(request), Action.READ, project, place.domain, what=f"domain {place}")
        else:
            access_project(user_of(request), project)
        return Response(AttributesOut(attributes.attributes_at(place, _kind(kind))).data)

    @extend_schema(parameters=[PlaceFields], request=OpenApiTypes.OBJECT, responses=AttributesOut, tags=TAGS)
    def put(self, request: Request, project: str, kind: str) -> Response:
        """Set them at exactly this place, for what is launched from now on; for administrators of the project."""
        place, number = self._administered(request, project, kind)
        matching = matchable_resource_pb2.MatchingAttributes()
        message = getattr(matching, FIELDS[number])  # type: ignore[index]
        message.SetInParent()
        if not isinstance(request.data, dict):
            raise InvalidArgument(f"attributes of kind {kind} are an object")
        try:
            json_format.ParseDict(request.data, message)
        except json_format.ParseError as error:
            raise InvalidArgument(f"these are no attributes of kind {kind}: {error}") from None
        with transaction.atomic():
            row = set_attributes(place, matching, actor=user_of(request).username)
            self._record(request, "attributes.update", place, kind)
        return Response(AttributesOut(row).data)

    @extend_schema(parameters=[PlaceFields], responses={204: None}, tags=TAGS)
    def delete(self, request: Request, project: str, kind: str) -> Response:
        """Remove what is set at exactly this place; what less specific places say holds again."""
        place, number = self._administered(request, project, kind)
        with transaction.atomic():
            if delete_attributes(place, number):
                self._record(request, "attributes.delete", place, kind)
        return Response(status=204)

    def _administered(self, request: Request, project: str, kind: str) -> tuple[Place, int]:
        place = _place(request, project)
        access_project(user_of(request), project)
        access.require(user_of(request), Action.ADMIN, project, place.domain)
        return place, _kind(kind)

    def _record(self, request: Request, verb: str, place: Place, kind: str) -> None:
        subject = f"{place}:{kind.upper()}"
        audit.record(user_of(request), verb, subject, project=place.project, domain=place.domain)


def _place(request: Request, project: str) -> Place:
    return Place(project, **read_query(PlaceFields, request))


def _kind(name: str) -> int:
    if name not in KINDS:
        raise InvalidArgument(f"there are no attributes of kind {name}; there are: {', '.join(sorted(KINDS))}")
    return KINDS[name]
