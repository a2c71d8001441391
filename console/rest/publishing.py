"""Publishing a version from outside: what the request may hold, and how it becomes a literal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import transaction
from flyteidl.core import literals_pb2, types_pb2
from rest_framework import serializers
from rest_framework.request import Request

from artifacts.actions.publish import Outcome, Publication, publish_all
from artifacts.exceptions import FailedPrecondition, InvalidArgument, PermissionDenied
from artifacts.literals import from_json, primary_uri
from artifacts.models import CardFormat, Granularity, Kind
from artifacts.places import place_of
from artifacts.store import store
from artifacts.uploads import MAX_SEGMENT, recorded_hash, size_of
from artifacts.uploads import place_of as place_of_upload
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.rest.base import Body, validate
from console.rest.parsing import read_json
from scheduler.actions.identifiers import check_project

_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/@]*:[^/@]*@", re.IGNORECASE)
SHAPES = ("file", "directory", "dataset")
SIMPLE = {
    bool: types_pb2.BOOLEAN,
    int: types_pb2.INTEGER,
    float: types_pb2.FLOAT,
    str: types_pb2.STRING,
    dict: types_pb2.STRUCT,
}


TYPES = {
    "boolean": types_pb2.BOOLEAN,
    "integer": types_pb2.INTEGER,
    "float": types_pb2.FLOAT,
    "string": types_pb2.STRING,
    "datetime": types_pb2.DATETIME,
    "duration": types_pb2.DURATION,
    "binary": types_pb2.BINARY,
    "object": types_pb2.STRUCT,
}


class PublishBody(Body):
    value = serializers.JSONField(required=False, help_text="a number, text, boolean, list or object")
    type = serializers.ChoiceField(choices=list(TYPES), required=False, help_text="of `value`; told from it if absent")
    uri = serializers.CharField(required=False, help_text="of data that lies elsewhere (not copied), or of an upload")
    external_ref = serializers.CharField(required=False, help_text="another name for `uri`")
    shape = serializers.ChoiceField(choices=SHAPES, required=False, default="file", help_text="what the uri is")
    format = serializers.CharField(required=False, allow_blank=True, default="", help_text="csv, parquet ...")
    version = serializers.CharField(required=False, default="", trim_whitespace=False, help_text="default: made up")
    partitions = serializers.DictField(child=serializers.CharField(trim_whitespace=False), required=False, default=dict)
    time_partition = serializers.DateTimeField(required=False, default=None, allow_null=True)
    granularity = serializers.ChoiceField(
        choices=[each.lower() for each in Granularity.names if each != "UNSET"], required=False, default=""
    )
    kind = serializers.ChoiceField(choices=Kind.choices, required=False, allow_null=True, default=None)
    description = serializers.CharField(required=False, allow_blank=True, default="")
    card = serializers.CharField(required=False, allow_blank=True, default="", trim_whitespace=False)
    card_format = serializers.ChoiceField(choices=CardFormat.choices, required=False, default=CardFormat.MARKDOWN)
    metadata = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False), required=False, default=dict
    )
    metrics = serializers.DictField(child=serializers.FloatField(), required=False, default=dict)
    producer = serializers.CharField(required=False, allow_blank=True, default="", max_length=400)
    size_bytes = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1, help_text="of `uri`")
    content_hash = serializers.CharField(required=False, max_length=128, help_text="of `uri`; ours are SHA-256")


def read_publish_body(request: Request) -> tuple[dict[str, Any], UploadedFile[Any] | None]:
    """The validated body, and the file when it came as multipart with `file` and `data`."""
    data: Any = request.data
    file: UploadedFile[Any] | None = None
    if request.content_type.startswith("multipart/"):
        file = request.FILES.get("file")
        text = data.get("data", "{}")
        if not isinstance(text, str):
            raise InvalidArgument("the part `data` must be JSON")
        data = read_json(text.encode(errors="surrogatepass"))
        if file is None:
            raise InvalidArgument("the part `file` is missing")
    return check_body(data, file), file


def check_body(data: Any, file: UploadedFile[Any] | None = None) -> dict[str, Any]:
    """The members of one publication, checked. Raises ValidationError, or InvalidArgument for what is contradictory."""
    body = validate(PublishBody, data)
    sources = sum(("value" in body, "uri" in body, "external_ref" in body, file is not None))
    if sources != 1:
        raise InvalidArgument("give exactly one of value, uri (or external_ref) and a file")
    if "external_ref" in body:
        body["uri"] = body.pop("external_ref")
    if "value" not in body and "type" in body:
        raise InvalidArgument("type is for a value; `shape` says what a uri is")
    if "uri" not in body and ("size_bytes" in body or "content_hash" in body):
        raise InvalidArgument("size_bytes and content_hash are for a uri: of other data they are measured")
    return body


def publish_from(
    body: dict[str, Any], file: UploadedFile[Any] | None, *, project: str, domain: str, name: str, user: User
) -> Outcome:
    """Raises what `publish_all` raises; a file whose publication is refused is not stored."""
    upload = _Upload(file, project, domain) if file is not None else None
    if upload is None:
        return publish_here([publication_of(body, project, domain, name, user)], user, apart=True)[0]
    body = {**body, "uri": upload.uri, "shape": "file", "size_bytes": upload.size, "content_hash": upload.sha256}
    with transaction.atomic():
        publication = _publication(body, project, domain, name)
        outcome = publish_all([publication], actor=user.username, new_place=check_project)[0]
        upload.store()  # before the commit, so that no version is seen whose data is not there
    return outcome


def publish_here(publications: Sequence[Publication], user: User, *, apart: bool = False) -> list[Outcome]:
    """As `publish_all`, of what needs no upload any more. FailedPrecondition if what was uploaded is gone by now."""
    uploaded = {uri for each in publications if recorded_hash(uri := primary_uri(each.literal))}
    if not uploaded:
        return publish_all(publications, actor=user.username, new_place=check_project, apart=apart)
    with transaction.atomic():
        outcomes = publish_all(publications, actor=user.username, new_place=check_project)
        for uri in uploaded:  # held by now: it does not go any more
            if size_of(uri) is None:
                raise FailedPrecondition(f"nothing lies at {uri} any more: upload it again")
    return outcomes


def publication_of(body: dict[str, Any], project: str, domain: str, name: str, user: User) -> Publication:
    """Of a checked body without a file. PermissionDenied for a reference to what the user may not read."""
    if "uri" not in body:
        return _publication(body, project, domain, name)
    uri = body["uri"]
    if check_reference(uri, user):
        size, digest = size_of(uri), recorded_hash(uri)
        if digest and size is None:
            raise FailedPrecondition(f"nothing lies at {uri}: complete the upload first")
        body = {**body, "size_bytes": size, "content_hash": digest or body.get("content_hash", "")}
    return _publication(body, project, domain, name)


def _publication(body: dict[str, Any], project: str, domain: str, name: str) -> Publication:
    if "uri" in body:
        literal, literal_type = _by_reference(body)
    else:
        named = types_pb2.LiteralType(simple=TYPES[body["type"]]) if "type" in body else None
        literal_type = named or type_of(body["value"])
        literal = from_json(body["value"], literal_type, name="value")
    same = {key: body[key] for key in ("version", "partitions", "time_partition", "description", "card", "card_format")}
    return Publication(
        project,
        domain,
        name,
        literal,
        literal_type,
        **same,
        granularity=Granularity[body["granularity"].upper()] if body["granularity"] else Granularity.UNSET,
        kind=Kind(body["kind"]) if body["kind"] else None,
        metadata=body["metadata"],
        metrics=body["metrics"],
        producer=body["producer"],
        size_bytes=body.get("size_bytes"),
        content_hash=body.get("content_hash", ""),
    )


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


def check_reference(uri: str, user: User) -> bool:
    """Whether the reference leads into our own store.

    Then it opens what lies there to the artifact's readers: PermissionDenied unless the publisher is one. Objects lie
    below `<root>/<area>/<project>/<domain>/`. InvalidArgument for an address with a password in it.
    """
    if _PASSWORD.match(uri):
        raise InvalidArgument(
            "the address of the data holds a password (scheme://user:password@host): leave it out, as whoever may read "
            "the artifact reads its address"
        )
    place = place_of(uri)
    elsewhere = re.match(r"[a-z][a-z0-9+.-]*://", uri) and not uri.startswith("file:")
    if elsewhere and place is None:
        return False
    store().key(uri.rstrip("/"))  # InvalidArgument for a path of this machine outside the store
    if place is None or not access.can(user, Action.READ, *place):
        raise PermissionDenied(f"{uri} lies where {user.username} may not read")
    return True


def _fitting(name: str) -> str:
    """The end of a file's name, with its suffix, as far as a store has room for it."""
    return name.encode(errors="replace")[-MAX_SEGMENT:].decode(errors="ignore")


class _Upload:
    """An uploaded file on its way into the store. Its URI holds its SHA-256: the same file again is the same."""

    def __init__(self, file: UploadedFile[Any], project: str, domain: str) -> None:
        digest = hashlib.sha256()
        for chunk in file.chunks():
            digest.update(chunk)
        name = _fitting(re.sub(r"[^\w.-]", "_", file.name or "")).lstrip(".") or "file"
        self.file = file
        self.size = file.size or 0  # bytes
        self.sha256 = digest.hexdigest()
        self.uri = place_of_upload(self.sha256, name, project=project, domain=domain)

    def store(self) -> None:
        objects = store()
        if objects.exists(self.uri):
            return
        if isinstance(self.file, TemporaryUploadedFile):
            objects.put_file(self.uri, self.file.temporary_file_path())
        else:
            self.file.seek(0)
            objects.put(self.uri, self.file.read())
