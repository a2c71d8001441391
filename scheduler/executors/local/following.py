"""What becomes of attempts, by what zygotes say and by what their run directories show."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.attempts.observations import Observation, Running
from scheduler.executors.local import stopping
from scheduler.executors.local.ending import Ending
from scheduler.executors.local.means import Means
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import Process
from scheduler.executors.local.runs import Runs
from scheduler.executors.local.steps import Steps
from scheduler.executors.local.zygote.child import DUPLICATE

MAX_LOST = 5  # zygotes that may die before they started an attempt


def _handed_over_at(run: Run) -> float:
    """In seconds since the epoch."""
    return time.time() - (time.monotonic() - run.since)


class Following:
    """Thread-safe. `launch`: the step that an attempt takes again whose zygote died before it had a process."""

    def __init__(
        self,
        means: Means,
        runs: Runs,
        steps: Steps,
        ending: Ending,
        tell: Callable[[Observation], None],
    ) -> None:
        self.means, self.runs, self.steps, self.ending, self.tell = means, runs, steps, ending, tell
        self.launch: Callable[[Run], None]

    def on_message(self, message: dict[str, Any]) -> None:
        run = self.runs.by_directory.get(Path(message["dir"]))
        if run is None or run.ended:
            return
        if message["is"] == "started":
            process, taken_by = Process(message["pid"], message["born"]), run.directory.process()
            # Else it is known who runs it: this is about a second process, which is gone, or says so in a moment.
            if not run.orphaned and taken_by in (None, process):
                at = datetime.now(timezone.utc) if taken_by is None else self._since(run)
                self.steps.do(run, partial(self._started, process=process, at=at))
        elif message["status"] == DUPLICATE:
            self.steps.do(run, self.found)
        else:
            run.disk_full = run.disk_full or bool(message.get("full"))
            self._note_times(run, message)
            self._finish(run, message["status"])

    def _since(self, run: Run) -> datetime:
        """When the process began that took it, which may be told late; between when it was handed over and now."""
        now = time.time()
        since = run.directory.started_at() or now
        return datetime.fromtimestamp(min(max(since, _handed_over_at(run)), now), timezone.utc)

    def _note_times(self, run: Run, message: dict[str, Any]) -> None:
        """Of one among several in a row it is told afterwards who ran it, and when."""
        now = time.time()
        with self.runs.lock:
            if run.process is None and "pid" in message:
                run.process = Process(message["pid"], message["born"])
            if (seconds := message.get("seconds")) is None:
                return
            taken = _handed_over_at(run)  # not before that, whatever a task says
            if run.started_at is not None:
                taken = run.started_at.timestamp()
            until = min(max(message["until"], taken), now)
            run.until = datetime.fromtimestamp(until, timezone.utc)
            if run.started_at is None:
                run.started_at = datetime.fromtimestamp(min(max(until - seconds, taken), until), timezone.utc)

    def on_lost(self, directories: list[Path]) -> None:
        for run in [self.runs.by_directory[path] for path in directories if path in self.runs.by_directory]:
            self.steps.do(run, self._look_for)

    def _look_for(self, run: Run) -> None:
        """Its zygote died: it goes to another unless a process took it."""
        if run.ended:
            return
        if run.directory.process() is not None:
            self.found(run)
            return
        run.lost += 1
        self.steps.do(run, self.launch if run.lost < MAX_LOST else self._give_up)

    def _give_up(self, run: Run) -> None:
        """For instance because importing flytekit, or one of its plugins, ends the process in this environment."""
        python = self.means.python_of(run)
        raise OSError(f"the processes of {python} that tasks are forked from died {run.lost} times; see executor.log")

    def found(self, run: Run) -> None:
        """Some process took this attempt, and no zygote will say how it ends."""
        if run.ended:
            return
        process, since = run.directory.process(), run.directory.started_at()
        run.orphaned = True
        if process is not None and process.alive() and since is not None:
            self._started(run, process, datetime.fromtimestamp(since, timezone.utc))
        else:
            self._finish(run, run.directory.result())

    def _started(self, run: Run, process: Process, at: datetime) -> None:
        with self.runs.lock:
            run.process, run.started_at = process, at
            if limit := self.means.limits.timeout(run.assignment):
                spent = (datetime.now(timezone.utc) - at).total_seconds()
                run.deadline = time.monotonic() + limit - spent
            if run.stopped:
                stopping.send(run, signal.SIGTERM)
        self.tell(Running(run.assignment.attempt_id, process.handle, at))

    def watch(self, run: Run) -> None:
        """Called about twice a second for one that has a process."""
        now = time.monotonic()
        if run.process is None:
            return
        if run.orphaned and (not run.process.alive() or run.directory.result() is not None):
            self._finish(run, run.directory.result())  # read last: it is there if the process left one
        elif run.kill_at is not None and now > run.kill_at:
            run.kill_at = None
            stopping.send(run, signal.SIGKILL)
        elif run.deadline is not None and now > run.deadline and not run.stopped:
            stopping.stop(run, "timed out", self.means.limits.timed_out(run.assignment))

    def _finish(self, run: Run, status: int | None) -> None:
        with self.runs.lock:
            if run.ended:
                return
            run.ended = True
        self.steps.put(run, partial(self.ending.judge, status=status))
