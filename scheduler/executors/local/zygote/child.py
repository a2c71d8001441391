"""The task process, from the fork to its exit.

A run directory holds all of an attempt on this machine:

    spec.json   {"args", "env", "code", "log", "threads", "data"}; written by the executor; data: of raw containers
    secrets.json what the task asked for; mode 0600, gone as soon as the process has read it; secrets/: those as files
    started     "<pid>:<born>:<seconds>", created exclusively: of two forks for one attempt the second one goes away
    work/       the working directory; and HOME where tasks have a user of their own, as in images; tmp/ is TMPDIR
    done        {"status", "at", "full"}: exit code, or minus the signal; full: the disk was, when it failed. Left by
                the process itself it is `started`, with that in a second line, by another name: one file fewer
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import faulthandler
import gc
import json
import os
import pathlib
import resource
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from . import ending, images, importing, kept, lean, strays, together
from .orders import Ends, Orders

DUPLICATE = 197  # exit code of a process that found its attempt started already
FLYTE_COMMANDS = {"pyflyte-execute": "execute_task_cmd", "pyflyte-map-execute": "map_execute_task_cmd"}

SECRETS = "secrets.json"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

_disk_full = False  # whether this attempt could not write for want of room


def born(pid: int | str = "self") -> int:
    """When the process started, in clock ticks since boot; with the pid it identifies a process. 0: no such process."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return int(stat.read().rpartition(")")[2].split()[19])
    except FileNotFoundError:
        return 0


def taken_by(directory: str) -> int:
    """The pid of the process that took the attempt; 0 while none has, or if it can no more be told: it is the task's to
    replace, also by a pipe that nobody writes to.
    """
    try:
        fd = os.open(os.path.join(directory, "started"), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(fd, 32).partition(b":")[0])
    except (OSError, ValueError):
        return 0
    finally:
        os.close(fd)


def leave_result(directory: str, status: int, *, full: bool = False) -> None:
    """Write `done`, unless there is one."""
    path = os.path.join(directory, "done")
    with contextlib.suppress(OSError):  # the directory may be gone: then nobody waits for the result any more
        if not os.path.exists(path):
            # A name of its own: the task may have put something there, and this may be its zygote, with other rights.
            fd, partial = tempfile.mkstemp(prefix=".done-", dir=directory)
            with open(fd, "w") as file:
                file.write(_result(status, full=full))
            os.replace(partial, path)


def _leave_own_result(directory: str, status: int, *, full: bool) -> None:
    """As `leave_result`, of the process that took the attempt."""
    path = os.path.join(directory, "started")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            said = f"\n{_result(status, full=full)}".encode()
            if os.write(fd, said) < len(said):
                raise OSError(errno.ENOSPC, "there was room for a part of the result only")
        finally:
            os.close(fd)
        os.link(path, os.path.join(directory, "done"), follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:  # links are not for every file system, nor every user
        leave_result(directory, status, full=full)


def _result(status: int, *, full: bool) -> str:
    return json.dumps({"status": status, "at": time.time(), **({"full": True} if full else {})})


def main(directory: str, told: int, user: list[Any] | None) -> NoReturn:
    """Run the attempt as that user and exit. Called in the fork; nothing may return into the zygote's loop.

    The exit code, and whether the disk was full, go into the pipe `told` before: the user's code holds nothing that
    leads to the executor.
    """
    status = 1
    try:
        _become_own_process()
        become(user)
        status = _attempt(directory, lambda status: _write_status(told, status), last=True)
    finally:
        os._exit(status)


def work(sock: socket.socket) -> NoReturn:
    """Run the attempts that come over the socket until one is marked as the last, or the executor goes. Then exit."""
    status = 1
    try:
        _become_own_process()
        from . import warmup

        with contextlib.suppress(Exception):  # only to have memory at hand that the fork shares with its parent
            warmup.rehearse(1)
        environment, path = dict(os.environ), list(sys.path)
        sock.sendall(b'{"is": "idle"}\n')
        orders = Orders(sock)
        ends = Ends(sock, orders.more, lambda: _disk_full)
        while (order := orders.next()) is not None:
            status = _attempt(order["dir"], ends.teller(order["dir"]), last=order["last"])
            if order["last"]:
                break
            _restore(environment)
            sys.path[:] = path
    finally:
        os._exit(status)


def _restore(environment: Mapping[str, str]) -> None:
    """What the environment was; most of it is still so."""
    for name in [name for name in os.environ if name not in environment]:
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})


