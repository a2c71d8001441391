"""Objects as files below a directory; signed URLs are served by the web process."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.store import parts, signing
from artifacts.store.base import ObjectStore, StoredObject, check_sha256

PARTIAL = ".partial-"  # prefix of files being written; listings leave them out


class LocalStore(ObjectStore):
    def __init__(self, root: str, *, public_url: str, max_upload_bytes: int) -> None:
        super().__init__(root.removeprefix("file://"))
        self.directory = Path(self.root)
        self.public_url = public_url.rstrip("/")
        self.max_upload_bytes = max_upload_bytes

    def key(self, uri: str, *, prefix: bool = False) -> str:
        """URIs are plain paths, which is what flytekit finds again; `file://` before one is accepted."""
        return super().key(uri.removeprefix("file://"), prefix=prefix)

    def path(self, uri: str) -> Path:
        """Where the object lies. A link that leads out of the directory is refused as if nothing were there."""
        path = self.directory / self.key(uri)
        if not path.resolve().is_relative_to(self.directory.resolve()):
            raise NotFound(f"there is no object {uri}")
        return path

    def put(self, uri: str, data: bytes) -> None:
        self.write(uri, lambda file: file.write(data))

    def put_file(self, uri: str, path: str) -> None:
        with open(path, "rb") as source:
            self.write(uri, lambda file: shutil.copyfileobj(source, file, 1 << 20))

    def write(self, uri: str, fill: Callable[[BinaryIO], object]) -> None:
        """Let `fill` write the object; if it raises, nothing is left behind."""
        self._write(self.path(uri), fill)

    @staticmethod
    def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InvalidArgument(f"{path} cannot be written: an object lies where it needs a folder") from None
        fd, partial = tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                fill(file)
            os.chmod(partial, 0o644)
            os.replace(partial, path)
        except BaseException as error:
            os.unlink(partial)
            if isinstance(error, IsADirectoryError):
                raise InvalidArgument(f"{path} cannot be written: a folder of objects lies there") from None
            raise

    def open(self, uri: str) -> BinaryIO:
        try:
            return open(self.path(uri), "rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(f"there is no object {uri}") from None

    def exists(self, uri: str) -> bool:
        try:
            return self.path(uri).is_file()
        except NotFound:
            return False

    def size(self, uri: str) -> int:
        path = self.path(uri)
        if not path.is_file():
            raise NotFound(f"there is no object {uri}")
        return path.stat().st_size

    def list(self, prefix: str) -> Iterator[StoredObject]:
        top = self.directory / self.key(prefix, prefix=True)
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(name for name in files if not name.startswith(PARTIAL)):
                path = Path(folder, name)
                stat = path.stat()
                modified = datetime.fromtimestamp(stat.st_mtime, timezone.utc)
                yield StoredObject(f"{self.root}/{path.relative_to(self.directory).as_posix()}", stat.st_size, modified)

    def delete(self, uri: str) -> None:
        self.path(uri).unlink(missing_ok=True)

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
        path = self.path(uri)
        part = parts.part_path(path, parts.upload_id(self.key(uri)), number)
        self._write(part, fill)

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
