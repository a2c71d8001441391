# ruff: noqa
"""Tasks that do to their process and to its files what few do."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Optional

import flytekit
from flytekit import task
from flytekit.types.file import FlyteFile


@task
def read(file: FlyteFile) -> str:
    files = flytekit.FlyteContextManager.current_context().file_access
    files.get_data(file.remote_source or file.path, copy := files.get_random_local_path("inputs.pb"))
    return Path(copy).read_text()


@task
def forks(marker: str) -> str:
    """The child comes back from the task as its parent does, which goes on for a while."""
    if os.fork() == 0:
        return "child" * 1000
    os.wait()
    Path(marker).touch()
    time.sleep(0.5)
    return "parent"


@task
def where_a_thread_is(marker: str) -> int:
    """A thread goes on after the task."""

    def run() -> None:
        while not Path(f"{marker}.ask").exists():
            time.sleep(0.02)
        Path(f"{marker}.partial").write_text(os.getcwd())
        Path(f"{marker}.partial").rename(marker)

    threading.Thread(target=run, daemon=True).start()
    return 1


@task
def closes_its_folders() -> int:
    for folder in (flytekit.current_context().working_directory, os.environ["TMPDIR"] + "/local_flytekit"):
        os.chmod(folder, 0o500)
    return 1


@task
def lets_nobody_tell() -> int:
    """In place of what says who took the attempt, a pipe that nobody writes to."""
    started = Path("../started")
    started.unlink()
    os.mkfifo(started)
    os._exit(3)


@task
def inode() -> int:
    return os.stat("..").st_ino


def sockets() -> list[int]:
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                found.append(fd)
    return found


@task
def closes_its_sockets(marker: str) -> int:
    for fd in sockets():
        os.close(fd)
    while not Path(marker).exists():
        time.sleep(0.02)
    os._exit(3)


@task
def says_it_is_done(marker: str) -> int:
    """And goes on."""
    Path("../done").write_text('{"status": 0}')
    while not Path(marker).exists():
        time.sleep(0.02)
    return 1


@task
def says(text: str) -> int:
    """To whom it should not speak."""
    for fd in sockets():
        with contextlib.suppress(OSError):
            os.write(fd, text.encode())
    return 1


@task
def described(row: list[int], names: dict[str, str], by: list[int], maybe: Optional[list[int]] = None) -> str:
    return f"{row} {names} {by} {by[-1:]} {maybe} {os.getpid()}"