def _attempt(directory: str, tell: Callable[[int], None], *, last: bool) -> int:
    """Run one attempt, end what it left running, leave its result and tell it; returns the exit code."""
    global _disk_full
    status, _disk_full, own = 1, False, os.getpid()
    try:
        if not _is_first(directory):
            tell(DUPLICATE)
            return DUPLICATE
        with open(os.path.join(directory, "spec.json")) as file:
            spec = json.load(file)
        _set_stage(directory, spec)
        status = _run_raw(spec) if spec.get("data") else _run(spec["args"], last=last)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is shown in the attempt's log
        _show(error)
    if os.getpid() != own:  # a fork of the task that came back from it as well: the attempt is its parent's
        _flush()
        os._exit(status)
    with contextlib.suppress(Exception):
        if left := strays.end_all():
            sys.stderr.write(f"{strays.words(left)}\n")
    _flush()
    if not last:
        with contextlib.suppress(Exception):
            ending.end_eager()
        with contextlib.suppress(OSError):  # the directory may be another attempt's soon, and a thread be left
            os.chdir("/proc")  # where nobody can leave a file
    _leave_own_result(directory, status, full=_disk_full)
    tell(status)
    return status


def _flush() -> None:
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()


def _show(error: BaseException) -> None:
    """In the attempt's log; that there is no room for it, or for anything else, is noted."""
    global _disk_full
    seen: BaseException | None = error
    for _ in range(20):  # links of the chain of causes
        if seen is None:
            break
        _disk_full = _disk_full or (isinstance(seen, OSError) and seen.errno in DISK_FULL)
        seen = seen.__cause__ or seen.__context__
    try:
        traceback.print_exception(error)
    except OSError as failed:
        _disk_full = _disk_full or failed.errno in DISK_FULL


def _write_status(pipe: int, status: int) -> None:
    """With whether the disk was full."""
    with contextlib.suppress(OSError):  # the zygote may be gone, or the task have closed all that was open
        os.write(pipe, f"{status} {int(_disk_full)}\n".encode())
        os.close(pipe)


_prctl = getattr(ctypes.CDLL(None), "prctl", None)
_SET_DUMPABLE, _SET_NO_NEW_PRIVS = 4, 38  # linux/prctl.h
MOST_PROCESSES = 8192  # of one user: a fork bomb ends there


def become(user: list[Any] | None) -> None:
    """Be that user, [uid, gid, [more groups]], for good, before any code of a project runs. None: stay who we are."""
    if user is None:
        return
    uid, gid, groups = user
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = MOST_PROCESSES if hard == resource.RLIM_INFINITY else min(hard, MOST_PROCESSES)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.umask(0o027)  # its project may read what it leaves
    if _prctl is not None:
        _prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _prctl(_SET_DUMPABLE, 1, 0, 0, 0)  # else its own /proc is root's
    os.environ["USER"] = os.environ["LOGNAME"] = "task"  # there need be no entry in /etc/passwd to ask


def _become_own_process() -> None:
    os.setsid()
    strays.take_orphans()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@lru_cache(maxsize=1)
def _own_handle(pid: int) -> str:
    """Of this process, which does not change; a fork's is another."""
    return f"{pid}:{born()}"


