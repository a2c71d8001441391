"""Objects as files below a directory; signed URLs are served by the web process."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.store import parts, signing
from artifacts.store.base import ObjectStore, StoredObject, check_sha256
from artifacts.store.folders import PARTIAL, SCOPE_DEPTH, Folders
from artifacts.task_users import Identity, TaskUsers

INSIDE_SECONDS = 1.0
# What opening says where there is no file: nothing, a folder, a link, or a file where a folder should be.
NO_FILE = frozenset({errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})


class LocalStore(ObjectStore):
    """`users`: whom tasks run as, where that is not this process's own user: they may read their project's objects."""

    def __init__(self, root: str, *, public_url: str, max_upload_bytes: int, users: TaskUsers | None = None) -> None:
        super().__init__(root.removeprefix("file://"))
        self.directory = Path(self.root)
        self.users = users
        self.folders = Folders(self.directory, users)
        self._inside_until: dict[str, float] = {}  # monotonic; folders that no link leads out of, as seen before
        self.public_url = public_url.rstrip("/")
        self.max_upload_bytes = max_upload_bytes

    def key(self, uri: str, *, prefix: bool = False) -> str:
        """URIs are plain paths, which is what flytekit finds again; `file://` before one is accepted."""
        return super().key(uri.removeprefix("file://"), prefix=prefix)

    def path(self, uri: str) -> Path:
        """Where the object lies. A link that leads out of the directory is refused as if nothing were there."""
        key = self.key(uri)
        path, folder = f"{self.root}/{key}", os.path.dirname(f"{self.root}/{key}")
        if os.path.islink(path) or time.monotonic() > self._inside_until.get(folder, 0.0):
            top = os.path.realpath(self.root)
            if not os.path.realpath(path).startswith(f"{top}/"):
                raise NotFound(f"there is no object {uri}")
            self._inside_until = {folder: time.monotonic() + INSIDE_SECONDS}  # a folder of logs is asked for in a row
        return self.directory / key

    def put(self, uri: str, data: bytes) -> None:
        self.write(uri, lambda file: file.write(data))

    def put_stream(self, uri: str, stream: BinaryIO) -> None:
        self.write(uri, lambda file: shutil.copyfileobj(stream, file, 1 << 20))

    def write(self, uri: str, fill: Callable[[BinaryIO], object]) -> None:
        """Let `fill` write the object; if it raises, nothing is left behind."""
        self._write(self.key(uri), fill)

    def _write(self, key: str, fill: Callable[[BinaryIO], object]) -> None:
        try:
            with self.folders.write(key) as file:
                fill(file)
        except NotADirectoryError:
            path = self.directory / key
            raise InvalidArgument(f"{path} cannot be written: an object lies where it needs a folder") from None
        except IsADirectoryError:
            path = self.directory / key
            raise InvalidArgument(f"{path} cannot be written: a folder of objects lies there") from None

    def open(self, uri: str) -> BinaryIO:
        try:
            return self.folders.open(self.key(uri))
        except OSError as error:
            if error.errno not in NO_FILE and not isinstance(error, FileNotFoundError):
                raise
            raise NotFound(f"there is no object {uri}") from None

    def exists(self, uri: str) -> bool:
        return self._stat(uri) is not None

    def size(self, uri: str) -> int:
        found = self._stat(uri)
        if found is None:
            raise NotFound(f"there is no object {uri}")
        return found.st_size

    def among(self, prefix: str, names: Collection[str]) -> set[str]:
        """As each one's `exists`, on one way to their folder."""
        try:
            return self.folders.files(self.key(prefix, prefix=True), names)
        except OSError as error:
            if error.errno not in NO_FILE:
                raise
            return set()

    def _stat(self, uri: str) -> os.stat_result | None:
        try:
            return self.folders.stat(self.key(uri))
        except OSError as error:
            if error.errno not in NO_FILE and not isinstance(error, FileNotFoundError):
                raise
            return None

    def list(self, prefix: str) -> Iterator[StoredObject]:
        top = self.directory / self.key(prefix, prefix=True)
        if not self._is_plain(top):
            return
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(name for name in files if not name.startswith(PARTIAL)):
                path = Path(folder, name)
                found = path.lstat()
                if stat.S_ISREG(found.st_mode):
                    modified = datetime.fromtimestamp(found.st_mtime, timezone.utc)
                    uri = f"{self.root}/{path.relative_to(self.directory).as_posix()}"
                    yield StoredObject(uri, found.st_size, modified)

    def _is_plain(self, path: Path) -> bool:
        """Whether no link lies between the directory and the path."""
        return path.resolve() == self.directory.resolve() / path.relative_to(self.directory)

    def delete(self, uri: str) -> None:
        try:
            self.folders.unlink(self.key(uri))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise

    def scope_of(self, uri: str) -> tuple[str, str] | None:
        """The project and domain whose tasks may read the object: <area>/<project>/<domain>/... None for no object."""
        if not self.contains(uri):
            return None
        parts = self.key(uri).split("/")
        return (parts[1], parts[2]) if len(parts) > SCOPE_DEPTH else None

    def hand_over(self, uri: str, identity: Identity) -> None:
        """Make a folder that the tasks of that user may write into."""
        self.folders.hand_over(self.key(uri), identity)

    def hand_over_file(self, uri: str, identity: Identity) -> None:
        """Make an empty object that the tasks of that user may write."""
        self.folders.hand_over_file(self.key(uri), identity)

    def signed_get(self, uri: str, *, expires: timedelta, filename: str | None = None) -> str:
        grant = signing.Grant("GET", self.key(uri), filename=filename or "")
        return f"{self.public_url}/objects/{signing.sign(grant, expires)}"

    def signed_put(
        self, uri: str, *, expires: timedelta, content_md5: bytes | None = None, max_bytes: int | None = None
    ) -> tuple[str, dict[str, str]]:
        md5 = signing.md5_header(content_md5)
        grant = signing.Grant("PUT", self.key(uri), md5=md5, max_bytes=max_bytes or self.max_upload_bytes)
        return f"{self.public_url}/objects/{signing.sign(grant, expires)}", {"Content-MD5": md5} if md5 else {}

    def begin_parts(self, uri: str) -> str:
        return parts.upload_id(self.key(uri))

    def signed_part(self, uri: str, upload: str, number: int, *, size: int, expires: timedelta) -> str:
        grant = signing.Grant("PUT", self.key(uri), max_bytes=size, part=number)
        return f"{self.public_url}/objects/{signing.sign(grant, expires)}"

    def parts(self, uri: str, upload: str) -> dict[int, int]:
        return {number: path.stat().st_size for number, path in parts.present(self.path(uri), upload).items()}

    def write_part(self, uri: str, number: int, fill: Callable[[BinaryIO], object]) -> None:
        """Let `fill` write the part; if it raises, nothing is left behind."""
        key = self.key(uri)
        part = parts.part_path(Path(key), parts.upload_id(key), number)
        self._write(part.as_posix(), fill)

    def finish_parts(self, uri: str, upload: str, *, sha256: str) -> None:
        found = parts.present(self.path(uri), upload)
        pieces = [found[number] for number in sorted(found)]

        def join(file: BinaryIO) -> None:
            check_sha256(uri, parts.copy(pieces, file), sha256)

        try:
            self.write(uri, join)
        except FileNotFoundError:
            raise NotFound(f"the parts of {uri} are gone: start the upload again") from None
        finally:
            self.abort_parts(uri, upload)

    def abort_parts(self, uri: str, upload: str) -> None:
        for path in parts.present(self.path(uri), upload).values():
            path.unlink(missing_ok=True)

    def drop_abandoned_parts(self, before: datetime) -> int:
        gone = {
            path.name.rpartition("-")[0] for path in self._drop(parts.leftovers(self.directory, before.timestamp()))
        }
        return len(gone)

    @staticmethod
    def _drop(paths: Iterator[Path]) -> Iterator[Path]:
        for path in paths:
            path.unlink(missing_ok=True)
            yield path
