"""The files that say how a task ended appear whole or not at all, as they do in an object store.

On a local disk flytekit copies them into place, and what is there of a copy that was broken off, by a kill or a full
disk, can look like outputs: half a message may be a message, and nothing at all is an empty one.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

TELLING = ("outputs.pb", "error.pb", "futures.pb")


def write_whole() -> None:
    """From now on, in this process and its forks."""
    original = LocalFileSystem.cp_file

    def cp_file(self: Any, path1: str, path2: str, **options: Any) -> None:
        if os.path.basename(path2) not in TELLING or not self.isfile(path1):
            original(self, path1, path2, **options)
            return
        place = self._strip_protocol(path2)
        try:
            original(self, path1, f"{place}.partial", **options)
            os.replace(f"{place}.partial", place)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{place}.partial")
            raise

    LocalFileSystem.cp_file = cp_file
