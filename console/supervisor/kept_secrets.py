"""Secrets of a data directory, one a file: readable by its owner alone, made at random when first asked for."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def kept_secret(home: Path, name: str) -> str:
    """The secret of that name in the data directory (mode 0600): letters, digits, `-` and `_`."""
    path = home / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written whole under another name and then linked: of processes that start together the first one decides,
        # and none reads half a secret.
        fd, draft = tempfile.mkstemp(prefix=f".{name}-", dir=path.parent)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
    return path.read_text().strip()
