"""Uploads in parts, for data that is published afterwards by its `uri`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from artifacts import uploads
from artifacts.uploads import File
from console.accounts import access
from console.accounts.access import Action
from console.rest.base import ApiView, Body, read_body, user_of

TAGS = ["artifacts"]


class FileBody(Body):
    path = serializers.CharField(trim_whitespace=False, help_text="the file's name; in a directory, its path")
    size_bytes = serializers.IntegerField(min_value=0)
    sha256 = serializers.CharField(help_text="of the content, 64 hexadecimal digits")


class UploadBody(Body):
    files = FileBody(many=True)
    shape = serializers.ChoiceField(choices=("file", "directory"), required=False, default="file")


class PartOut(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    offset = serializers.IntegerField(help_text="bytes")
    size_bytes = serializers.IntegerField()
    done = serializers.BooleanField()
    url = serializers.CharField(help_text="PUT these bytes of the file here within an hour; empty when done")


class FilePartsOut(serializers.Serializer[Any]):
    path = serializers.CharField(source="file.path")
    uri = serializers.CharField()
    done = serializers.BooleanField(help_text="complete already: this content was uploaded before")
    parts = PartOut(many=True)


class UploadOut(serializers.Serializer[Any]):
    uri = serializers.CharField(help_text="publish it when the upload is complete")
    size_bytes = serializers.IntegerField()
    content_hash = serializers.CharField()
    done = serializers.BooleanField()
    files = FilePartsOut(many=True)


def _files(request: Request, project: str, domain: str) -> dict[str, Any]:
    """What the functions of artifacts.uploads take, for somebody who may publish there."""
    what = f"project {project} with domain {domain}"
    access.require_found(user_of(request), Action.PUBLISH, project, domain, what=what)
    body = read_body(UploadBody, request)
    files = [File(**file) for file in body["files"]]
    return {"files": files, "folder": body["shape"] == "directory", "project": project, "domain": domain}


class UploadsView(ApiView):
    @extend_schema(request=UploadBody, responses=UploadOut, tags=TAGS)
    def post(self, request: Request, project: str, domain: str) -> Response:
        """Start an upload, or see how far it is: ask again with the same files to go on after a break."""
        return Response(UploadOut(uploads.upload(**_files(request, project, domain))).data)


class CompleteUploadView(ApiView):
    @extend_schema(request=UploadBody, responses=UploadOut, tags=TAGS)
    def post(self, request: Request, project: str, domain: str) -> Response:
        """Put the parts together. 409 while parts are missing, 400 when the content has another SHA-256."""
        return Response(UploadOut(uploads.complete(**_files(request, project, domain))).data)


class AbortUploadView(ApiView):
    @extend_schema(request=UploadBody, responses={204: None}, tags=TAGS)
    def post(self, request: Request, project: str, domain: str) -> Response:
        """Forget the parts that arrived. What nobody completes for two days is forgotten by itself."""
        uploads.abort(**_files(request, project, domain))
        return Response(status=204)
