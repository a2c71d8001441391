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
from artifacts.exceptions import NotFound
from artifacts.literals.protobuf import message_dict
from artifacts.preview.kinds import Kind
from artifacts.preview.looking import preview
from artifacts.store import store
from artifacts.uploads import LINK_LIFETIME, MAX_FILES
from console.access_objects import access_version, check_present
from console.rest.base import ApiView, Body, read_query, user_of


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


class ObjectPreviewFilters(Body):
    file = serializers.CharField(required=False, default="", help_text="below `uri`; empty where it is one object")


class ColumnOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()
    nulls = serializers.IntegerField(help_text="empty ones, of the rows sampled; so are the other statistics")
    distinct = serializers.IntegerField(allow_null=True)
    min = serializers.CharField(allow_null=True)
    max = serializers.CharField(allow_null=True)
    mean = serializers.FloatField(allow_null=True)


class ObjectPreviewOut(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    size = serializers.IntegerField(help_text="bytes")
    text = serializers.CharField(help_text="of text, JSON and Markdown: its beginning")
    columns = ColumnOut(many=True)
    more_columns = serializers.IntegerField()
    rows = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(allow_null=True)), help_text="the first, as text"
    )
    sampled = serializers.IntegerField(help_text="rows that the statistics are of")
    total_rows = serializers.IntegerField(allow_null=True, help_text="null: the file does not say")
    what = serializers.CharField(help_text="the class of a model, of a pickled object or an archive; else empty")
    parameters = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="of such: pairs of a name and a value"
    )
    problem = serializers.CharField(help_text="why there is no more to see; else empty")
    is_cut = serializers.BooleanField(help_text="there is more than this")


class ObjectPreviewView(ApiView):
    @extend_schema(parameters=[ObjectPreviewFilters], responses=ObjectPreviewOut, tags=["artifacts"])
    def get(self, request: Request, project: str, domain: str, name: str, version: str) -> Response:
        """What is in a file of the version: first rows and statistics of a table, the beginning of a text."""
        asked = read_query(ObjectPreviewFilters, request)
        row = access_version(user_of(request), project, domain, name, version)
        check_present(row)
        if not row.uri:
            raise NotFound("this version holds its value inline; there is no object")
        uri = store().join(row.uri, asked["file"]) if asked["file"] else row.uri
        seen = preview(uri)
        return Response(ObjectPreviewOut({**vars(seen), "kind": seen.kind.value}).data)


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
