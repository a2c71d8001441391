"""Files and folders on their way into the object store, in parts that may arrive in any order and again.

Nothing is remembered beside the store: where a file goes follows from its content, which parts are there the store
knows. So a client that was killed asks again with the same files and goes on where it was.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.utils import timezone
from flyteidl.core import literals_pb2

from artifacts import literals
from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound, PayloadTooLarge
from artifacts.store import store

AREA = "artifacts"  # objects lie below <root>/artifacts/<project>/<domain>/<SHA-256>/
PART_BYTES = 8 * 1024**2
MAX_PARTS = 10_000  # of one object, as S3 has it
MAX_FILES = 10_000
FEW_OBJECTS, FEW_FILES = 20, 1_000  # of a task's output, and in each folder of it, whose sizes are added up
MAX_PATH = 700  # bytes
MAX_SEGMENT = 200  # bytes
LINK_LIFETIME = timedelta(hours=1)
ABANDONED_AFTER = timedelta(days=2)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class File:
    """What a client announces: `path` is the file's name, or its path below the folder."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Part:
    number: int  # from 1
    offset: int  # bytes
    size_bytes: int
    done: bool
    url: str  # to PUT to; empty when done


@dataclass(frozen=True)
class FileUpload:
    file: File
    uri: str
    done: bool
    parts: list[Part] = field(default_factory=list)
    unchecked: bool = False  # put together, but nobody has seen yet whether it is what was announced


@dataclass(frozen=True)
class Upload:
    """`content_hash` is the SHA-256 of the one file; of a folder that of its sorted lines `<SHA-256>  <path>`."""

    uri: str
    size_bytes: int
    content_hash: str
    files: list[FileUpload]

    @property
    def done(self) -> bool:
        return all(file.done for file in self.files)


def upload(files: Sequence[File], *, folder: bool, project: str, domain: str) -> Upload:
    """Start an upload, or see how far it is. Raises InvalidArgument for paths, sizes or hashes that cannot be."""
    return _look(files, folder=folder, project=project, domain=domain, sign=True)


def complete(files: Sequence[File], *, folder: bool, project: str, domain: str) -> Upload:
    """Put the parts of every file together. Doing so again changes nothing.

    FailedPrecondition while parts are missing, InvalidArgument when the content is not what was announced: then that
    file starts again.
    """
    begun = _look(files, folder=folder, project=project, domain=domain, sign=False)
    missing = [(each, part.number) for each in begun.files for part in each.parts if not part.done]
    if missing:
        first, number = missing[0]
        raise FailedPrecondition(f"{len(missing)} parts have not arrived, such as part {number} of {first.file.path}")
    for each in begun.files:
        if each.unchecked:
            store().check(each.uri, sha256=each.file.sha256)
        elif not each.done:
            store().finish_parts(each.uri, store().begin_parts(each.uri), sha256=each.file.sha256)
    return _look(files, folder=folder, project=project, domain=domain, sign=False)


def abort(files: Sequence[File], *, folder: bool, project: str, domain: str) -> None:
    """Forget what arrived of an upload. Files that are complete stay: another upload may have had the same."""
    _check(files, folder=folder)
    uri = _place(files, folder=folder, project=project, domain=domain)
    for file in files:
        target = store().join(uri, file.path) if folder else uri
        store().abort_parts(target, store().begin_parts(target))


def drop_abandoned(now: datetime | None = None) -> int:
    """Forget what nobody completed for two days; how many files that was."""
    return store().drop_abandoned_parts((now or timezone.now()) - ABANDONED_AFTER)


def recorded_hash(uri: str) -> str:
    """The content hash of data that was uploaded here: its address says it. Empty for all other data."""
    key = store().key(uri.rstrip("/")).split("/") if store().contains(uri.rstrip("/")) else []
    return key[3] if len(key) > 3 and key[0] == AREA and _SHA256.fullmatch(key[3]) else ""


def size_of(uri: str, *, most: int = MAX_FILES) -> int | None:
    """The bytes at a URI of our store, all files of a folder together; None for data elsewhere, none, or too many."""
    objects, uri = store(), uri.rstrip("/")
    if not objects.contains(uri):
        return None
    try:
        return objects.size(uri)
    except NotFound:
        found = list(islice(objects.list(uri), most + 1))
    return sum(each.size for each in found) if 0 < len(found) <= most else None


def size_of_value(value: literals_pb2.Literal) -> int | None:
    """The bytes that a task's output lies in. None for a plain value, for data elsewhere, or for too many files.

    They are looked up while the output is published, which is not to take long.
    """
    found = list(islice(literals.uris(value), FEW_OBJECTS + 1))
    if not 0 < len(found) <= FEW_OBJECTS:
        return None
    sizes = [size_of(uri, most=FEW_FILES) for uri in found]
    return sum(size for size in sizes if size is not None) if None not in sizes else None


