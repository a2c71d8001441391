"""The cache of users' code distributions: each archive is fetched and unpacked once, and goes when it is long unused.

A directory's mtime says when it was used last.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from artifacts.store import ObjectStore
from artifacts.task_users import Identity

KEPT = 50  # distributions, however long they have not been used
UNUSED_SECONDS = 24 * 3600
PARTIAL = ".partial-"


@lru_cache(maxsize=256)
def _name_of(distribution: str, user: Identity | None) -> str:
    digest = hashlib.sha256(distribution.encode()).hexdigest()[:32]
    return digest if user is None else f"{user.uid}-{digest}"


class CodeCache:
    def __init__(self, directory: Path, store: ObjectStore) -> None:
        self.directory = directory
        self.store = store
        self._lock = threading.Lock()
        self._using = threading.Lock()  # between the word that a directory is used and its removal

    def path(self, distribution: str, user: Identity | None = None) -> Path:
        """Where the code is, once fetched. Upload URIs carry the archive's digest, so a URI's content never changes.

        Each user of tasks has a copy of its own, which it may read and, as programs do, write into.
        """
        return self.directory / _name_of(distribution, user)

    def ready(self, distribution: str, user: Identity | None = None) -> bool:
        """Whether the code is in place; it then stays there for a day."""
        with self._using, contextlib.suppress(FileNotFoundError):
            os.utime(self.path(distribution, user))
            return True
        return False

    def prune(self, in_use: Collection[Path]) -> list[Path]:
        """Remove all but the KEPT newest of what nobody used for a day; returns what went.

        `in_use`: directories that running attempts and warm processes work in.
        """
        if not self.directory.is_dir():
            return []
        for partial in self.directory.glob(f"{PARTIAL}*"):  # of a process that died meanwhile
            if _age(partial) > UNUSED_SECONDS:
                shutil.rmtree(partial, ignore_errors=True)
        found = [path for path in self.directory.iterdir() if not path.name.startswith(PARTIAL)]
        gone = []
        for path in sorted(found, key=_age)[KEPT:]:
            if path in in_use:
                continue
            doomed = path.with_name(f"{PARTIAL}{path.name}")
            with self._using:
                if _age(path) <= UNUSED_SECONDS:
                    continue
                path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
            gone.append(path)
        return gone

    def fetch(self, distribution: str, user: Identity | None = None) -> Path:
        """Have the code in place. Raises NotFound or InvalidArgument from the store, OSError, tarfile.TarError."""
        target = self.path(distribution, user)
        with self._lock:
            if target.is_dir():
                return target
            self.directory.mkdir(parents=True, exist_ok=True)
            if user is not None:
                os.chown(self.directory, -1, user.groups[0] if user.groups else user.gid)
                self.directory.chmod(0o710)  # to pass through
            partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=self.directory))
            try:
                self._unpack(distribution, partial)
                partial.chmod(0o755)
                if user is not None:
                    _give(partial, user)
                partial.rename(target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return target

    def _unpack(self, distribution: str, into: Path) -> None:
        name = distribution.rpartition("/")[2]
        with self.store.open(distribution) as stream:
            if name.endswith((".tar.gz", ".tgz")):
                with tarfile.open(fileobj=stream, mode="r|gz") as archive:
                    archive.extractall(into, filter="data")
            else:  # a pickled notebook entity, which flytekit's resolver reads by its name
                with open(into / name, "wb") as file:
                    shutil.copyfileobj(stream, file)


def _give(folder: Path, user: Identity) -> None:
    """All of it to the user, and to nobody else; nobody else has it in hands yet."""
    for _path, _inner, files, fd in os.fwalk(folder):
        for name in files:
            os.chown(name, user.uid, user.gid, dir_fd=fd, follow_symlinks=False)
        os.fchown(fd, user.uid, user.gid)
    folder.chmod(0o750)


def _age(path: Path) -> float:
    """Seconds since it was used."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
