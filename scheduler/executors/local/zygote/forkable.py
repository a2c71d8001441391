"""What an import does to its process that forks of it would not have, or would have together, instead of each its own.

On its own, without Causeway and without this package, as importing.py.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import tempfile
import weakref

TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Before:
    """Made before the import."""

    def __init__(self) -> None:
        self.folder, self.files, self.shared, self.folders = _folder(), open_files(), shared_memory(), _own_folders()

    def why_not(self) -> str:
        """Why no fork could be as if it had imported it itself; empty: none of this stands against it. Threads,
        processes and generators of random numbers are for others to see.
        """
        if self._found():
            gc.collect()  # an event loop, say, that nobody has any more
        return self._found()

    def _found(self) -> str:
        if open_files() != self.files:
            return "it opened or closed files or connections"
        if shared_memory() - self.shared:
            return "it has memory or locks that its forks would share"
        if any(signal.getitimer(timer)[0] for timer in TIMERS):
            return "it has a timer, which ends at a fork"
        if _folder() != self.folder:
            return "it went to another folder"
        if _own_folders() - self.folders:
            return "it has a temporary folder, which goes when the first of its forks ends"
        return ""


def open_files() -> set[str]:
    """Of this process, with what they are."""
    found = set()
    with contextlib.suppress(FileNotFoundError):  # not Linux
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one that listing took
                found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return found


def shared_memory() -> set[str]:
    """Where this process has memory that forks of it would write together: locks of `multiprocessing` are such, too."""
    with contextlib.suppress(OSError), open("/proc/self/maps") as file:
        return {place for place, modes, *_ in map(str.split, file) if modes[1] == "w" and modes[3] == "s"}
    return set()


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _own_folders() -> set[int]:
    """Those that Python removes when a process ends, each fork as well."""
    clean = getattr(tempfile.TemporaryDirectory, "_cleanup", None)
    known = getattr(weakref.finalize, "_registry", {})
    return {id(one) for one, about in list(known.items()) if clean is not None and about.func == clean}
