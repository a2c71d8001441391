"""Publishing a version from outside: what the request may hold, and how it becomes a literal."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import transaction
from flyteidl.core import literals_pb2, types_pb2
from rest_framework import serializers
from rest_framework.request import Request

from artifacts.actions.publish import Publication, publish
from artifacts.exceptions import InvalidArgument, PermissionDenied
from artifacts.literals import from_json
from artifacts.models import ArtifactVersion, CardFormat, Granularity, Kind
from artifacts.store import store
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.rest.base import Body

SHAPES = ("file", "directory", "dataset")
SIMPLE = {
    bool: types_pb2.BOOLEAN,
    int: types_pb2.INTEGER,
    float: types_pb2.FLOAT,
    str: types_pb2.STRING,
    dict: types_pb2.STRUCT,
}


class PublishBody(Body):
    value = serializers.JSONField(required=False, help_text="a number, text, boolean, list or object")
    uri = serializers.CharField(required=False, help_text="of data that lies elsewhere; it is not copied")
    shape = serializers.ChoiceField(choices=SHAPES, required=False, default="file", help_text="what the uri is")
    format = serializers.CharField(required=False, allow_blank=True, default="", help_text="csv, parquet ...")
    version = serializers.CharField(required=False, default="", help_text="default: made up")
    partitions = serializers.DictField(child=serializers.CharField(), required=False, default=dict)
    time_partition = serializers.DateTimeField(required=False, default=None, allow_null=True)
    granularity = serializers.ChoiceField(
        choices=[each.lower() for each in Granularity.names if each != "UNSET"], required=False, default=""
    )
    kind = serializers.ChoiceField(choices=Kind.choices, required=False, allow_null=True, default=None)
    description = serializers.CharField(required=False, allow_blank=True, default="")
    card = serializers.CharField(required=False, allow_blank=True, default="", trim_whitespace=False)
    card_format = serializers.ChoiceField(choices=CardFormat.choices, required=False, default=CardFormat.MARKDOWN)
    metadata = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False, default=dict)
    metrics = serializers.DictField(child=serializers.FloatField(), required=False, default=dict)
    producer = serializers.CharField(required=False, allow_blank=True, default="", max_length=400)


def read_publish_body(request: Request) -> tuple[dict[str, Any], UploadedFile[Any] | None]:
    """The validated body, and the file when it came as multipart with `file` and `data`."""
    data: Any = request.data
    file: UploadedFile[Any] | None = None
    if request.content_type.startswith("multipart/"):
        file = request.FILES.get("file")
        try:
            data = json.loads(data.get("data", "{}"))
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidArgument("the part `data` must be JSON") from error
        if file is None:
            raise InvalidArgument("the part `file` is missing")
    parsed = PublishBody(data=data)
    parsed.is_valid(raise_exception=True)
    body = dict(parsed.validated_data)
    sources = sum(("value" in body, "uri" in body, file is not None))
    if sources != 1:
        raise InvalidArgument("give exactly one of value, uri and a file")
    return body, file


def publish_from(
    body: dict[str, Any], file: UploadedFile[Any] | None, *, project: str, domain: str, name: str, user: User
) -> ArtifactVersion:
    """Raises what `publish` raises; a file whose publication is refused is not stored."""
    upload = _Upload(file, project, domain) if file is not None else None
    if upload is not None:
        literal, literal_type = _by_reference({**body, "uri": upload.uri, "shape": "file"})
    elif "uri" in body:
        _check_reference(body["uri"], user)
        literal, literal_type = _by_reference(body)
    else:
        literal_type = type_of(body["value"])
        literal = from_json(body["value"], literal_type, name="value")
    granularity = Granularity[body["granularity"].upper()] if body["granularity"] else Granularity.UNSET
    same = {key: body[key] for key in ("version", "partitions", "time_partition", "description", "card", "card_format")}
    publication = Publication(
        project,
        domain,
        name,
        literal,
        literal_type,
        **same,
        granularity=granularity,
        kind=Kind(body["kind"]) if body["kind"] else None,
        metadata=body["metadata"],
        metrics=body["metrics"],
        producer=body["producer"],
        size_bytes=upload.size if upload else None,
        content_hash=upload.sha256 if upload else "",
    )
    if upload is None:
        return publish(publication, actor=user.username)
    with transaction.atomic():
        version = publish(publication, actor=user.username)
        upload.store()  # before the commit, so that no version is seen whose data is not there
    return version


def type_of(value: Any) -> types_pb2.LiteralType:
    """The literal type of a JSON value. Raises InvalidArgument for null and for lists of mixed types."""
    if isinstance(value, list):
        types = [type_of(item) for item in value] or [types_pb2.LiteralType(simple=types_pb2.STRING)]
        if any(each != types[0] for each in types):
            if all(each.simple in (types_pb2.INTEGER, types_pb2.FLOAT) for each in types):
                return types_pb2.LiteralType(collection_type=types_pb2.LiteralType(simple=types_pb2.FLOAT))
            raise InvalidArgument("value: the items of a list must have one type")
        return types_pb2.LiteralType(collection_type=types[0])
    if type(value) not in SIMPLE:
        raise InvalidArgument("value must be a number, text, boolean, list or object")
    return types_pb2.LiteralType(simple=SIMPLE[type(value)])


def _by_reference(body: dict[str, Any]) -> tuple[literals_pb2.Literal, types_pb2.LiteralType]:
    if body["shape"] == "dataset":
        dataset = types_pb2.StructuredDatasetType(format=body["format"] or "parquet")
        metadata = literals_pb2.StructuredDatasetMetadata(structured_dataset_type=dataset)
        value = literals_pb2.StructuredDataset(uri=body["uri"], metadata=metadata)
        literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(structured_dataset=value))
        return literal, types_pb2.LiteralType(structured_dataset_type=dataset)
    single = types_pb2.BlobType.SINGLE if body["shape"] == "file" else types_pb2.BlobType.MULTIPART
    blob_type = types_pb2.BlobType(format=body["format"], dimensionality=single)
    blob = literals_pb2.Blob(uri=body["uri"], metadata=literals_pb2.BlobMetadata(type=blob_type))
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=blob))
    return literal, types_pb2.LiteralType(blob=blob_type)


def _check_reference(uri: str, user: User) -> None:
    """A reference into our own store opens what lies there to the artifact's readers: the publisher must be one.

    Objects lie below `<root>/<area>/<project>/<domain>/`.
    """
    objects = store()
    elsewhere = re.match(r"[a-z][a-z0-9+.-]*://", uri) and not uri.startswith("file:")
    if elsewhere and not uri.startswith(f"{objects.root}/"):
        return
    parts = objects.key(uri.rstrip("/")).split("/")
    if len(parts) < 4 or not access.can(user, Action.READ, parts[1], parts[2]):
        raise PermissionDenied(f"{uri} lies where {user.username} may not read")


class _Upload:
    """An uploaded file on its way into the store. Its URI holds its SHA-256: the same file again is the same."""

    def __init__(self, file: UploadedFile[Any], project: str, domain: str) -> None:
        digest = hashlib.sha256()
        for chunk in file.chunks():
            digest.update(chunk)
        name = re.sub(r"[^\w.-]", "_", file.name or "")[-128:].lstrip(".") or "file"
        folder = ("uploads", project, domain, "artifacts", digest.hexdigest())
        self.file = file
        self.size = file.size or 0  # bytes
        self.sha256 = digest.hexdigest()
        self.uri = store().join(store().root, *folder, name)

    def store(self) -> None:
        objects = store()
        if objects.exists(self.uri):
            return
        if isinstance(self.file, TemporaryUploadedFile):
            objects.put_file(self.uri, self.file.temporary_file_path())
        else:
            self.file.seek(0)
            objects.put(self.uri, self.file.read())
