"""Which of the machine's GPUs an attempt gets."""

from __future__ import annotations

import errno
from collections.abc import Collection
from pathlib import Path

from scheduler.executors.local.rundir import RunDirectory


def choose(wanted: int, total: int, taken: Collection[int], runs: Path) -> tuple[int, ...]:
    """Devices that nothing uses: neither what holds `taken` nor a process of an earlier executor, adopted or not yet.

    Raises BlockingIOError, which passes, when fewer are free than wanted: the task would run with less than it asked
    for and not be told.
    """
    if not wanted:
        return ()
    used = set(taken)
    for directory in map(RunDirectory, runs.iterdir()):
        if directory.working() is not None:
            used.update(directory.gpus())
    free = [gpu for gpu in range(total) if gpu not in used]
    if len(free) < wanted:
        said = (
            f"the task asks for {wanted} GPUs and {len(free)} of {total} are free: others are in use by {sorted(used)}"
        )
        raise BlockingIOError(errno.EAGAIN, said)
    return tuple(free[:wanted])
