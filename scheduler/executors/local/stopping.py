"""Attempts that must not go on: cancelled ones, those out of time or memory, and what an ended one left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence

from scheduler.executors.local import memory
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import is_run_by

GRACE_SECONDS = 10.0  # between TERM and KILL


def stop(run: Run, why: str, detail: str) -> None:
    """`why` and `detail`: see outcome.Exit."""
    run.stopped, run.detail = why, detail
    if run.process is not None:
        send(run, signal.SIGTERM)
    run.kill_at = time.monotonic() + GRACE_SECONDS


def send(run: Run, number: signal.Signals) -> None:
    """To its process, unless that is done with it: it may be at another attempt by now."""
    if run.process is not None and run.process.alive() and run.directory.result() is None:
        if run.user is not None and not is_run_by(run.process.pid, run.user.uid):
            return  # it is somebody else's process, whatever its zygote said
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, number)


def kill_what_uses_too_much(runs: Sequence[Run]) -> None:
    """Those that have more in memory than their limit."""
    if not runs:
        return
    members = memory.by_session({run.process.pid for run in runs if run.process is not None})
    for run in runs:
        limit, pids = run.assignment.memory_limit, members.get(run.process.pid if run.process else 0, [])
        if memory.resident(pids) > limit and (used := memory.proportional(pids)) > limit:
            words = f"it used {used / 1024**2:.0f} MiB of the {limit / 1024**2:.0f} MiB it asked for"
            run.stopped, run.detail = "out of memory", f"the task was killed for want of memory: {words}"
            send(run, signal.SIGKILL)


def sweep_group(run: Run, status: int | None) -> None:
    """What the process of an attempt started and left behind goes with it, as in a container: here its group, which is
    all that is known of one whose zygote is gone; zygote/strays.py has the rest. Not a process that others share, and
    of an adopted one that ended long ago not what has its number by now.
    """
    if run.process is None:
        return
    if run.command_reuses and run.process.alive():
        return
    killed = run.stopped or (status is not None and status < 0 and not run.orphaned)
    left = killed or (run.orphaned and memory.by_session({run.process.pid}) and not memory.exists(run.process.pid))
    if left and _is_its_users(run):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(run.process.pid, signal.SIGKILL)


def _is_its_users(run: Run) -> bool:
    """Whether all that is left of its process runs as the attempt's user: what it said of itself proves nothing."""
    if run.user is None or run.process is None:
        return True
    left = memory.by_session({run.process.pid}).get(run.process.pid, [])
    return bool(left) and all(is_run_by(pid, run.user.uid) for pid in left)
