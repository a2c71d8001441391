"""The steps of an attempt, each guarded: what cannot be done ends its attempt, and nothing else."""

from __future__ import annotations

import logging
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from artifacts.exceptions import CausewayError
from scheduler.attempts.outcomes import SYSTEM, USER, Outcome, failure
from scheduler.executors.local import shortage
from scheduler.executors.local.line import Line
from scheduler.executors.local.run import Run

logger = logging.getLogger(__name__)

# An attempt waits so long for what the machine or the store is short of; for the database as long as it takes.
PATIENCE_SECONDS = 120.0
SAYING = (OSError, tarfile.TarError, ValueError, CausewayError)  # errors whose text is enough

Step = Callable[[Run], None]


class Steps:
    """Thread-safe. `break_off` is told how an attempt ends one of whose steps failed."""

    def __init__(self, workers: ThreadPoolExecutor, line: Line, break_off: Callable[[Run, Outcome], None]) -> None:
        self.workers, self.line, self.break_off = workers, line, break_off

    def do(self, run: Run, step: Step) -> None:
        """Take the step now. Where the machine is only short of something, or the store is away, it is put off and
        tried again for a while; anything else that fails ends the attempt. Raises nothing.
        """
        try:
            step(run)
            run.short_since = None
        except CausewayError as error:
            if run.ended:
                self.break_off(run, _failed(run, error, "StoreUnavailable"))
            else:
                self.break_off(run, failure("CodeNotFound", error.message, USER, retryable=False))
        except Exception as error:
            if shortage.may_pass(error):
                self._put_off(run, step, error)
                return
            if not isinstance(error, SAYING):
                logger.exception("%s: a step failed", run.assignment.name)
            self.break_off(run, _failed(run, error, "StoreUnavailable" if run.ended else "StartFailed"))

    def _put_off(self, run: Run, step: Step, error: Exception) -> None:
        now = time.monotonic()
        if run.short_since is None:
            run.short_since = now
            logger.warning("%s waits: %s", run.assignment.name, error)
        if now - run.short_since < PATIENCE_SECONDS or shortage.is_database_away(error):
            run.postponed.append(step)
        else:
            self.break_off(run, _failed(run, error, shortage.code_of(error)))

    def submit(self, run: Run, step: Step) -> None:
        """Take it in another thread; later, where none can be started for now."""
        try:
            self.workers.submit(self.do, run, step)
        except RuntimeError:
            run.postponed.append(step)

    def put(self, run: Run, step: Step) -> None:
        """As `submit`, of a small one."""
        try:
            self.line.put(partial(self.do, run, step))
        except RuntimeError:
            run.postponed.append(step)

    def try_again(self, run: Run) -> None:
        """Take the steps that were put off, in another thread and in their order."""
        if run.postponed:
            self.workers.submit(self._resume, run)

    def _resume(self, run: Run) -> None:
        steps, run.postponed = run.postponed, []
        for step in steps:
            self.do(run, step)


def quietly(act: Callable[[], object]) -> None:
    """What comes again with the next tick, or is not worth an attempt: it is told and forgotten."""
    try:
        act()
    except BlockingIOError:  # it is known, and passes
        return
    except OSError as error:
        logger.warning("will try again: %s", error)
    except Exception:
        logger.exception("will try again")


def _failed(run: Run, error: Exception, code: str) -> Outcome:
    said = (
        error.message if isinstance(error, CausewayError) else str(error) if isinstance(error, SAYING) else repr(error)
    )
    what = "how the task ended could not be found out" if run.ended else "the task could not be started"
    return failure(code, f"{what}: {said}", SYSTEM, retryable=True)
