"""What `script/up` is while everything runs: `python -I -S watching.py SUPERVISOR LOCK HOME WORD...`.

It waits for a signal, brings the supervisor back when that is killed, and keeps logs short. That is all for days, so it
imports nothing of ours, and what started everything (up.py) becomes this: the same process, a third of the memory.
`SUPERVISOR`: the pid of its child. `LOCK`: the descriptor that the data directory is held by. `WORD`s: what up.py was
given; it is become again to start the supervisor.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 45.0  # seconds until the supervisor has stopped what it runs
LOG_LIMIT_BYTES = 20 * 1024**2
AGAIN = "CAUSEWAY_UP_AGAIN"  # in up.py's environment: everything was checked, and announced


class Interrupted(BaseException):
    """A signal asked us to stop."""


def begin(supervisor: int, lock: int, home: str, words: list[str]) -> NoReturn:
    """Become this, from up.py. A signal that comes meanwhile is kept until it is heard."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    os.set_inheritable(lock, True)
    _become("-I", "-S", os.path.abspath(__file__), str(supervisor), str(lock), home, *words)


def main(supervisor: int, lock: int, home: str, words: list[str]) -> NoReturn:
    try:
        for number in SIGNALS:
            signal.signal(number, _interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        while not _has_ended(supervisor):
            time.sleep(1.0)
            trim_logs(os.path.join(home, "logs"))
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    except Interrupted:
        _say("stopping")
        _end(supervisor)
        _become("-m", "console.supervisor.stopping", home)
    _say("the supervisor was killed: starting again")
    os.close(lock)
    os.environ[AGAIN] = "1"
    _become("-m", "console.supervisor.up", *words)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:  # already stopping: a second Ctrl-C must not interrupt the orderly end
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted


def _has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:  # and was collected
        return True


def _end(supervisor: int) -> None:
    try:
        os.kill(supervisor, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + PATIENCE
    while not _has_ended(supervisor) and time.monotonic() < deadline:
        time.sleep(0.05)


def _become(*arguments: str) -> NoReturn:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - our own programs


def trim_logs(folder: str, *, limit: int = LOG_LIMIT_BYTES) -> None:
    """Keep one predecessor of a log that grew too long. The writers append, so truncating under them is safe.

    What cannot be done, as on a full disk, is tried again the next time: everything else goes on.
    """
    try:
        found = [entry for entry in os.scandir(folder) if entry.name.endswith(".log")]
    except OSError:
        return
    for entry in found:
        try:
            if entry.name != "supervisor.log" and entry.stat().st_size > limit:
                _copy(entry.path, f"{entry.path}.1")
                os.truncate(entry.path, 0)
        except OSError:
            continue


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as log, open(target, "wb") as predecessor:
        while part := log.read(1 << 20):
            predecessor.write(part)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
