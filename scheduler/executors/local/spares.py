"""Run directories used again: to make one for a small task and to remove it costs as much as the task.

One that its attempt left as it was made, nothing new in it and nothing gone, becomes the next attempt's of the same
user and code, under that one's name.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifacts.task_users import Identity
from scheduler.executors.local.rundir import RunDirectory

MOST = 64  # of one user and code
KEPT_SECONDS = 60.0  # that nobody needed meanwhile

# What flytekit makes for each task, and makes again if it is not there (zygote/lean.py).
Tree = Mapping[str, "Tree"]
SCRATCH: Tree = {"local_flytekit": {"workspace": {}, "engine_dir": {}}}
OURS = {"work", "tmp", "spec.json"}
ATTEMPTS_OWN = {"started", "done"}  # what must not be there when the next one begins

_Kind = tuple[Path | None, Identity | None]


class Spares:
    """Thread-safe. `folder`: where run directories are; what is in it and nobody's is removed by the next executor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._kept: dict[_Kind, list[tuple[float, Path]]] = defaultdict(list)

    def prepare(
        self,
        directory: RunDirectory,
        told: Mapping[str, Any],
        code: Path | None,
        *,
        secrets: str = "",
        user: Identity | None = None,
    ) -> None:
        """As RunDirectory.prepare, with a spare one if there is one."""
        if not os.path.lexists(directory.path) and (spare := self._take((code, user))) is not None:
            try:
                RunDirectory(spare).prepare_again(told, secrets=secrets, user=user)
                spare.rename(directory.path)
                return
            except OSError:
                shutil.rmtree(spare, ignore_errors=True)
        directory.prepare(told, code, secrets=secrets, user=user)

    def clear(self, directory: RunDirectory, code: Path | None, user: Identity | None) -> None:
        """The attempt needs it no more: it is kept for another one, or removed."""
        with self._lock:
            full = len(self._kept[code, user]) >= MOST
        if full or not self._keep_or_remove(directory, code, user):
            directory.remove()

    def tick(self) -> None:
        """Those that nobody needed for a while go."""
        until = time.monotonic() - KEPT_SECONDS
        with self._lock:
            old = [path for kept in self._kept.values() for since, path in kept if since < until]
            for kind, kept in list(self._kept.items()):
                self._kept[kind] = [(since, path) for since, path in kept if since >= until]
                if not self._kept[kind]:
                    del self._kept[kind]
        for path in old:
            RunDirectory(path).remove()

    def _take(self, kind: _Kind) -> Path | None:
        with self._lock:
            kept = self._kept.get(kind)
            return kept.pop()[1] if kept else None

    def _keep_or_remove(self, directory: RunDirectory, code: Path | None, user: Identity | None) -> bool:
        """Whether that could be done."""
        spare = self.folder / f"spare-{next(self._numbers)}"
        try:
            directory.path.rename(spare)  # first: no zygote, which may be about to write into it, knows this name
        except OSError:
            return False
        try:
            kept = is_as_made(spare, code, user)
            for name in ATTEMPTS_OWN if kept else ():
                (spare / name).unlink(missing_ok=True)
        except OSError:
            kept = False
        if not kept:
            RunDirectory(spare).remove()
            return True
        with self._lock:
            self._kept[code, user].append((time.monotonic(), spare))
        return True


def is_as_made(path: Path, code: Path | None, user: Identity | None) -> bool:
    """Whether nothing but what RunDirectory.prepare and flytekit make for every task is in it. Raises OSError."""
    names = set(os.listdir(path)) - ATTEMPTS_OWN
    if names != OURS or stat.S_IMODE(os.lstat(path).st_mode) != (0o1770 if user is not None else 0o700):
        return False
    links = {entry.name: entry.path for entry in os.scandir(code)} if code is not None else {}
    owner = user.uid if user is not None else os.geteuid()
    work, tmp = path / "work", path / "tmp"
    if not all(_is_private_folder(folder, owner) for folder in (work, tmp)):
        return False
    return _links_in(work) == links and _has_at_most(tmp, SCRATCH, owner)


def _is_private_folder(path: Path, owner: int) -> bool:
    about = os.lstat(path)
    return stat.S_ISDIR(about.st_mode) and stat.S_IMODE(about.st_mode) == 0o700 and about.st_uid == owner


def _links_in(folder: Path) -> dict[str, str] | None:
    """Of each name where it leads; None: not all are links."""
    entries = list(os.scandir(folder))
    return {one.name: os.readlink(one.path) for one in entries} if all(one.is_symlink() for one in entries) else None


def _has_at_most(folder: Path, tree: Tree, owner: int) -> bool:
    return all(
        entry.name in tree
        and _is_open_folder(Path(entry.path), owner)
        and _has_at_most(Path(entry.path), tree[entry.name], owner)
        for entry in os.scandir(folder)
    )


def _is_open_folder(path: Path, owner: int) -> bool:
    """To its owner; whether to others depends on how the task's process makes folders."""
    about = os.lstat(path)
    return stat.S_ISDIR(about.st_mode) and about.st_mode & 0o7700 == 0o700 and about.st_uid == owner
