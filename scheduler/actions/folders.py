"""A folder with one file in it, as clients upload it."""

from __future__ import annotations

from flyteidl.core import literals_pb2, types_pb2

from artifacts.literals import parts
from artifacts.store import ObjectStore


def mean_folders(literal: literals_pb2.Literal, store: ObjectStore) -> None:
    """Where a directory's address names an uploaded file, make it the folder around that file, in place.

    flytekit uploads a folder file by file, each below a name made of the folder's content, and takes what their
    addresses have in common (FlyteFS.extract_common): of a single file, the address of the file itself.
    """
    uploads = f"{store.root}/uploads/"
    for part in parts(literal):
        blob = part.scalar.blob
        if blob.metadata.type.dimensionality != types_pb2.BlobType.MULTIPART or not blob.uri.startswith(uploads):
            continue
        if store.contains(blob.uri) and store.exists(blob.uri):
            blob.uri = blob.uri.rpartition("/")[0]
