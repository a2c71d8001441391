"""Commands of manage.py in forks of a process that has imported what they need."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import IO, NoReturn

Done = tuple[int, str, str]  # exit code, output, errors


def run(commands: Sequence[Sequence[str]], settle: Callable[[], None]) -> list[Done]:
    """At once, each in a fork, which `settle`s first."""
    begun = [(_begin(command, settle, files := _files()), files) for command in commands]
    found = []
    for pid, (out, errors) in begun:
        _, status = os.waitpid(pid, 0)
        found.append((os.waitstatus_to_exitcode(status), _read(out), _read(errors)))
    return found


def _files() -> tuple[IO[bytes], IO[bytes]]:
    return tempfile.TemporaryFile(), tempfile.TemporaryFile()


def _read(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode(errors="replace")


def _begin(command: Sequence[str], settle: Callable[[], None], files: tuple[IO[bytes], IO[bytes]]) -> int:
    pid = os.fork()
    if pid == 0:
        _become(command, settle, files)
    return pid


def _become(command: Sequence[str], settle: Callable[[], None], files: tuple[IO[bytes], IO[bytes]]) -> NoReturn:
    def act() -> None:
        for number, file in enumerate(files, start=1):
            os.dup2(file.fileno(), number)
        settle()
        from django.core.management import execute_from_command_line

        execute_from_command_line(["manage.py", *command])

    exit_after(act)


def exit_after(act: Callable[[], None], last: Callable[[], None] = lambda: None) -> NoReturn:
    """End this process, a fork, as the interpreter ends a program that does this; `last` comes before the end."""
    code = 1
    try:
        act()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - as the interpreter would end it
        traceback.print_exc()
    finally:
        last()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
