"""Logs of attempts, read in parts, also while they are written.

Of a pod that runs there are three places, each with a beginning of the same bytes: the file into which its executor
follows the log, where that is on this machine; what the executor has sent to the store, which lags; and the cluster.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from artifacts.exceptions import NotFound
from artifacts.store import store
from console.pods import container_of
from scheduler.attempts import replicas
from scheduler.executors.kubernetes import clusters
from scheduler.executors.kubernetes.cluster import BadCluster
from scheduler.executors.kubernetes.clusters import followed_file
from scheduler.executors.kubernetes.names import is_shared
from scheduler.models import TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL, AttemptPhase

DEFAULT_BYTES = 256 * 1024
MAX_BYTES = 4 * 1024**2
SETTLES = timedelta(seconds=15)  # from a pod's end until all of its log is in the store
ASKED_BYTES = 2 * 1024**2  # of a log that is asked of a cluster: it always begins at the beginning


@dataclass(frozen=True)
class LogPart:
    data: bytes
    next_offset: int  # where the following part begins, in bytes
    size: int  # of the whole log so far, in bytes


def read_log(uri: str, *, offset: int | None = 0, limit: int = DEFAULT_BYTES, tail: int | None = None) -> LogPart:
    """At most `limit` bytes from `offset` (None: the end of the log), or with `tail` the last lines.

    A log that does not exist yet is empty.
    """
    return _part(_size(uri), lambda at: store().open_at(uri, at), offset=offset, limit=limit, tail=tail)


def _part(
    size: int,
    open_at: Callable[[int], AbstractContextManager[Any]],
    *,
    offset: int | None,
    limit: int,
    tail: int | None,
) -> LogPart:
    if tail is not None or offset is None:
        offset = max(0, size - limit)
    offset = min(offset, size)
    data = b""
    if offset < size:
        with open_at(offset) as stream:
            data = stream.read(limit)
    if tail is not None:
        data = b"".join(data.splitlines(keepends=True)[-tail:])
        return LogPart(data, size, size)
    return LogPart(data, offset + len(data), size)


def read_log_of(
    row: TaskExecution,
    *,
    offset: int | None = 0,
    limit: int = DEFAULT_BYTES,
    tail: int | None = None,
    replica: str = "",
) -> LogPart:
    """As `read_log`, of an attempt, also while it is a pod that runs, and until all of its log is in the store.
    `replica`: of which of its replicas, where it is a job; empty, or the main one: of the attempt.
    """
    if replica:
        return _read_replica(row, replica, offset=offset, limit=limit, tail=tail)
    if row.executor != clusters.KIND:
        return read_log(row.log_uri, offset=offset, limit=limit, tail=tail)
    if (followed := _followed(row)) is not None:
        with followed:
            size = os.fstat(followed.fileno()).st_size
            return _part(size, lambda at: _at(followed, at), offset=offset, limit=limit, tail=tail)
    part = read_log(row.log_uri, offset=offset, limit=limit, tail=tail)
    reached = max(part.size, offset or 0)  # a reader may have had more of the cluster than the store has yet
    if row.phase != AttemptPhase.RUNNING or part.next_offset < part.size or reached > ASKED_BYTES:
        return part
    if is_shared(row.handle):  # its pod's own log is none of its
        return part
    newer = _ask_for(row, offset=reached, limit=limit if tail is None else ASKED_BYTES)
    data = part.data + newer
    if tail is not None and len(newer) == ASKED_BYTES:  # there is more of it: its end alone then
        data = _ask(row, "log_tail", lines=tail) or data
    if tail is not None:
        data = b"".join(data.splitlines(keepends=True)[-tail:])
    return LogPart(data, reached + len(newer), reached + len(newer))


def _read_replica(row: TaskExecution, name: str, *, offset: int | None, limit: int, tail: int | None) -> LogPart:
    """NotFound if the attempt has no such replica."""
    uri = next((one.log_uri for one in replicas.of(row) if one.name == name), None)
    if uri is None:
        raise NotFound(f"the attempt has no replica {name[:80]}")
    if (followed := _followed(row, "" if uri == row.log_uri else name)) is not None:
        with followed:
            size = os.fstat(followed.fileno()).st_size
            return _part(size, lambda at: _at(followed, at), offset=offset, limit=limit, tail=tail)
    return read_log(uri, offset=offset, limit=limit, tail=tail)


def is_growing(row: TaskExecution, now: datetime) -> bool:
    """Whether more of it may come: the end of a pod is told before the last of its log is kept."""
    if row.phase not in ATTEMPT_TERMINAL:
        return True
    return row.executor == clusters.KIND and row.ended_at is not None and now - row.ended_at < SETTLES


def _followed(row: TaskExecution, replica: str = "") -> BinaryIO | None:
    try:
        return followed_file(Path(settings.CAUSEWAY_HOME), row.cluster, row.pk, replica).open("rb")
    except OSError:
        return None


def _at(file: BinaryIO, offset: int) -> AbstractContextManager[BinaryIO]:
    file.seek(offset)
    return nullcontext(file)


def _ask_for(row: TaskExecution, *, offset: int, limit: int) -> bytes:
    return _ask(row, "log_part", offset=offset, limit=limit)


def _ask(row: TaskExecution, what: str, **wanted: int) -> bytes:
    """What a function of `looking` says of its log. Nothing where the cluster does not answer: the store has it in a
    while.
    """
    namespace, _, name = row.handle.partition("/")
    if "/" in name:  # a job: its log is of one of its pods, and comes by way of the store
        return b""
    # Only here: the client of Kubernetes takes a second to import.
    from scheduler.executors.kubernetes import asking, looking  # noqa: PLC0415

    try:
        found, container = clusters.cluster(row.cluster), container_of(row)
        question = partial(getattr(looking, what), namespace=namespace, name=name, container=container, **wanted)
        return bytes(asking.ask(found, question))
    except (BadCluster, asking.Unanswered):
        return b""


def _size(uri: str) -> int:
    try:
        return store().size(uri) if uri else 0
    except NotFound:
        return 0
