"""The files that say how a task ended appear whole or not at all, as they do in an object store.

On a local disk flytekit copies them into place, and what is there of a copy that was broken off, by a kill or a full
disk, can look like outputs: half a message may be a message, and nothing at all is an empty one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

PARTIAL = ".partial-"  # artifacts.store.folders.PARTIAL
TELLING = ("outputs.pb", "error.pb", "futures.pb")


def write_whole() -> None:
    """From now on, in this process and its forks."""
    original = LocalFileSystem.cp_file

    def cp_file(self: Any, path1: str, path2: str, **options: Any) -> None:
        if os.path.basename(path2) not in TELLING or not self.isfile(path1):
            original(self, path1, path2, **options)
            return
        with replacing(self._strip_protocol(path2)) as partial:
            original(self, path1, partial, **options)

    LocalFileSystem.cp_file = cp_file


@contextlib.contextmanager
def replacing(place: str) -> Iterator[str]:
    """Where to write what shall be there then: a name of this process alone, since an attempt may have several that
    write the same file, that listings of the store leave out.
    """
    partial = os.path.join(os.path.dirname(place), f"{PARTIAL}{os.getpid()}-{os.path.basename(place)}")
    try:
        yield partial
        os.replace(partial, place)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
