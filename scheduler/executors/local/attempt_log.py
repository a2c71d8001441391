"""The log of an attempt: where its process writes it, how much of it is kept, and where it can be read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from artifacts.store import LocalStore, ObjectStore
from scheduler.executors.local.log_limit import LogLimit, open_regular
from scheduler.executors.local.sent_log import SentLog

TAIL_BYTES = 4000


@dataclass(frozen=True)
class AttemptLog:
    path: Path
    limit: LogLimit | None = None
    sent: SentLog | None = None  # where the store is not on this machine

    @classmethod
    def of(cls, path: Path, uri: str, store: ObjectStore, *, max_bytes: int) -> AttemptLog:
        """In place where the store is on this machine, so that it can be read meanwhile; else at `path`, to be sent.

        `max_bytes`: 0: any number. Raises InvalidArgument or NotFound for a URI that is none of the store's.
        """
        sent = None
        if uri and isinstance(store, LocalStore):
            path = store.path(uri)
        elif uri:
            sent = SentLog(path, uri, store)
        return cls(path, LogLimit(path, max_bytes) if max_bytes else None, sent)

    def tail(self) -> str:
        """The end of it, for people; empty when there is none, or none that we may read."""
        try:
            with open_regular(self.path, os.O_RDONLY) as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
                return log.read().decode(errors="replace")
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            return ""

    def too_long(self) -> bool:
        return self.limit is not None and self.limit.exceeded()

    def cut(self) -> None:
        """Keep to the limit while it is written."""
        if self.limit is not None and self.limit.cut() and self.sent is not None:
            self.sent.shrunk()

    def mask(self, masked: Callable[[bytes], bytes]) -> None:
        """Rewrite it without what must not be shown. When nothing is written to it any more. Raises OSError."""
        with open_regular(self.path, os.O_RDWR) as log:
            text = log.read()
            if (shown := masked(text)) == text:
                return
            log.seek(0)
            written = 0
            while written < len(shown):
                written += log.write(shown[written:])
            log.truncate(len(shown))
        if self.sent is not None:
            self.sent.shrunk()

    def close(self) -> None:
        """When nothing is written to it any more. Raises what the store raises."""
        if self.limit is not None:
            self.limit.close()
        if self.sent is not None:
            self.sent.send_whole()
