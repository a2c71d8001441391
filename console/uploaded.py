"""A file that came with a form, kept in the object store where uploads of clients go: by its content."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from flyteidl.core import types_pb2

from artifacts.exceptions import PayloadTooLarge
from artifacts.store import store
from artifacts.uploads import check_path, place_of

CHUNK = 1 << 20


def keep_upload(file: Any, *, project: str, domain: str) -> str:
    """The URI of a Django UploadedFile's content. The same content twice is one object. PayloadTooLarge."""
    if file.size > settings.CAUSEWAY_MAX_UPLOAD_BYTES:
        most = settings.CAUSEWAY_MAX_UPLOAD_BYTES
        raise PayloadTooLarge(f"{file.name}: {file.size:,} bytes are more than the {most:,} allowed here")
    name = check_path(file.name, name_only=True)
    digest = hashlib.sha256()
    for chunk in file.chunks(CHUNK):
        digest.update(chunk)
    uri = place_of(digest.hexdigest(), name, project=project, domain=domain)
    if not store().exists(uri):
        file.seek(0)
        store().put_stream(uri, file)
    return uri


def takes_file(literal_type: types_pb2.LiteralType) -> bool:
    """Whether one file is a value of the type: a file, a frame, or a union with one of these."""
    which = literal_type.WhichOneof("type")
    if which == "blob":
        return literal_type.blob.dimensionality == types_pb2.BlobType.SINGLE
    if which == "union_type":
        return any(takes_file(variant) for variant in literal_type.union_type.variants)
    return which in ("structured_dataset_type", "schema")
