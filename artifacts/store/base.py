"""The port to the object store: bytes under URIs below one root."""

from __future__ import annotations

import hashlib
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO

from artifacts.exceptions import InvalidArgument

CHUNK = 1 << 20  # bytes read at a time
MAX_KEY = 1024  # bytes, as S3 has it
MAX_SEGMENT = 255  # bytes between two slashes, as file systems have it


def too_long(path: str) -> bool:
    """Whether no store could keep an object of this name."""
    encoded = path.encode(errors="surrogatepass")
    return len(encoded) > MAX_KEY or any(len(part) > MAX_SEGMENT for part in encoded.split(b"/"))


@dataclass(frozen=True)
class StoredObject:
    uri: str
    size: int  # bytes
    modified: datetime


class ObjectStore(ABC):
    """Methods take full URIs and raise InvalidArgument for one outside the root, NotFound for a missing object."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")

    def join(self, uri: str, *parts: str) -> str:
        """`uri` followed by path parts, with single slashes between them."""
        return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts if part.strip("/"))])

    def key(self, uri: str, *, prefix: bool = False) -> str:
        """The path below the root. Dots, doubled slashes and control characters cannot be used to leave the root."""
        path = uri[len(self.root) + 1 :] if uri.startswith(f"{self.root}/") else ""
        if prefix and uri.rstrip("/") == self.root:
            return ""
        if prefix:
            path = path.rstrip("/")
        if not path or posixpath.normpath(path) != path or path.startswith(("/", "..")) or not path.isprintable():
            raise InvalidArgument(f"{uri[:300]!r} is not an object of this store; its objects lie below {self.root}/")
        if too_long(path):
            raise InvalidArgument(
                f"{uri[:100]!r}... is too long: at most {MAX_KEY} bytes below the store's root, and {MAX_SEGMENT} "
                "between two slashes"
            )
        return path

    def contains(self, uri: str) -> bool:
        """Whether the URI could be an object of this store at all."""
        try:
            self.key(uri)
        except InvalidArgument:
            return False
        return True

    @abstractmethod
    def put(self, uri: str, data: bytes) -> None:
        """Write the whole object; readers see the old bytes or the new ones, never a part."""

    @abstractmethod
    def put_stream(self, uri: str, stream: BinaryIO) -> None:
        """Write the object from an open file that can be sought in, without holding it in memory."""

    def put_file(self, uri: str, path: str) -> None:
        """Write the object from a local file, without holding it in memory."""
        with open(path, "rb") as stream:
            self.put_stream(uri, stream)

    @abstractmethod
    def open(self, uri: str) -> BinaryIO:
        """A readable binary stream; the caller closes it."""

    def open_at(self, uri: str, start: int) -> BinaryIO:
        """Like `open`, from a byte on. Nothing follows where the object is not as long as that."""
        stream = self.open(uri)
        stream.seek(start)
        return stream

    @abstractmethod
    def exists(self, uri: str) -> bool: ...

    def among(self, prefix: str, names: Collection[str]) -> set[str]:
        """Those of the names that are objects in the folder `prefix`."""
        return {name for name in names if self.exists(self.join(prefix, name))}

    @abstractmethod
    def size(self, uri: str) -> int: ...

    @abstractmethod
    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects in the folder `prefix` and its folders, by URI."""

    @abstractmethod
    def delete(self, uri: str) -> None:
        """Remove the object; removing a missing one is no error."""

    @abstractmethod
    def signed_get(self, uri: str, *, expires: timedelta, filename: str | None = None) -> str:
        """A URL that anybody may GET until it expires; `filename` is what a browser saves it as."""

    @abstractmethod
    def signed_put(
        self, uri: str, *, expires: timedelta, content_md5: bytes | None = None, max_bytes: int | None = None
    ) -> tuple[str, dict[str, str]]:
        """A URL that anybody may PUT to until it expires, and the headers the client has to send with it.

        `content_md5` (16 raw bytes) binds the URL to that content. `max_bytes` defaults to CAUSEWAY_MAX_UPLOAD_BYTES; a
        presigned S3 URL cannot enforce it.
        """

    @abstractmethod
    def begin_parts(self, uri: str) -> str:
        """Start writing an object in parts, or find the write that somebody started; its id."""

    @abstractmethod
    def signed_part(self, uri: str, upload: str, number: int, *, size: int, expires: timedelta) -> str:
        """A URL to PUT part `number` (from 1) of exactly `size` bytes to, until it expires. Doing so again replaces."""

    @abstractmethod
    def parts(self, uri: str, upload: str) -> dict[int, int]:
        """The parts that have arrived whole: number to size in bytes."""

    @abstractmethod
    def finish_parts(self, uri: str, upload: str, *, sha256: str) -> None:
        """Put the parts together. InvalidArgument, and no object, when the whole has another SHA-256 (hexadecimal)."""

    @abstractmethod
    def abort_parts(self, uri: str, upload: str) -> None:
        """Forget the parts; those of a finished or unknown upload are no error."""

    @abstractmethod
    def drop_abandoned_parts(self, before: datetime) -> int:
        """Forget uploads in parts that were begun before a moment and never finished; how many objects that was."""

    def is_unchecked(self, uri: str) -> bool:
        """Whether the object that is there was put together of parts, but whoever did it died before it was checked."""
        return False

    def check(self, uri: str, *, sha256: str) -> None:
        """See that the object is what was announced. InvalidArgument, and no object any more, when it is not."""
        try:
            check_sha256(uri, self.sha256(uri), sha256)
        except InvalidArgument:
            self.delete(uri)
            raise

    def get(self, uri: str) -> bytes:
        with self.open(uri) as stream:
            return stream.read()

    def sha256(self, uri: str) -> str:
        """Of the whole object, in hexadecimal; reads it once."""
        digest = hashlib.sha256()
        with self.open(uri) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


def check_sha256(uri: str, found: str, wanted: str) -> None:
    """Raises InvalidArgument when what arrived is not what was announced."""
    if found != wanted:
        name = uri.rpartition("/")[2]
        raise InvalidArgument(f"{name}: the SHA-256 of what arrived is {found}, not {wanted}; upload it again")
