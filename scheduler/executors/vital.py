"""Threads without which an executor must not live on, and what it does when something is wrong."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from django.db import Error, InterfaceError, OperationalError

logger = logging.getLogger(__name__)

EXIT_CODE = 70  # EX_SOFTWARE: the supervisor starts the process again, which then adopts what runs
# Classes of SQLSTATE by which PostgreSQL refuses what it will refuse again: too much of something.
LIMITS = "54"
# ... and by which it says that it cannot write for now, although Django calls the error internal: it is read-only.
READ_ONLY = "25006"


def vital(work: Callable[[], object], *, name: str) -> threading.Thread:
    """A thread, not yet started. When it fails the process ends: one that goes on without it claims work, says that it
    is well, and never starts or ends anything.
    """

    def watched() -> None:
        try:
            work()
        except BaseException:  # noqa: BLE001 - whatever it is, the process must not live on
            try:
                logger.critical("the thread %r died, and this process with it; tasks go on", name, exc_info=True)
            finally:
                end_process()

    return threading.Thread(target=watched, name=name, daemon=True)


def end_process() -> None:
    """At once, whatever other threads hold or wait for."""
    os._exit(EXIT_CODE)


def may_pass(error: Exception) -> bool:
    """Whether the database is away, busy, full or read-only, rather than refusing what it was asked to write."""
    state = str(getattr(error.__cause__, "sqlstate", None) or "")
    if isinstance(error, OperationalError | InterfaceError):
        return not state.startswith(LIMITS)
    return isinstance(error, Error) and state == READ_ONLY
