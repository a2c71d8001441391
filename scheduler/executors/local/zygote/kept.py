"""Clusters of Spark, Dask and Ray that stay for later tasks: the process that keeps one, and how a task takes it.

A cluster has a run directory of its own (see child.py), in the folder of all that tasks of the same kind may take:

    cluster.json  where it is and what opens it, for its project's user alone; gone when it is about to end
    lease         locked by the task that uses it (flock: the kernel lets go for a task that is killed); what stands in
                  it is `used` from a task's beginning until its orderly end

One task has a cluster at a time. One that was killed, and may have left anything, takes it along; so does nobody's
asking for it in the time that was stated.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import together

PROGRAM = "causeway-cluster"  # in place of a command: `causeway-cluster FORM` in the directory's spec.json
WHERE, LEASE, USED = "cluster.json", "lease", b"used"
LOOK_SECONDS = 0.2
WAIT_SECONDS = 300.0  # for one that lives and does not get ready; after that a task has one of its own
LOG_SHOWN = 2000  # characters


def main(form: str) -> int:
    """Keep one until nobody has asked for it for the time that `keep` says, in seconds."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    told, here = json.loads(form), Path.cwd().parent
    with together.serving(told) as (where, alive):
        _put(here / WHERE, json.dumps(where))
        try:
            _until_idle(here / LEASE, told["keep"], alive)
        finally:
            (here / WHERE).unlink(missing_ok=True)
    return 0


def _until_idle(lease: Path, seconds: float, alive: Callable[[], bool]) -> None:
    idle_since = time.monotonic()
    while alive():
        time.sleep(LOOK_SECONDS)
        with _locked(lease) as state:
            if state is None:
                idle_since = time.monotonic()
            elif state:
                print("a task that used this cluster was killed, so it ends")  # noqa: T201 - its log
                return
            elif time.monotonic() - idle_since > seconds:
                (lease.parent / WHERE).unlink(missing_ok=True)  # under the lock: nobody takes it any more
                return


@contextlib.contextmanager
def taken(folder: str) -> Iterator[dict[str, Any] | None]:
    """Where a cluster of the folder is, for this process alone; None: there is none to be had."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        members = sorted(one for one in Path(folder).iterdir() if one.is_dir())
        for member in members:
            with _locked(member / LEASE) as state:
                if state != b"" or not (where := _read(member / WHERE)):
                    continue
                _put(member / LEASE, USED.decode(), within=True)
                print(f"[Causeway: in the {where['form']} cluster {member.name}, which is kept]")  # noqa: T201 - the log
                yield where
                _put(member / LEASE, "", within=True)
                return
        over = [one for one in members if (one / "done").exists()]
        if not set(members) - set(over) or time.monotonic() > until:
            for one in over[-1:]:
                with contextlib.suppress(OSError):
                    print((one / "log").read_text(errors="replace")[-LOG_SHOWN:])  # noqa: T201 - the log
            print("[Causeway: no cluster is kept for this task, so it has one of its own]")  # noqa: T201 - the log
            yield None
            return
        time.sleep(together.POLL_SECONDS)


@contextlib.contextmanager
def _locked(lease: Path) -> Iterator[bytes | None]:
    """What stands in it, while it is this process's; None while it is another's, or gone. Not kept by exec."""
    try:
        fd = os.open(lease, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # the directory goes while we look
        yield None
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield os.pread(fd, len(USED), 0)
    finally:
        os.close(fd)


def _put(path: Path, text: str, *, within: bool = False) -> None:
    """For this user alone. `within`: into the file that is there, whose lock is kept by what it is, not its name."""
    if within:
        path.write_text(text)
        return
    partial = path.with_name(f".{path.name}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    os.replace(partial, path)


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(path.read_text()))
    return None
