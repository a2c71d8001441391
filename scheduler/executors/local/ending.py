"""How an attempt's end is found out and told, once, and when its traces may go."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial

from scheduler.attempts.judge import Showing
from scheduler.attempts.observations import Ended, Observation
from scheduler.attempts.outcomes import Outcome
from scheduler.executors.local import memory, outcome, shortage, stopping
from scheduler.executors.local.line import Line
from scheduler.executors.local.means import Means
from scheduler.executors.local.run import Run
from scheduler.executors.local.runs import Runs
from scheduler.executors.local.spares import Spares
from scheduler.executors.local.steps import quietly

logger = logging.getLogger(__name__)


class Ending:
    """Thread-safe."""

    def __init__(
        self,
        means: Means,
        runs: Runs,
        spares: Spares,
        line: Line,
        tell: Callable[[Observation], None],
    ) -> None:
        self.means, self.runs, self.spares, self.line, self.tell = means, runs, spares, line, tell

    def break_off(self, run: Run, result: Outcome) -> None:
        """It cannot go on."""
        quietly(partial(stopping.send, run, signal.SIGKILL))
        self.conclude(run, result)

    def never_began(self, run: Run) -> None:
        """It was stopped before it had a process."""
        self.conclude(run, outcome.judge("", self._exit_of(run, None), self.means.store))

    def judge(self, run: Run, status: int | None) -> None:
        """Its process ended so. Raises what the store raises."""
        stopping.sweep_group(run, status)
        exit_ = self._exit_of(run, status)
        if exit_.shown.hidden:
            quietly(partial(run.log.mask, exit_.shown.masked))
        quietly(run.log.close)
        limit = self.means.limits.deck_bytes
        prefix = run.spec.addresses.output_prefix
        self.conclude(run, outcome.judge(prefix, exit_, self.means.store, max_deck_bytes=limit))

    def _exit_of(self, run: Run, status: int | None) -> outcome.Exit:
        folders = (str(self.means.code_of(run) or ""), str(run.directory.path / "work"))
        tail = "" if status == 0 else run.log.tail()
        killed = status == -signal.SIGKILL  # else it does not matter, and asking takes half a millisecond
        out_of_memory = killed and memory.kernel_kills() > run.kernel_kills
        disk_full = run.disk_full or self.means.disks.were_full(run.since)
        disk_full = disk_full or (status != 0 and run.directory.disk_was_full())
        shown = Showing(folders, self._hidden(run))
        return outcome.Exit(status, tail, run.stopped, run.detail, out_of_memory, disk_full, shown)

    def _hidden(self, run: Run) -> tuple[str, ...]:
        """What a message must not show. Of an adopted attempt they are looked up again."""
        if run.secrets is None and run.spec.secrets:
            try:
                run.secrets = self.means.secrets(run)
            except Exception as error:
                if shortage.may_pass(error):
                    raise  # else what it was given would be shown because the database was away for a moment
                logger.info("%s: its secrets are not known any more: %s", run.assignment.name, error)
        return run.secrets.hidden if run.secrets else ()

    def conclude(self, run: Run, result: Outcome) -> None:
        run.ended = True
        if not self.runs.let_go(run):
            return
        since = run.directory.started_at() if run.started_at is None else None
        started_at = datetime.fromtimestamp(since, timezone.utc) if since else run.started_at
        now = run.until or datetime.now(timezone.utc)
        handle = run.process.handle if run.process is not None else ""
        self.tell(Ended(run.assignment.attempt_id, result, now, started_at, lambda: self._discard(run), handle))

    def _discard(self, run: Run) -> None:
        """Only now, with the end in the database, may the traces go that a restart would look for."""
        self.runs.forget(run)
        with contextlib.suppress(RuntimeError):  # shutting down: the next start removes it
            self.line.put(partial(self._clear, run))

    def _clear(self, run: Run) -> None:
        if run.stopped or run.orphaned or run.process is None or not run.directory.ended_itself():
            run.directory.remove()
        else:
            self.spares.clear(run.directory, self.means.code_of(run), run.user)
