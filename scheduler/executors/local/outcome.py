"""How an attempt ended, from what its process left: files under the output prefix, an exit status, a log."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flyteidl.core import errors_pb2, execution_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import NotFound
from artifacts.store import ObjectStore
from scheduler.executors.base import Outcome
from scheduler.executors.local.hints import hint_for, users_code, with_hint
from scheduler.executors.local.traces import trim
from scheduler.messages import bounded
from scheduler.phases import AttemptPhase

USER, SYSTEM = execution_pb2.ExecutionError.USER, execution_pb2.ExecutionError.SYSTEM
HIDDEN_FROM = 4
DISK_FULL = (
    *("[Errno 28]", "No space left on device", "[Errno 122]", "Disk quota exceeded"),
    *("XMinioStorageFull", "InsufficientStorage"),  # of S3 servers
)

MAX_ERROR_BYTES = 32 * 1024**2  # of error.pb


@dataclass(frozen=True)
class Exit:
    status: int | None  # exit code, or minus the signal; None: the process vanished and nobody saw how
    log_tail: str = ""
    code_folders: tuple[str, ...] = ()
    stopped: str = ""  # why the executor stopped it: "cancelled", "out of memory", "timed out"; or empty
    detail: str = ""  # in words, for `stopped`
    machine_out_of_memory: bool = False  # the kernel killed something for want of memory while it ran
    disk_full: bool = False  # there was no room where it writes: then it may have been unable to say so
    hidden: tuple[str, ...] = field(default=(), repr=False)  # values of secrets: messages do not show them

    def shown(self, text: str) -> str:
        """The text as it may be kept: without the user's folders, and with the values of secrets masked.

        One of fewer than HIDDEN_FROM letters would be found in half the words there are.
        """
        for secret in self.hidden:
            if len(secret) >= HIDDEN_FROM:
                text = text.replace(secret, "****")
        return trim(text, *self.code_folders)


def failure(code: str, message: str, kind: int, *, retryable: bool) -> Outcome:
    message = bounded(message)
    error = execution_pb2.ExecutionError(code=code, message=message, kind=kind)  # type: ignore[arg-type]
    first_line = message.strip().partition("\n")[0]
    return Outcome(AttemptPhase.FAILED, reason=first_line[:500], error=error.SerializeToString(), retryable=retryable)


def judge(command: Mapping[str, Any], ended: Exit, store: ObjectStore, *, max_deck_bytes: int = 0) -> Outcome:
    """What the files say counts first: a task that wrote its outputs has succeeded, whatever killed it afterwards.

    A deck of more than `max_deck_bytes` (0: any) is replaced by a word about it. Raises what the store raises.
    """
    prefix = str(command.get("output_prefix") or "")
    if ended.stopped == "cancelled":
        return Outcome(AttemptPhase.ABORTED, reason=ended.detail or "cancelled")
    if prefix:
        if document := _read(store, store.join(prefix, "error.pb")):
            return _told_by_task(document, ended, _deck(store, prefix, max_deck_bytes))
        for name in ("outputs.pb", "futures.pb"):
            if store.exists(uri := store.join(prefix, name)):
                return Outcome(AttemptPhase.SUCCEEDED, output_uri=uri, deck_uri=_deck(store, prefix, max_deck_bytes))
    return _told_by_status(prefix, ended)


def _told_by_task(document: bytes, ended: Exit, deck_uri: str) -> Outcome:
    try:
        told = errors_pb2.ErrorDocument.FromString(document).error
    except DecodeError:
        return failure("BadErrorFile", "the task left an error file that cannot be read", SYSTEM, retryable=True)
    message = bounded(ended.shown(told.message))
    reason = _last_line(message)[:500]
    disk_full = any(sign in message for sign in DISK_FULL)
    if disk_full:
        told.origin, told.code = SYSTEM, "DiskFull"
        message = f"the disk is full\n{message}"
    elif (hint := hint_for(message)) is not None:
        message = with_hint(message, hint)
        if hint.users and told.origin == SYSTEM:
            told.origin, told.code, told.kind = USER, users_code(message), errors_pb2.ContainerError.NON_RECOVERABLE
    error = execution_pb2.ExecutionError(
        code=told.code, message=message, kind=told.origin, timestamp=told.timestamp, worker=told.worker
    )
    return Outcome(
        AttemptPhase.FAILED,
        reason=reason,
        error=error.SerializeToString(),
        retryable=disk_full or told.kind == errors_pb2.ContainerError.RECOVERABLE,
        deck_uri=deck_uri,
    )


def _told_by_status(prefix: str, ended: Exit) -> Outcome:
    """Origins and repeats as flyteplugins reads a container's end (pod_helper.go, DeterminePrimaryContainerPhase): out
    of memory and exit codes are the user's and may be repeated, SIGKILL comes from outside and is the system's.
    """
    tail = f"\n\nThe end of its log:\n{ended.shown(ended.log_tail)}" if ended.log_tail.strip() else ""
    tail = with_hint(tail, hint_for(tail))
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
    if ended.disk_full or any(sign in ended.log_tail for sign in DISK_FULL):
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


def _deck(store: ObjectStore, prefix: str, max_bytes: int) -> str:
    uri = store.join(prefix, "deck.html")
    if not store.exists(uri):
        return ""
    if max_bytes and (size := store.size(uri)) > max_bytes:
        words = (
            f"This deck had {size:,} bytes and was not kept: a deck may have {max_bytes:,} (CAUSEWAY_MAX_DECK_BYTES)."
        )
        store.put(uri, f"<!doctype html><title>Deck</title><p>{words}</p>".encode())
    return uri


def _read(store: ObjectStore, uri: str) -> bytes:
    """Not more than any error can need: what a task leaves there may have any size."""
    try:
        with store.open(uri) as stream:
            return stream.read(MAX_ERROR_BYTES)
    except NotFound:
        return b""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(message: str) -> str:
    return message.strip().rpartition("\n")[2].strip()
