"""The data of a version: its value, and signed URLs of the objects it lies in."""

from __future__ import annotations

from itertools import islice
from typing import Any

from drf_spectacular.utils import extend_schema
from flyteidl.core import literals_pb2, types_pb2
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts import literals
from artifacts.literals.protobuf import message_dict
from artifacts.store import store
from artifacts.uploads import LINK_LIFETIME, MAX_FILES
from console.access_objects import access_version, check_present
from console.rest.base import ApiView, user_of


class FileOut(serializers.Serializer[Any]):
    path = serializers.CharField(help_text="below `uri`; empty where the data is one object")
    size_bytes = serializers.IntegerField()
    url = serializers.URLField(help_text="signed; valid for an hour")


class PieceOut(serializers.Serializer[Any]):
    uri = serializers.CharField()
    files = FileOut(many=True)


class ObjectOut(serializers.Serializer[Any]):
    value = serializers.JSONField(allow_null=True)
    type = serializers.DictField(help_text="flyteidl.core.LiteralType in protobuf's JSON")
    uri = serializers.CharField()
    files = FileOut(many=True, help_text="what can be downloaded from here; empty for plain values and data elsewhere")
    objects = PieceOut(many=True, help_text="of a list or object of files: the files of each; otherwise empty")


class ObjectView(ApiView):
    @extend_schema(responses=ObjectOut, tags=["artifacts"])
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """The data: the value itself, or signed URLs of the objects it lies in."""
        row = access_version(user_of(request), project, domain, name, version)
        check_present(row)
        literal = literals_pb2.Literal.FromString(bytes(row.literal))
        literal_type = types_pb2.LiteralType.FromString(bytes(row.literal_type))
        pieces = [] if row.uri else list(islice(dict.fromkeys(literals.uris(literal)), MAX_FILES))
        data = {
            "value": literals.to_json(literal, literal_type, exact=True),
            "type": message_dict(literal_type),
            "uri": row.uri,
            "files": _files(row.uri),
            "objects": [{"uri": uri, "files": _files(uri)} for uri in pieces],
        }
        return Response(ObjectOut(data).data)


def _files(uri: str) -> list[dict[str, Any]]:
    objects = store()
    if not uri or not objects.contains(uri.rstrip("/")):
        return []
    uri = uri.rstrip("/")
    if objects.exists(uri):
        return [_file("", uri, objects.size(uri))]
    found = islice(objects.list(uri), MAX_FILES)
    return [_file(each.uri[len(uri) + 1 :], each.uri, each.size) for each in found]


def _file(path: str, uri: str, size: int) -> dict[str, Any]:
    return {"path": path, "size_bytes": size, "url": store().signed_get(uri, expires=LINK_LIFETIME)}
