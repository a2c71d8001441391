"""A directory whose address names a file is the folder around it, inside of values too (a dataclass's FlyteDirectory).

What stands for itself is put right when it is launched: see scheduler/actions/folders.py, also for why it is so.
"""

from __future__ import annotations

import os
from typing import Any


def folder_of(uri: str) -> str:
    """The folder that is meant; only of what was uploaded, for which a client made the address."""
    path = uri.removeprefix("file://")
    return os.path.dirname(path) if "/uploads/" in path and os.path.isfile(path) else uri


def mean_folders() -> None:
    """From now on, in this process and its forks; for files of this machine."""
    from flytekit.types.directory.types import FlyteDirToMultipartBlobTransformer

    original = FlyteDirToMultipartBlobTransformer.async_to_python_value

    async def async_to_python_value(self: Any, ctx: Any, lv: Any, expected_python_type: Any) -> Any:
        blob = getattr(getattr(lv, "scalar", None), "blob", None)
        if blob is not None and blob.uri:
            blob._uri = folder_of(blob.uri)
        return await original(self, ctx, lv, expected_python_type)

    FlyteDirToMultipartBlobTransformer.async_to_python_value = async_to_python_value
