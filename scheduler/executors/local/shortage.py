"""What an executor may be short of for a while: it then waits rather than failing what it has to run."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Collection
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from scheduler.executors import vital

DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
# Descriptors, processes, memory, buffers: of this process or of the machine.
OTHERS = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOBUFS, errno.EIO, errno.EROFS})
FREE_BYTES = 64 * 1024  # with less on a disk, not even an error can be left there


def may_pass(error: Exception) -> bool:
    """Whether trying again later makes sense: the machine is short of something, or the object store or the database
    is away.
    """
    if isinstance(error, OSError):
        return error.errno in DISK | OTHERS
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 500) >= 500
    # A thread that cannot be started is a RuntimeError (threading.py).
    is_short = isinstance(error, BotoCoreError | MemoryError) or "can't start new thread" in str(error)
    return is_short or is_database_away(error)


def is_database_away(error: Exception) -> bool:
    """It is asked what an attempt may read and for its secrets. While it is away no end of one can be told either."""
    return vital.may_pass(error)


def code_of(error: Exception) -> str:
    """What an attempt ends with that such an error kept from starting, or from being judged, for too long."""
    if isinstance(error, OSError) and error.errno in DISK:
        return "DiskFull"
    return "StoreUnavailable" if isinstance(error, BotoCoreError | ClientError) else "StartFailed"


class Disks:
    """The file systems that attempts write to: whether there is room on them, and when there was none."""

    def __init__(self, paths: Collection[Path]) -> None:
        self.paths = list(paths)
        self._full_at = float("-inf")  # monotonic

    def full(self) -> str:
        """The path of a full one; empty while there is room. Cheap."""
        for path in self.paths:
            if _is_full(path):
                self._full_at = time.monotonic()
                return str(path)
        return ""

    def were_full(self, since: float) -> bool:
        """Whether one was seen full since that moment (monotonic)."""
        return bool(self.full()) or self._full_at >= since

    def require_room(self) -> None:
        """Raises OSError (ENOSPC) while one is full: whatever is started now could leave neither outputs nor error."""
        if path := self.full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _is_full(path: Path) -> bool:
    try:
        found = os.statvfs(path)
    except OSError:  # not there yet, or not for us to see: then writing says what is wrong
        return False
    no_files = found.f_files > 0 and found.f_favail == 0
    return found.f_blocks > 0 and (found.f_bavail * found.f_frsize < FREE_BYTES or no_files)
