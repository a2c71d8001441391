"""Files and folders of versions that a machine keeps once, read-only, for all tasks there: `mounted(dataset)`.

@task
def train(pictures: FlyteDirectory) -> float:
    folder = mounted(pictures)      # the first task downloads it, every other one starts at once

What lies on this machine already (a local object store) is used where it is. Else it is kept below
CAUSEWAY_MOUNTS_DIR (default: a folder of this user's in /tmp), by its address and by what the store says is in it, so
that data that changed under one address is another entry; what nobody used for CAUSEWAY_MOUNTS_DAYS (7) goes when
something else comes. On a cluster, a `hostPath` volume at CAUSEWAY_MOUNTS_DIR makes it one copy a node.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

READY, USED = ".ready", ".used"


def mounted(value: Any) -> Path:
    """The file or folder of a FlyteFile, a FlyteDirectory or an address, to be read and not written.

    Raises FileNotFoundError for what is not there, and what the store raises.
    """
    uri = _address(value)
    fs, path = _file_system(uri)
    if "file" in _protocols(fs):
        if not Path(path).exists():
            raise FileNotFoundError(f"there is nothing at {uri}")
        return Path(path)
    files = _listed(fs, path, uri)
    digest = hashlib.sha256(json.dumps([uri, files]).encode()).hexdigest()[:32]
    root = _root()
    place = root / digest
    if not (place / READY).exists():
        with (root / f".{digest}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several that start together one downloads
            if not (place / READY).exists():
                _prune(root)
                _download(fs, path, files, place)
    with contextlib.suppress(OSError):
        (place / USED).touch()
    return place / "data" / Path(path).name if list(files) == [""] else place / "data"


def _address(value: Any) -> str:
    """Where a value of flytekit's lies; not downloaded by asking."""
    for name in ("remote_source", "_remote_source", "path"):
        found = getattr(value, name, None)
        if found and isinstance(found, (str, os.PathLike)):
            return str(os.fspath(found))
    return str(os.fspath(value))


def _file_system(uri: str) -> tuple[Any, str]:
    """With the keys that flytekit has for the store."""
    from flytekit import FlyteContextManager

    files = FlyteContextManager.current_context().file_access
    fs = files.get_filesystem_for_path(uri)
    return fs, str(fs._strip_protocol(uri))


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _listed(fs: Any, path: str, uri: str) -> dict[str, list[Any]]:
    """What is there, by its path below; "" for a single file. Size, and the store's mark of its content. ValueError for
    a name that would lead out of the folder.
    """
    if fs.isfile(path):
        return {"": _marks(fs.info(path))}
    found = {name[len(path) :].lstrip("/"): _marks(info) for name, info in fs.find(path, detail=True).items()}
    if not found:
        raise FileNotFoundError(f"there is nothing at {uri}")
    if outside := [name for name in found if ".." in Path(name).parts]:  # stores keep any name
        raise ValueError(f"{uri} has an object called {outside[0]!r}, which would not lie in its folder")
    return dict(sorted(found.items()))


def _marks(info: dict[str, Any]) -> list[Any]:
    marks = [str(info[name]) for name in ("ETag", "etag", "LastModified", "created", "mtime") if info.get(name)]
    return [info.get("size"), marks[:1]]


def _root() -> Path:
    told = os.environ.get("CAUSEWAY_MOUNTS_DIR", "")
    root = Path(told) if told else Path("/tmp", f"causeway-mounts-{os.getuid()}")  # noqa: S108 - checked below
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not told and root.lstat().st_uid != os.getuid():
        raise PermissionError(f"{root} belongs to somebody else: name another folder in CAUSEWAY_MOUNTS_DIR")
    return root


def _download(fs: Any, path: str, files: dict[str, list[Any]], place: Path) -> None:
    """Beside its place, and then there in one step: what broke off is never taken for whole."""
    _remove(place)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=place.parent))
    try:
        data = partial / "data"
        data.mkdir()
        for name in files:
            target = data / (name or Path(path).name)
            target.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(f"{path}/{name}" if name else path, str(target))
        for one in (*data.rglob("*"), data):
            one.chmod(one.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
        (partial / READY).touch()
        partial.chmod(0o755)
        partial.rename(place)
    except BaseException:
        _remove(partial)
        raise


def _prune(root: Path) -> None:
    since = time.time() - float(os.environ.get("CAUSEWAY_MOUNTS_DAYS", "") or 7) * 86400
    for ready in root.glob(f"*/{READY}"):
        used = ready.with_name(USED)
        newest = max(one.stat().st_mtime for one in (ready, used) if one.exists())
        if newest < since:
            ready.unlink(missing_ok=True)
            _remove(ready.parent)


def _remove(place: Path) -> None:
    if not place.exists():
        return
    for folder in (place, *(one for one in place.rglob("*") if one.is_dir() and not one.is_symlink())):
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)
