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


def machine_resources(home: Path) -> Resources:
    """What this machine has for tasks; CAUSEWAY_EXECUTOR_CPU and _MEMORY (bytes) say otherwise."""
    home.mkdir(parents=True, exist_ok=True)
    return Resources(
        cpu=float(os.environ.get("CAUSEWAY_EXECUTOR_CPU") or processors()),
        memory=int(os.environ.get("CAUSEWAY_EXECUTOR_MEMORY") or psutil.virtual_memory().total),
        gpu=len([path for path in glob.glob("/dev/nvidia*") if path[len("/dev/nvidia") :].isdigit()]),
        ephemeral_storage=psutil.disk_usage(str(home)).free,
    )
