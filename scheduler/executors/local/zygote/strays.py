"""Processes that outlive the attempt that started them: background commands, daemons, pools that nobody closed.

In a container they end with it. Here a task process is what orphans of its own fall to (a subreaper, prctl(2)), however
they have detached themselves, and it ends them when its attempt is over. Of one that was killed, or that became another
program, they fall to the zygote, which does the same: a child that it did not fork itself is such an orphan.

What this does not reach: orphans of a process that was killed when its zygote was gone already. Of those the executor
ends the process group. Without prctl (not Linux) that is all there is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
PATIENCE_SECONDS = 5.0  # for processes that do not die although they were killed
TRACKER_SECONDS = 1.0
NAMED = 5  # of those that were ended
TRACKERS = (
    "multiprocessing.resource_tracker",
    "loky.backend.resource_tracker",
    "joblib.externals.loky.backend.resource_tracker",
)

_prctl: Any
try:
    _prctl = ctypes.CDLL(None, use_errno=True).prctl
except (OSError, AttributeError):
    _prctl = None


def take_orphans() -> None:
    """From now on orphans among this process's descendants become its children. Kept by exec, not by forks."""
    if _prctl is not None and sys.platform == "linux":
        _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """The pids of this process's children, zombies included."""
    found: set[int] = set()
    try:
        for task in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/children") as file:
                found.update(map(int, file.read().split()))
    except OSError:
        return set()
    return found


def any_child() -> bool:
    """Whether there is one, a zombie included: one call, which every attempt that leaves nothing makes."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def end_all() -> list[str]:
    """Kill all descendants of this process; the names of those that ran. Takes no time where there are none.

    Python's own trackers of shared memory and semaphores end by themselves and tidy up, once nobody holds their pipes.
    """
    if not any_child():
        return []
    tracking, until = trackers(), time.monotonic() + PATIENCE_SECONDS
    names = _end(until, spared=set(tracking))
    for tracker in _trackers():
        if tracker._fd is not None:
            os.close(tracker._fd)
            tracker._fd = tracker._pid = None
    _collect(tracking, min(until, time.monotonic() + TRACKER_SECONDS))
    return names + _end(until, spared=set())


def end(*, spared: set[int]) -> None:
    """Kill this process's children but those, and what falls to it then."""
    _end(time.monotonic() + PATIENCE_SECONDS, spared=set(spared))


def trackers() -> set[int]:
    """The pids of Python's own that this process has started."""
    return {tracker._pid for tracker in _trackers() if tracker._pid is not None}


def _trackers() -> list[Any]:
    return [module._resource_tracker for name in TRACKERS if (module := sys.modules.get(name)) is not None]


def _end(until: float, *, spared: set[int]) -> list[str]:
    names: list[str] = []
    while (found := children() - spared) and time.monotonic() < until:
        names += filter(None, map(name_of, found))
        spared |= {pid for pid in found if not kill(pid)}
        _collect(found - spared, until)
    return names


def kill(pid: int) -> bool:
    """Whether that was possible, or not needed any more."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def name_of(pid: int) -> str:
    """What a process runs; empty for one that has ended."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            before, _, after = stat.read().rpartition(")")
    except OSError:
        return ""
    return "" if after.split()[0] in "ZX" else before.partition("(")[2]


def session(pid: int) -> int:
    """The session of a process; 0: it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def words(names: Collection[str]) -> str:
    """For the log: how many there were, and what."""
    listed = ", ".join(sorted(set(names))[:NAMED])
    return f"[Causeway ended {len(names)} processes that the task had left running: {listed}]"


def _collect(pids: Collection[int], until: float) -> None:
    """Wait for children that were killed: theirs then fall to this process."""
    for pid in pids:
        while time.monotonic() < until:
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break
            time.sleep(0.001)
