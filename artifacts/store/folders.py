"""Files below a directory that others may write into: opened step by step, so that no link leads anywhere else.

Tasks own the folders that they write their outputs into. What they put there while the control plane, which may be
root, is on its way through must not decide which file it reads, writes or removes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from artifacts.task_users import Identity, TaskUsers

PARTIAL = ".partial-"  # prefix of files being written; listings leave them out
SCOPE_DEPTH = 3  # objects lie below <area>/<project>/<domain>/
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# With users for tasks: what belongs to a project and domain its tasks may read, and what is made there stays theirs.
PASS_THROUGH, READABLE, READABLE_FILE = 0o710, 0o2750, 0o640
PRIVATE, PRIVATE_FILE = 0o700, 0o600


class KeptOpen:
    """Descriptors of the folders of projects and domains, which nearly every path leads through. Thread-safe.

    Nobody's tasks can put something else in their place: their parents are ours. Whoever else does is noticed.
    """

    MOST = 64
    SECONDS = 5.0

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._kept: dict[tuple[bool, str], tuple[float, int]] = {}

    def get(self, key: str, *, make: bool) -> int | None:
        """A descriptor of the caller's own; None: it is not known, or not there any more. `make`: see Folders."""
        with self._lock:
            since, fd = self._kept.get((make, key), (0.0, -1))
            if fd < 0:
                return None
            if time.monotonic() - since < self.SECONDS and self._is_there(key, fd):
                return os.dup(fd)
            del self._kept[make, key]
            os.close(fd)
            return None

    def _is_there(self, key: str, fd: int) -> bool:
        try:
            return os.path.samestat(os.stat(f"{self.root}/{key}", follow_symlinks=False), os.fstat(fd))
        except OSError:
            return False

    def put(self, key: str, fd: int, *, make: bool) -> None:
        with self._lock:
            if (make, key) in self._kept:
                return
            while len(self._kept) >= self.MOST:
                os.close(self._kept.pop(next(iter(self._kept)))[1])
            with contextlib.suppress(OSError):  # only to be faster
                self._kept[make, key] = time.monotonic(), os.dup(fd)

    def __del__(self) -> None:
        for _, fd in self._kept.values():
            os.close(fd)


