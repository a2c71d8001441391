"""flytekit's small transfers through our door, so that the client library is imported only by tasks that need it.

flytekit makes a file system of the store for each process, to know its separator: that stands in for itself here until
somebody asks it for more. Only the first few transfers, and small ones, go this way; what fails, and all others, take
flytekit's.
"""

from __future__ import annotations

import importlib
import inspect
import mimetypes
import os
import threading
from collections.abc import Callable
from typing import Any

from .door import Door, Elsewhere

SMALL = 4 << 20  # bytes
MOST = 12  # transfers of a process: flytekit's own are concurrent
KNOWN = {"ContentType", "metadata", "chunksize"}  # of a put; s3fs leaves out `metadata`, and small ones have no chunks


class LateStore:
    """An s3fs.S3FileSystem once somebody looks closer."""

    protocol = ("s3", "s3a")
    sep = "/"
    root_marker = ""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.__dict__["_make"] = make

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._real())

    def _real(self) -> Any:
        if "_made" not in self.__dict__:
            self.__dict__["_made"] = self.__dict__["_make"]()
        return self.__dict__["_made"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real(), name, value)

    def __eq__(self, other: object) -> bool:
        return bool(self._real() == other)

    def __hash__(self) -> int:
        return hash(self._real())

    def __reduce__(self) -> Any:
        return self._real().__reduce__()


def make_swift(door: Door) -> None:
    """Of flytekit 1.10 and later. Does nothing where it works otherwise inside."""
    persistence = importlib.import_module("flytekit.core.data_persistence")
    if "s3" in importlib.import_module("fsspec.registry").registry:
        return  # somebody brought another implementation
    provider = persistence.FileAccessProvider
    put = "_put" if hasattr(provider, "_put") else "put"
    wanted = ["self", "from_path", "to_path", "recursive", "kwargs"]
    methods = [getattr(provider, name) for name in ("get", put)]
    if any(list(inspect.signature(one).parameters) != wanted for one in methods):
        return
    if "protocol" not in inspect.signature(provider.get_filesystem).parameters:
        return
    _late_store(provider)
    left = [MOST]
    _through(provider, "get", lambda *told: _get(door, left, *told))
    _through(provider, put, lambda *told: _put(door, left, *told))


def _late_store(provider: Any) -> None:
    begin, find = provider.__init__, provider.get_filesystem
    making = threading.local()

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        making.now = True
        try:
            begin(self, *args, **kwargs)
        finally:
            making.now = False

    def get_filesystem(self: Any, protocol: Any = None, *args: Any, **kwargs: Any) -> Any:
        if protocol == "s3" and not args and not kwargs and getattr(making, "now", False):
            return LateStore(lambda: find(self, protocol))
        return find(self, protocol, *args, **kwargs)

    provider.__init__, provider.get_filesystem = __init__, get_filesystem


def _through(provider: Any, name: str, ours: Callable[..., Any]) -> None:
    """Ours first; where it raises, the original."""
    original = getattr(provider, name)

    async def later(self: Any, from_path: str, to_path: str, recursive: bool = False, **kwargs: Any) -> Any:
        try:
            return ours(from_path, to_path, recursive, kwargs)
        except (Elsewhere, OSError):
            return await original(self, from_path, to_path, recursive=recursive, **kwargs)

    def now(self: Any, from_path: str, to_path: str, recursive: bool = False, **kwargs: Any) -> Any:
        try:
            return ours(from_path, to_path, recursive, kwargs)
        except (Elsewhere, OSError):
            return original(self, from_path, to_path, recursive=recursive, **kwargs)

    setattr(provider, name, later if inspect.iscoroutinefunction(inspect.unwrap(original)) else now)


def _get(door: Door, left: list[int], from_path: Any, to_path: Any, recursive: bool, kwargs: dict[str, Any]) -> Any:
    source, target = str(from_path), str(to_path)
    if recursive or kwargs or not source.startswith("s3://") or target.endswith(os.sep) or os.path.isdir(target):
        raise Elsewhere
    _one_less(left)
    door.get(source, target, most=SMALL)
    return to_path


def _put(door: Door, left: list[int], from_path: Any, to_path: Any, recursive: bool, kwargs: dict[str, Any]) -> Any:
    source, target = str(from_path), str(to_path)
    if not target.startswith("s3://") or kwargs.keys() - KNOWN:
        raise Elsewhere
    source = source[len("file://") :] if source.startswith("file://") else source
    files = _files(source, target) if recursive else [(source, target)]
    if any(not os.path.isfile(path) for path, _ in files) or sum(os.path.getsize(path) for path, _ in files) > SMALL:
        raise Elsewhere
    for path, uri in files:
        _one_less(left)
        kind = kwargs.get("ContentType") or ("" if path.endswith(".pb") else mimetypes.guess_type(path)[0])
        with open(path, "rb") as file:
            door.put(uri, file.read(), kind or "")
    return to_path


def _files(source: str, target: str) -> list[tuple[str, str]]:
    """Of a folder without others in it."""
    place = target.rstrip("/")
    return [(os.path.join(source, name), f"{place}/{name}") for name in sorted(os.listdir(source))]


def _one_less(left: list[int]) -> None:
    if left[0] <= 0:
        raise Elsewhere
    left[0] -= 1
