"""pyflyte-fast-execute and the command that it runs, in one process.

flytekit's first process imports flytekit, fetches the code package and starts a second one, with the package on
PYTHONPATH, that imports flytekit again. This one fetches the package itself, and then *is* that second process: the
same arguments, environment, import path and directory, and the console script itself as `__main__`. Where anything is
not as known it becomes, by exec, the process that flytekit would have started.
"""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import ending
from .door import Door, Elsewhere

FAST, COMMANDS = "pyflyte-fast-execute", ("pyflyte-execute", "pyflyte-map-execute")
SMALL = 1 << 20  # bytes
LATE = ("sitecustomize", "usercustomize")  # of the import path, imported when an interpreter starts


class NotThisWay(Exception):
    """flytekit's own way is to be taken."""


def main(argv: list[str], unpacked: Callable[[], None] = lambda: None) -> NoReturn:
    """The command as the task says it, run by the interpreter of its script. `unpacked` is called once its code is
    where it belongs.
    """
    _heed_signals()
    way = door()
    try:
        script, told, folder, before = prepare(argv, way, unpacked)
    except Exception:  # noqa: BLE001 - what is wrong, flytekit says
        os.execvp(argv[0], argv)  # noqa: S606
    on_path(script, folder, before)
    run(script, told, way)


def prepare(argv: list[str], way: Any, unpacked: Callable[[], None]) -> tuple[str, list[str], str, str | None]:
    """Its code is where it belongs then: the script, the command to run, the folder of the code (empty: the image's)
    and PYTHONPATH as it was.
    """
    folder, before = "", os.environ.get("PYTHONPATH")
    if os.path.basename(argv[0]) == FAST:
        package, place, _ = understood(argv)
        _fetch(way, package, place)
        folder = os.path.realpath(place)
        os.environ["PYTHONPATH"] = folder if before is None else before + os.pathsep + folder
        _check_shadows(folder)
    told = words(argv)
    unpacked()
    return script_of(told[0]), told, folder, before


def words(argv: list[str]) -> list[str]:
    """The command that runs once its code is there."""
    if os.path.basename(argv[0]) != FAST:
        return argv
    package, place, command = understood(argv)
    return _told(command, package, place)


def _heed_signals() -> None:
    """A shell has what it starts in the background ignore these, and so would all that this starts."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def door() -> Any:
    """None where flytekit goes to the store its own way."""
    try:
        return Door()
    except Elsewhere:
        return None


def understood(argv: list[str]) -> tuple[str, str, list[str]]:
    """The package, the folder for it, and the command that follows."""
    if len(argv) < 7 or argv[1] != "--additional-distribution" or argv[3] != "--dest-dir" or argv[5] != "--":
        raise NotThisWay
    package, folder, command = argv[2], argv[4], argv[6:]
    if not package.endswith(".tar.gz") or not os.path.isdir(folder) or folder.startswith("~"):
        raise NotThisWay
    return package, folder, command


def _fetch(door: Any, package: str, folder: str) -> None:
    """The package stays beside what it holds. flytekit itself gets it from a store that the door does not reach."""
    if door is None or not package.startswith("s3://"):
        importlib.import_module("flytekit.tools.fast_registration").download_distribution(package, folder)
        return
    path = os.path.join(folder, os.path.basename(package))
    door.get(package, path)
    _unpack(path, folder)


def _unpack(path: str, folder: str) -> None:
    """As `tar` does, which flytekit starts for it: of a small package to start it costs more than all the rest."""
    tarfile = importlib.import_module("tarfile")
    if os.path.getsize(path) > SMALL or not hasattr(tarfile, "tar_filter"):
        subprocess.run(["tar", "-xf", path, "-C", folder], stdout=subprocess.DEVNULL, check=True)  # noqa: S603, S607
        return
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="tar")


def _told(command: list[str], package: str, folder: str) -> list[str]:
    """With what dynamic tasks have to know; flytekit.bin.entrypoint, fast_execute_task_cmd."""
    found = []
    for word in command:
        if word == "--resolver":
            found += ["--dynamic-addl-distro", package, "--dynamic-dest-dir", folder]
        found.append(word)
    return found


def script_of(name: str) -> str:
    """The path of a command of flytekit's, which is a script for this interpreter."""
    if name not in COMMANDS:
        raise NotThisWay
    path = shutil.which(name)
    if path is None:
        raise NotThisWay
    with open(path, "rb") as file:
        text = file.read(1 << 16)
    told = text.split(b"\n", 1)[0][2:].split()
    program = os.fsdecode(told[1] if told[0].endswith(b"/env") else told[0])
    if not text.startswith(b"#!") or b"flytekit" not in text or len(told) > 2:
        raise NotThisWay
    found = shutil.which(program)
    if found is None or os.path.realpath(found) != os.path.realpath(sys.executable):
        raise NotThisWay
    if os.path.dirname(os.path.abspath(found)) != os.path.dirname(os.path.abspath(sys.executable)):
        raise NotThisWay  # of another virtual environment
    return path


def _check_shadows(folder: str) -> None:
    """A module of the package that goes before one that is imported by now: a fresh process would have taken it."""
    for entry in os.listdir(folder):
        name = entry.split(".", 1)[0]
        if name in LATE or name in sys.modules:
            if name in sys.builtin_module_names or not name.isidentifier():
                continue
            raise NotThisWay


def on_path(script: str, folder: str, before: str | None) -> None:
    """As in a process that was started with the script, and with the folder at the end of PYTHONPATH."""
    first = 0 if sys.flags.isolated or getattr(sys.flags, "safe_path", False) else 1
    if first:
        sys.path.insert(0, os.path.dirname(os.path.realpath(script)))
    if folder and not sys.flags.ignore_environment:
        sys.path.insert(first + (len(before.split(os.pathsep)) if before else 0), folder)
    importlib.invalidate_caches()


def run(script: str, argv: list[str], door: Any) -> NoReturn:
    """The script as `python SCRIPT` runs it, up to its exit."""
    sys.argv = [script, *argv[1:]]
    collects = gc.isenabled()
    gc.disable()  # nothing that is imported is garbage
    try:
        __import__("flytekit.bin.entrypoint")
        if door is not None:
            from .swift import make_swift

            make_swift(door)
    except Exception:  # noqa: BLE001, S110 - the script says it better
        pass
    if collects:
        gc.enable()
    be_main(script)
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec")
    try:
        exec(code, vars(sys.modules["__main__"]))  # noqa: S102 - flytekit's own script
        status = 0
    except SystemExit as error:
        status = status_of(error)
    except BaseException as error:  # noqa: BLE001 - as an interpreter ends
        trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        status = 130 if isinstance(error, KeyboardInterrupt) else 1
    _leave(status)


def be_main(script: str) -> None:
    """`__main__` is the script's, as yet empty. Once: what a program has put there since then stays."""
    main = sys.modules["__main__"]
    if getattr(main, "__file__", None) == script:
        return
    for name in [name for name in vars(main) if not name.startswith("__")]:
        delattr(main, name)
    main.__file__, main.__cached__ = script, None  # type: ignore[attr-defined]


def status_of(error: SystemExit) -> int:
    """The exit code that an interpreter makes of it."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _leave(status: int) -> NoReturn:
    """What an interpreter does at its end, but for taking all modules apart: that takes longer than a small task."""
    try:
        ending.run_exit_functions()
    except BaseException as error:  # noqa: BLE001
        sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001
            status = status or 120
    os._exit(status)
