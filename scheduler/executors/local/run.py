"""An attempt as the local executor holds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from artifacts.task_users import Identity
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.command import Plan
from scheduler.executors.local.attempt_log import AttemptLog
from scheduler.executors.local.rundir import Process, RunDirectory
from scheduler.secrets.mounts import Mounts


@dataclass(eq=False)
class Run:
    assignment: Assignment
    directory: RunDirectory
    plan: Plan = Plan(())
    log: AttemptLog = AttemptLog(Path())
    user: Identity | None = None  # whom it runs as; None: as ourselves
    gpus: tuple[int, ...] = ()
    clusters: str = ""  # the folder of kept clusters of which it takes one (clusters.py); empty: of none
    secrets: Mounts | None = None  # once they are found
    process: Process | None = None
    since: float = field(default_factory=time.monotonic)  # when this executor took it
    started_at: datetime | None = None
    until: datetime | None = None  # when its process said that it was done
    orphaned: bool = False  # no zygote tells its end: it is polled for
    stopped: str = ""  # see outcome.Exit
    detail: str = ""
    disk_full: bool = False  # its process said that it could not write
    kernel_kills: int = 0  # for want of memory, when the attempt began
    kill_at: float | None = None  # monotonic; when TERM was not enough
    deadline: float | None = None  # monotonic
    ended: bool = False
    lost: int = 0  # how many zygotes died before they started it
    postponed: list[Callable[[Run], None]] = field(default_factory=list)  # for want of something: steps to try again
    short_since: float | None = None  # monotonic; since when

    @property
    def command_reuses(self) -> bool:
        """Whether its process may run other attempts afterwards."""
        return self.spec.reuse

    @property
    def spec(self) -> AttemptSpec:
        return self.assignment.spec