class Folders:
    """The folders and files below `root`, by paths with single slashes and no dots. Errors are OSErrors."""

    def __init__(self, root: Path, users: TaskUsers | None) -> None:
        self.root, self.users = root, users
        self._scopes = KeptOpen(root)

    @contextlib.contextmanager
    def folder_of(self, key: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that the file lies in, and the file's name."""
        *folders, name = key.split("/")
        with self.folder(folders, make=make) as fd:
            yield fd, name

    @contextlib.contextmanager
    def folder(self, folders: list[str], *, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder; with `make` it is made, with all above it."""
        scope = "/".join(folders[:SCOPE_DEPTH])
        known = self._scopes.get(scope, make=make) if len(folders) >= SCOPE_DEPTH else None
        fd, depth = (known, SCOPE_DEPTH) if known is not None else (self._open_root(make=make), 0)
        try:
            while depth < len(folders):
                depth += 1
                inner = self._enter(fd, folders[depth - 1], folders[:depth], make=make)
                os.close(fd)
                fd = inner
                if depth == SCOPE_DEPTH:
                    self._scopes.put(scope, fd, make=make)
            yield fd
        finally:
            os.close(fd)

    def _open_root(self, *, make: bool) -> int:
        if make and not self.root.is_dir():
            self._make_root()
        return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _make_root(self) -> None:
        self.root.mkdir(parents=True, mode=PRIVATE, exist_ok=True)
        if self.users is not None:
            os.chown(self.root, -1, self.users.group)
            os.chmod(self.root, PASS_THROUGH)

    def _enter(self, fd: int, name: str, path: list[str], *, make: bool) -> int:
        try:
            inner = os.open(name, _FOLDER, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, PRIVATE, dir_fd=fd)  # below a project's folder the kernel hands its group down
            inner = os.open(name, _FOLDER, dir_fd=fd)
            if self.users is not None and len(path) > SCOPE_DEPTH:
                os.fchmod(inner, READABLE)
        if make and self.users is not None and len(path) <= SCOPE_DEPTH:
            self._settle(inner, path, self.users)
        return inner

    @staticmethod
    def _settle(fd: int, path: list[str], users: TaskUsers) -> None:
        """See that a folder above, or of, a project and domain has its group, whoever made it a moment ago."""
        whole = len(path) == SCOPE_DEPTH
        group, mode = (users.of(path[1], path[2]).gid, READABLE) if whole else (users.group, PASS_THROUGH)
        found = os.fstat(fd)
        if found.st_gid != group or stat.S_IMODE(found.st_mode) != mode:
            os.fchown(fd, -1, group)
            os.fchmod(fd, mode)

    def open(self, key: str) -> BinaryIO:
        """The file to read; a link, a pipe or a device is none. Of the open file nobody can make another one."""
        with self.folder_of(key) as (folder, name):
            return open_regular(name, dir_fd=folder)

    def stat(self, key: str) -> os.stat_result:
        """Of the file; FileNotFoundError for whatever is none."""
        with self.folder_of(key) as (folder, name):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(key)
        return found

    def files(self, key: str, names: Collection[str]) -> set[str]:
        """Those of the names that are files in the folder; none where it is no folder."""
        found = set()
        try:
            with self.folder(key.split("/")) as fd:
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        if stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                            found.add(name)
        except (FileNotFoundError, NotADirectoryError):
            return set()
        return found

    def unlink(self, key: str) -> None:
        with self.folder_of(key) as (folder, name):
            os.unlink(name, dir_fd=folder)

    @contextlib.contextmanager
    def write(self, key: str) -> Iterator[BinaryIO]:
        """A file that takes its place when the block ends, and leaves nothing behind when that raises."""
        with self.folder_of(key, make=True) as (folder, name):
            partial = f"{PARTIAL}{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(partial, flags, PRIVATE_FILE, dir_fd=folder)
            try:
                with os.fdopen(fd, "wb") as file:
                    os.fchmod(fd, PRIVATE_FILE if self.users is None else READABLE_FILE)
                    yield file
                os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(partial, dir_fd=folder)
                raise

    def hand_over(self, key: str, identity: Identity) -> None:
        """Make the folder and let that user write into it."""
        with self.folder(key.split("/"), make=True) as fd:
            found = os.fstat(fd)
            if (found.st_uid, found.st_gid) != (identity.uid, identity.gid) or stat.S_IMODE(found.st_mode) != READABLE:
                os.fchown(fd, identity.uid, identity.gid)
                os.fchmod(fd, READABLE)

    def hand_over_file(self, key: str, identity: Identity) -> None:
        """Make an empty file, unless it is there, that the user may write: it cannot put another in its place."""
        with self.folder_of(key, make=True) as (folder, name):
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(name, flags, PRIVATE_FILE, dir_fd=folder)
            try:
                os.fchown(fd, identity.uid, identity.gid)
                os.fchmod(fd, READABLE_FILE)
            finally:
                os.close(fd)


def open_regular(path: str | Path, *, dir_fd: int | None = None) -> BinaryIO:
    """A regular file to read. OSError, FileNotFoundError among them, for a link, a pipe, a device or a folder."""
    fd = os.open(path, _READ, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(str(path))
    os.set_blocking(fd, True)
    return os.fdopen(fd, "rb")


def settle_existing(root: Path, users: TaskUsers) -> int:
    """Give what an earlier Causeway kept below `root` to those who may read it; how many projects and domains that was.

    The folder of a project and domain is done last, so that one that was broken off is done again. A folder of the
    right group is not looked into: what is made in it later is right from the start.
    """
    if not root.is_dir():
        return 0
    os.chown(root, -1, users.group)
    os.chmod(root, PASS_THROUGH)
    settled = 0
    for area in _folders(root):
        for project in _folders(area):
            for domain in _folders(project):
                settled += _settle_scope(domain, users.of(project.name, domain.name).gid)
            _let_pass(project, users)
        _let_pass(area, users)
    return settled


def _folders(path: Path) -> list[Path]:
    return [Path(entry.path) for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]


def _let_pass(path: Path, users: TaskUsers) -> None:
    os.chown(path, -1, users.group)
    os.chmod(path, PASS_THROUGH)


def _settle_scope(top: Path, gid: int) -> bool:
    found = top.stat()
    if found.st_gid == gid and stat.S_IMODE(found.st_mode) == READABLE:
        return False
    owner = os.geteuid()  # of another numbering, the user who owned it may be another project's by now
    for _path, _inner, files, fd in os.fwalk(top, topdown=False):
        for name in files:
            os.chown(name, owner, gid, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                os.chmod(name, READABLE_FILE, dir_fd=fd)
        os.fchown(fd, owner, gid)
        os.fchmod(fd, READABLE)
    return True
