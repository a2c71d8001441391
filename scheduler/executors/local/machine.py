"""What this machine has."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import psutil

from scheduler.attempts.resources import Resources


def processors() -> int:
    """That this process, and whatever it starts, may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processors:
    """Whether all of this machine's had something to do between the last two ticks."""

    IDLE = 0.2  # of their time: less is nothing to spare

    def __init__(self) -> None:
        self.busy = False
        self._before: tuple[float, float] | None = None  # seconds since boot: all, idle

    def tick(self) -> None:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        now = sum(times[:8]), idle
        if self._before is not None and (all_ := now[0] - self._before[0]) > 0:
            self.busy = (now[1] - self._before[1]) / all_ < self.IDLE
        self._before = now


def machine_resources(home: Path) -> Resources:
    """What this machine has for tasks; CAUSEWAY_EXECUTOR_CPU and _MEMORY (bytes) say otherwise."""
    home.mkdir(parents=True, exist_ok=True)
    return Resources(
        cpu=float(os.environ.get("CAUSEWAY_EXECUTOR_CPU") or processors()),
        memory=int(os.environ.get("CAUSEWAY_EXECUTOR_MEMORY") or psutil.virtual_memory().total),
        gpu=len([path for path in glob.glob("/dev/nvidia*") if path[len("/dev/nvidia") :].isdigit()]),
        ephemeral_storage=psutil.disk_usage(str(home)).free,
    )
