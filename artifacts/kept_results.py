"""Results that are costly to find and the same every time, in files of the data directory."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import time
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)

KEPT = 1_000  # results of a kind, and for how long
KEPT_SECONDS = 7 * 24 * 3600


class Kept:
    """The result of what `key` says entirely, among others of its kind (`cards`)."""

    def __init__(self, kind: str, key: bytes, suffix: str) -> None:
        self.folder = Path(settings.CAUSEWAY_HOME) / "cache" / kind
        self.path = self.folder / f"{hashlib.sha256(key).hexdigest()}.{suffix}"

    def read(self) -> str | None:
        try:
            return self.path.read_text()
        except (OSError, ValueError):
            return None

    def write(self, result: str) -> None:
        """Nothing is lost where that cannot be done: it is found again."""
        partial = ""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_room()
            fd, partial = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(fd, "w") as file:
                file.write(result)
            os.replace(partial, self.path)
        except OSError as error:
            logger.warning("a result cannot be kept in %s: %s", self.folder, error)
            with contextlib.suppress(OSError):
                os.unlink(partial)

    def _make_room(self) -> None:
        found = sorted((entry.stat().st_mtime, entry.path) for entry in os.scandir(self.folder))
        old = time.time() - KEPT_SECONDS
        too_many = len(found) - KEPT + 1
        for number, (at, path) in enumerate(found):
            if number < too_many or at < old:
                with contextlib.suppress(OSError):
                    os.unlink(path)
