"""How a process of this machine ended: by the files it left, and where it left none by its exit status."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from artifacts.store import ObjectStore
from scheduler.attempts.judge import Showing, says_disk_full, tail_of, told_by_files
from scheduler.attempts.outcomes import SYSTEM, USER, Outcome, aborted, failure
from scheduler.phases import AttemptPhase


@dataclass(frozen=True)
class Exit:
    status: int | None  # exit code, or minus the signal; None: the process vanished and nobody saw how
    log_tail: str = ""
    stopped: str = ""  # why the executor stopped it: "cancelled", "out of memory", "timed out"; or empty
    detail: str = ""  # in words, for `stopped`
    machine_out_of_memory: bool = False  # the kernel killed something for want of memory while it ran
    disk_full: bool = False  # there was no room where it writes: then it may have been unable to say so
    shown: Showing = Showing()


def judge(prefix: str, ended: Exit, store: ObjectStore, *, max_deck_bytes: int = 0) -> Outcome:
    """`prefix`: where its outputs lie, if it has any. Raises what the store raises."""
    if ended.stopped == "cancelled":
        return aborted(ended.detail or "cancelled")
    told = told_by_files(prefix, store, ended.shown, max_deck_bytes=max_deck_bytes)
    return told or _told_by_status(prefix, ended)


def _told_by_status(prefix: str, ended: Exit) -> Outcome:
    """Origins and repeats as flyteplugins reads a container's end (pod_helper.go, DeterminePrimaryContainerPhase): out
    of memory and exit codes are the user's and may be repeated, SIGKILL comes from outside and is the system's.
    """
    tail = tail_of(ended.log_tail, ended.shown)
    if ended.stopped == "out of memory":
        return failure("OOMKilled", f"{ended.detail}{tail}", USER, retryable=True)
    if ended.stopped == "timed out":
        return failure("TimeoutExpired", f"{ended.detail}{tail}", USER, retryable=True)
    if ended.status is None:
        message = "the task's process vanished without a result: it was killed, or the machine was restarted"
        return failure("ProcessLost", message + tail, SYSTEM, retryable=True)
    if ended.status == -signal.SIGKILL and ended.machine_out_of_memory:
        message = "the task's process was killed by the kernel, which had run out of memory"
        return failure("OOMKilled", message + tail, USER, retryable=True)
    if ended.status == -signal.SIGKILL:  # what somebody from outside does
        message = "the task's process was killed by SIGKILL"
        return failure("Interrupted", message + tail, SYSTEM, retryable=True)
    if ended.disk_full or says_disk_full(ended.log_tail):
        return failure("DiskFull", f"the disk is full{tail}", SYSTEM, retryable=True)
    if ended.status < 0:  # what the program did to itself: a crash in native code, an abort
        message = f"the task's process was killed by {_signal_name(-ended.status)}"
        return failure("Killed", message + tail, USER, retryable=True)
    if ended.status > 0:
        message = f"the task's process ended with exit code {ended.status} and without outputs"
        return failure("NonZeroExit", message + tail, USER, retryable=True)
    if not prefix:
        return Outcome(AttemptPhase.SUCCEEDED)
    message = "the task's process ended without writing its outputs (did it call sys.exit or os._exit?)"
    return failure("OutputsNotFound", message + tail, USER, retryable=False)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