def _is_first(directory: str) -> bool:
    try:
        fd = os.open(os.path.join(directory, "started"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    except (FileExistsError, FileNotFoundError):  # without its directory it is over
        return False
    os.write(fd, f"{_own_handle(os.getpid())}:{time.time():.6f}".encode())
    os.close(fd)
    return True


def _set_stage(directory: str, spec: dict[str, Any]) -> None:
    """Log, environment, directories, import path and randomness, as a process of its own would have them."""
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    if spec.get("uid") is not None:
        os.environ["HOME"] = os.path.join(directory, "work")
    os.environ.update(spec["env"])
    images.program_is_from_archive(bool(spec["code"]))
    _take_secrets(directory)
    use_temporary_directory(os.path.join(directory, "tmp"))
    os.chdir(os.path.join(directory, "work"))
    if spec["code"] and spec["code"] not in sys.path:
        sys.path.insert(0, spec["code"])
    sys.argv = list(spec["args"])
    importing.refresh_randomness()
    _allow_threads(spec["threads"], spec["env"])
    gc.enable()


def _take_secrets(directory: str) -> None:
    """Variables and files that the task asked for, where flytekit looks for them; see scheduler/secrets/mounts.py."""
    try:
        with open(os.path.join(directory, SECRETS)) as file:
            told = json.load(file)
    except FileNotFoundError:
        return
    os.unlink(os.path.join(directory, SECRETS))
    folder = os.path.join(directory, "secrets")
    for path, text in told["files"].items():
        place = os.path.join(folder, path)
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as secret:
            secret.write(base64.b64decode(text))
    os.environ.update(told["env"])
    os.environ.update({name: os.path.join(folder, path) for name, path in told["paths"].items()})
    os.environ.update(FLYTE_SECRETS_ENV_PREFIX="_FSEC_", FLYTE_SECRETS_DEFAULT_DIR=folder, FLYTE_SECRETS_FILE_PREFIX="")


def use_temporary_directory(path: str) -> None:
    """For Python and for flytekit, which made up its mind when it was imported; also where a FlyteRemote, which eager
    workflows have, leaves its decks.
    """
    from flytekit.configuration import Config
    from flytekit.core.data_persistence import default_local_file_access_provider

    os.environ["TMPDIR"] = path
    tempfile.tempdir = path  # what Python would find out by writing a file
    init: Any = Config.__init__
    init.__defaults__ = tuple(path if one == Config.local_sandbox_path else one for one in init.__defaults__)
    Config.local_sandbox_path = path
    default_local_file_access_provider._local_sandbox_dir = pathlib.Path(path, "local_flytekit")


def _allow_threads(count: int, chosen: dict[str, str]) -> None:
    """Numeric libraries were imported with one thread each, which a fork survives; let them have the task's share."""
    for name in THREAD_VARIABLES:
        os.environ[name] = chosen.get(name, str(count))
    if count > 1 and "threadpoolctl" in sys.modules:
        sys.modules["threadpoolctl"].threadpool_limits(limits=count)


def _run(args: list[str], *, last: bool) -> int:
    """Run flytekit's commands here, everything else as a program of its own in place of this process; what is meant to
    be several processes as such.
    """
    if (told := together.asked()) is not None:
        return together.run(told, args, lambda words: _run(words, last=last))
    name = os.path.basename(args[0])
    if args[0] == kept.PROGRAM:
        return kept.main(args[1])
    if name not in FLYTE_COMMANDS:
        os.execvpe(args[0], args, os.environ)  # noqa: S606 - the user's own command, no shell in between
    from . import plugins

    plugins.load()
    from flytekit.bin import entrypoint

    if name == "pyflyte-map-execute":
        from . import mapped

        for change in (mapped.tell_declarations, mapped.load_maps_once, mapped.make_literals_when_asked):
            with contextlib.suppress(AttributeError):  # a flytekit that works differently inside
                change()
    lean.use_workspace()
    try:
        getattr(entrypoint, FLYTE_COMMANDS[name]).main(args=args[1:], prog_name=name, standalone_mode=False)
        status = 0
    except SystemExit as error:
        status = _exit_code(error)
    except BaseException as error:  # noqa: BLE001 - as the interpreter does with an uncaught exception
        _show(error)
        status = 1
    return _wind_down(status) if last else status


def _run_raw(spec: dict[str, Any]) -> int:
    from . import raw

    return raw.run(spec["args"], spec["data"])


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    sys.stderr.write(f"{error.code}\n")
    return 1


def _wind_down(status: int) -> int:
    try:
        ending.run_exit_functions()
    except SystemExit as error:
        return _exit_code(error)
    except BaseException:  # noqa: BLE001 - a user's exit function may raise anything
        traceback.print_exc()
    faulthandler.disable()
    return status
