"""How an attempt ended, from the files its program left below its output prefix: the same wherever it ran.

What they say counts first: a task that wrote its outputs has succeeded, whatever killed it afterwards. Of one that left
none the executor says what it saw (an exit status, a pod's conditions).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from flyteidl.core import errors_pb2, execution_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import NotFound
from artifacts.store import ObjectStore
from scheduler.attempts.hints import hint_for, users_code, with_hint
from scheduler.attempts.outcomes import REASON, SYSTEM, USER, Outcome, failure
from scheduler.attempts.traces import trim
from scheduler.messages import bounded
from scheduler.phases import AttemptPhase
from scheduler.uris import CHECKS, DECK, ERROR, FUTURES, OUTPUTS

HIDDEN_FROM = 4
MASK = b"****"
DISK_FULL = (
    *("[Errno 28]", "No space left on device", "[Errno 122]", "Disk quota exceeded"),
    *("XMinioStorageFull", "InsufficientStorage"),  # of S3 servers
)
MAX_ERROR_BYTES = 32 * 1024**2  # of error.pb


@dataclass(frozen=True)
class Showing:
    """What people may see of a text that user code wrote."""

    code_folders: tuple[str, ...] = ()
    hidden: tuple[str, ...] = field(default=(), repr=False)  # values of secrets: messages do not show them

    def __call__(self, text: str) -> str:
        """Without the user's folders, and with the values of secrets masked."""
        return trim(self.masked(text.encode(errors="surrogatepass")).decode(errors="surrogatepass"), *self.code_folders)

    def masked(self, text: bytes) -> bytes:
        """Of a log, a deck, JSON. One of fewer than HIDDEN_FROM letters would be found in half the words there are."""
        for secret in self.hidden:
            if len(secret) >= HIDDEN_FROM:
                as_json = (json.dumps(secret, ensure_ascii=only)[1:-1] for only in (True, False))
                for spelled in dict.fromkeys((secret, *as_json)):
                    text = text.replace(spelled.encode(errors="surrogatepass"), MASK)
        return text


def told_by_files(prefix: str, store: ObjectStore, shown: Showing, *, max_deck_bytes: int = 0) -> Outcome | None:
    """None if there is neither an error nor outputs at the output prefix, or no prefix.

    A deck of more than `max_deck_bytes` (0: any) is replaced by a word about it, one that shows secrets by one that
    does not. Raises what the store raises.
    """
    if not prefix:
        return None
    there = store.among(prefix, (ERROR, OUTPUTS, FUTURES, DECK))
    document = _read(store, store.join(prefix, ERROR)) if ERROR in there else b""
    if document or there & {OUTPUTS, FUTURES}:
        deck_uri = _deck(store, prefix, max_deck_bytes, shown) if DECK in there else ""
        if document:
            return _told_by_task(document, shown, deck_uri)
        name = OUTPUTS if OUTPUTS in there else FUTURES
        return Outcome(AttemptPhase.SUCCEEDED, output_uri=store.join(prefix, name), deck_uri=deck_uri)
    return None


def tail_of(log: str, shown: Callable[[str], str]) -> str:
    """The end of a log as it follows a message, with a hint where one fits; empty for an empty log."""
    tail = f"\n\nThe end of its log:\n{shown(log)}" if log.strip() else ""
    return with_hint(tail, hint_for(tail))


def says_disk_full(text: str) -> bool:
    return any(sign in text for sign in DISK_FULL)


def _told_by_task(document: bytes, shown: Callable[[str], str], deck_uri: str) -> Outcome:
    try:
        told = errors_pb2.ErrorDocument.FromString(document).error
    except DecodeError:
        return failure("BadErrorFile", "the task left an error file that cannot be read", SYSTEM, retryable=True)
    message = bounded(shown(told.message))
    reason = _last_line(message)[:REASON]
    disk_full = says_disk_full(message)
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


def _deck(store: ObjectStore, prefix: str, max_bytes: int, shown: Showing) -> str:
    uri = store.join(prefix, DECK)
    if max_bytes and (size := store.size(uri)) > max_bytes:
        words = (
            f"This deck had {size:,} bytes and was not kept: a deck may have {max_bytes:,} (CAUSEWAY_MAX_DECK_BYTES)."
        )
        store.put(uri, f"<!doctype html><title>Deck</title><p>{words}</p>".encode())
    elif shown.hidden:
        _mask(store, uri, shown)
    if shown.hidden and store.exists(checks := store.join(prefix, CHECKS)):
        _mask(store, checks, shown)
    return uri


def _mask(store: ObjectStore, uri: str, shown: Showing) -> None:
    with store.open(uri) as stream:
        text = stream.read()
    if (masked := shown.masked(text)) != text:
        store.put(uri, masked)


def _read(store: ObjectStore, uri: str) -> bytes:
    """Not more than any error can need: what a task leaves there may have any size."""
    try:
        with store.open(uri) as stream:
            return stream.read(MAX_ERROR_BYTES)
    except NotFound:
        return b""


def _last_line(message: str) -> str:
    return message.strip().rpartition("\n")[2].strip()
