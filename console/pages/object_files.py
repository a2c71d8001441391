"""The files of a version's object as a tree with sizes, and all of them as one archive."""

from __future__ import annotations

import threading
import weakref
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from artifacts.exceptions import CausewayError, ResourceExhausted
from artifacts.store import store

FILES_SHOWN = 1_000
FILES_PACKED = 10_000
PACKED_AT_ONCE = 2  # archives that a process sends: each holds one of its threads
CHUNK = 1 << 20
_turns = threading.BoundedSemaphore(PACKED_AT_ONCE)


@dataclass(frozen=True)
class File:
    path: str  # below the object; empty: it is the object itself
    size: int

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1] or "the object"


@dataclass
class Folder:
    """`path` without a slash at its end; empty for the top."""

    path: str
    folders: dict[str, Folder] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    size: int = 0
    count: int = 0

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def files_of(uri: str, *, most: int = FILES_SHOWN + 1) -> list[File]:
    """What lies at or under the URI. Errors of the store as it raises them."""
    if store().contains(uri) and store().exists(uri):
        return [File("", store().size(uri))]
    found = islice(store().list(uri), most)
    return [File(item.uri[len(uri) :].lstrip("/"), item.size) for item in found]


def tree_of(files: Sequence[File]) -> Folder:
    """The folders with their sizes and how many files are in them."""
    top = Folder("")
    for file in files:
        folder = top
        *parts, _ = file.path.split("/")
        _count(folder, file)
        for at, part in enumerate(parts):
            folder = folder.folders.setdefault(part, Folder("/".join(parts[: at + 1])))
            _count(folder, file)
        folder.files.append(file)
    return top


def _count(folder: Folder, file: File) -> None:
    folder.size += file.size
    folder.count += 1


def files_context(uri: str) -> dict[str, Any]:
    """The files, or why we cannot tell."""
    if not uri:
        return {"files": [], "problem": ""}
    try:
        found = files_of(uri)
    except CausewayError as error:
        return {"files": [], "problem": error.message}
    shown = found[:FILES_SHOWN]
    problem = "" if found else "Nothing lies at this address any more."
    return {"files": shown, "tree": tree_of(shown), "more_files": len(found) > FILES_SHOWN, "problem": problem}


class _Pipe:
    """What a ZipFile writes into, handed on piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken


def packed(uri: str) -> Archive:
    """All files under the URI as a ZIP archive, not compressed, made while it is sent.

    ResourceExhausted while PACKED_AT_ONCE others are sent, and for more than FILES_PACKED files: before the first byte.
    """
    files = files_of(uri, most=FILES_PACKED + 1)
    if len(files) > FILES_PACKED:
        raise ResourceExhausted(f"more than {FILES_PACKED:,} files are not packed: use causeway artifact pull")
    if not _turns.acquire(blocking=False):
        raise ResourceExhausted(f"{PACKED_AT_ONCE} archives are being sent just now: try again in a moment")
    return Archive(_pieces(uri, files))


class Archive:
    """Pieces that give their turn back once: at their end, when the answer is closed, or when nobody holds it any more.

    A generator's `finally` would not do: one that is closed before its first piece (the reader has left) runs none.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.close = weakref.finalize(self, _turns.release)  # as Django asks of what it sends

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BaseException:  # its end, or the store's error
            self.close()
            raise


def _pieces(uri: str, files: Sequence[File]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]  # it only writes
        for file in files:
            where = store().join(uri, file.path) if file.path else uri
            name = zipfile.ZipInfo(file.path or uri.rsplit("/", 1)[-1])
            with store().open(where) as source, archive.open(name, "w", force_zip64=True) as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield pipe.take()
    yield pipe.take()
