"""Processes and files of a pod that stays, as its process 1 deals with them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from . import main as command

# prctl: whether others of the same user may look into a process (memory, environment, open files); whether it is the
# parent of descendants who lost theirs.
DUMPABLE, REAPER = 4, 36
ROUNDS = 50
KNOWN_AT_HOME = (".aws", ".flyte", ".uctl", ".config")  # says how to reach the store
GROUPS_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def to_the_end(be: Callable[[], NoReturn]) -> NoReturn:
    """In a fork: this, and then no more, as an interpreter ends."""
    status = 1
    try:
        be()
    except SystemExit as error:
        status = command.status_of(error)
    except BaseException as error:  # noqa: BLE001
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(status)


class Image:
    """The folder that it starts programs in, its user's home, and the environment of all of the pod."""

    def __init__(self) -> None:
        self.here, self.home = os.getcwd(), os.path.expanduser("~")
        self.environment = dict(os.environ)

    def move_into(self, folder: str, env: dict[str, str]) -> None:
        """In a fork: its own environment, working directory, home and temporary files."""
        work = f"{folder}/work"
        os.chdir(work)
        self.own_home = f"{folder}/home"
        if os.path.realpath(self.home) == os.path.realpath(self.here):
            self.own_home = work  # as in the image
        own = {"TMPDIR": f"{folder}/temporary", "HOME": self.own_home}
        os.environ.clear()
        os.environ.update({**self.environment, **own, **env, "PWD": work})
        tempfile.tempdir = None
        if hasattr(time, "tzset"):
            time.tzset()
        link_into(self.home, self.own_home, lambda name: name in KNOWN_AT_HOME)  # read before its code is there

    def lay(self) -> None:
        """What the image has in its folder and its user's home is seen in the own ones, beside what is its own."""
        work = os.getcwd()
        link_into(self.here, work)
        if self.own_home != work:
            link_into(self.home, self.own_home, lambda name: name != ".cache")


def link_into(source: str, target: str, wanted: Callable[[str], bool] = lambda name: True) -> None:
    with contextlib.suppress(OSError):
        for name in filter(wanted, os.listdir(source)):
            there, here = os.path.join(source, name), os.path.join(target, name)
            if not os.path.lexists(here):
                os.symlink(there, here)
            elif os.path.isdir(there) and os.path.isdir(here) and not os.path.islink(here):
                link_into(there, here)


def prctl(option: int, value: int) -> None:
    with contextlib.suppress(Exception):  # not Linux's C library: what it guards against is then only unlikely
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def send(pid: int, number: int) -> None:
    """A task's group, and itself where it has not got one yet."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, number)


def end_everything(spared: int = 0) -> None:
    """Of the pod, but this process and that one."""
    if os.getpid() != 1:
        end_children({spared})
    elif not spared or not _end(lambda: [pid for pid in _all() if pid not in (1, spared)]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)


def end_children(spared: set[int]) -> None:
    """All of this process but those; whose parent ends becomes ours."""
    _end(lambda: [pid for pid in _all() if pid not in spared and parent(pid) == os.getpid()])


def _end(left: Callable[[], list[int]]) -> bool:
    """Whether none is left any more."""
    for _ in range(ROUNDS):
        found = left()
        if not found:
            return True
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in found:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return False


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def reaped() -> Iterator[tuple[int, int]]:
    """Children that have ended, and their statuses."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found


def parent(pid: int) -> int:
    """0: there is no such process, or nobody may say."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def has_children() -> bool:
    return any(parent(pid) == os.getpid() for pid in _all())


def ooms() -> int:
    """How many processes of the container were killed for want of memory so far."""
    for path in GROUPS_EVENTS:
        with contextlib.suppress(OSError, ValueError), open(path) as file:
            for line in file:
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


def remove(path: str) -> None:
    """A file or a folder, whatever its modes say."""

    def again(_: Any, name: str, __: Any) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(name), 0o700)
            os.chmod(name, 0o700)
            shutil.rmtree(name, ignore_errors=True) if os.path.isdir(name) else os.unlink(name)

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, onerror=again)
        return
    with contextlib.suppress(OSError):
        os.unlink(path)
