"""The attempts that the local executor holds, by their ids and by their run directories."""

from __future__ import annotations

import threading
from pathlib import Path

from scheduler.executors.base import Assignment
from scheduler.executors.local.attempt_log import AttemptLog
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import RunDirectory


class Runs:
    """Thread-safe; who changes a run that others may be changing holds `lock`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.by_id: dict[int, Run] = {}
        self.by_directory: dict[Path, Run] = {}

    def new(self, assignment: Assignment) -> Run:
        """Known from now on, to `settle` and to what zygotes say. Cannot fail."""
        directory = RunDirectory.of(self.folder, assignment.attempt_id, assignment.name)
        run = Run(assignment, directory, log=AttemptLog(directory.log))
        with self.lock:
            self.by_id[assignment.attempt_id] = run
            self.by_directory[directory.path] = run
        return run

    def held(self) -> list[Run]:
        with self.lock:
            return list(self.by_id.values())

    def let_go(self, run: Run) -> bool:
        """False if it is not held: its end was told already, or the attempt was submitted again."""
        with self.lock:
            if self.by_id.get(run.assignment.attempt_id) is not run:
                return False
            del self.by_id[run.assignment.attempt_id]
            return True

    def forget(self, run: Run) -> None:
        self.by_directory.pop(run.directory.path, None)