def place_of(sha256: str, name: str, *, project: str, domain: str) -> str:
    """Where a single file of this content goes."""
    return store().join(store().root, AREA, project, domain, sha256, name)


def _look(files: Sequence[File], *, folder: bool, project: str, domain: str, sign: bool) -> Upload:
    _check(files, folder=folder)
    uri = _place(files, folder=folder, project=project, domain=domain)
    looked = [_file(file, store().join(uri, file.path) if folder else uri, sign=sign) for file in files]
    digest = folder_digest(files) if folder else files[0].sha256
    return Upload(uri, sum(file.size_bytes for file in files), digest, looked)


def _place(files: Sequence[File], *, folder: bool, project: str, domain: str) -> str:
    if folder:
        return store().join(store().root, AREA, project, domain, folder_digest(files), "data")
    return place_of(files[0].sha256, files[0].path, project=project, domain=domain)


def folder_digest(files: Iterable[File]) -> str:
    """As `sha256sum` lists files: the same folder has the same digest, whatever made it."""
    lines = (f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _file(file: File, uri: str, *, sign: bool) -> FileUpload:
    objects = store()
    if objects.exists(uri) and objects.size(uri) == file.size_bytes:
        unchecked = objects.is_unchecked(uri)
        return FileUpload(file, uri, done=not unchecked, unchecked=unchecked)
    handle = objects.begin_parts(uri)
    arrived = objects.parts(uri, handle)
    parts = []
    for number, (offset, size) in enumerate(spans(file.size_bytes), start=1):
        done = arrived.get(number) == size
        wanted = sign and not done
        url = objects.signed_part(uri, handle, number, size=size, expires=LINK_LIFETIME) if wanted else ""
        parts.append(Part(number, offset, size, done, url))
    return FileUpload(file, uri, done=False, parts=parts)


def spans(size: int) -> list[tuple[int, int]]:
    """Offset and size of each part of a file of this size, in bytes; an empty file has none."""
    part = max(PART_BYTES, -(-size // MAX_PARTS))
    return [(offset, min(part, size - offset)) for offset in range(0, size, part)]


def _check(files: Sequence[File], *, folder: bool) -> None:
    if not files or len(files) > MAX_FILES:
        raise InvalidArgument(f"an upload has 1 to {MAX_FILES} files, not {len(files)}")
    if not folder and len(files) > 1:
        raise InvalidArgument(f"{len(files)} files are a directory: give the shape `directory`")
    paths = [check_path(file.path, name_only=not folder) for file in files]
    if len(set(paths)) < len(paths):
        raise InvalidArgument(f"{next(path for path in paths if paths.count(path) > 1)!r} is there twice")
    folders = {parent for path in paths for parent in _parents(path)}
    if clash := folders & set(paths):
        raise InvalidArgument(f"{sorted(clash)[0]!r} cannot be a file and a folder")
    for file in files:
        if not _SHA256.fullmatch(file.sha256):
            raise InvalidArgument(f"{file.path}: sha256 must be 64 hexadecimal digits")
        if file.size_bytes < 0:
            raise InvalidArgument(f"{file.path}: a file cannot have {file.size_bytes} bytes")
    total = sum(file.size_bytes for file in files)
    if total > settings.CAUSEWAY_MAX_UPLOAD_BYTES:
        raise PayloadTooLarge(f"{total} bytes are more than the {settings.CAUSEWAY_MAX_UPLOAD_BYTES} allowed here")


def check_path(path: str, *, name_only: bool = False) -> str:
    """A relative path that stays where it is put. Raises InvalidArgument."""
    segments = path.split("/")
    bad = (
        not path.isprintable()
        or posixpath.normpath(path) != path
        or any(each in ("", ".", "..") or each.startswith(".partial-") for each in segments)
        or (name_only and len(segments) > 1)
        or "\\" in path
    )
    if bad:
        what = "name" if name_only else "path below the folder"
        raise InvalidArgument(f"{path[:100]!r} cannot be a file's {what}")
    encoded = path.encode(errors="surrogatepass")
    if len(encoded) > MAX_PATH or any(len(each.encode(errors="surrogatepass")) > MAX_SEGMENT for each in segments):
        raise InvalidArgument(
            f"{path[:100]!r} is too long: at most {MAX_PATH} bytes, and {MAX_SEGMENT} between two slashes"
        )
    return path


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]
