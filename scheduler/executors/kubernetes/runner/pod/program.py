"""A program that is imported once: a process beside process 1, whose forks its tasks are. As zygotes do on one machine.

Process 1 itself imports no line of a user's. At most one such process is in a pod, and it is ended before a task of
another program begins: what it imported is never there together with somebody else's tasks. A program that cannot be
forked (threads, processes, connections of its own, or it does not even import) or that writes into its own code is
not kept: its tasks are forks of process 1 and import it themselves, as in a pod of their own.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from . import importing, processes
from . import main as command
from .traces import Traces

PATIENCE = 0.5  # seconds that threads of an import may take to end
ANSWER_SECONDS = 10.0  # for a fork


class Unfit(Exception):
    """Its tasks import it themselves."""


class Program:
    """As process 1 sees it."""

    def __init__(self, key: str, folder: str) -> None:
        """`folder`: with its code, its home and its temporary files; as a task's."""
        self.key, self.folder = key, folder
        self.pid, self.ready = 0, False
        self.socket, self.its = socket.socketpair()
        self.waiting: list[tuple[Any, dict[str, Any]]] = []  # tasks that come once it is imported, as they were told
        self._unread, self._kept = b"", list[dict[str, Any]]()
        self._files: dict[str, tuple[int, int, int]] = {}

    def hear(self) -> list[dict[str, Any]]:
        """What it says, `pid` and `status` with it, once there is something. OSError where it is gone, ValueError where
        it says what makes no sense: it is a user's code by now.
        """
        found, self._kept = self._kept, []
        while not found:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("it ended")
            *lines, self._unread = (self._unread + data).split(b"\n")
            found = [_understood(line) for line in lines]
        return found

    def imported(self) -> None:
        self.ready, self._files = True, _seen(self.folder)

    def is_changed(self) -> bool:
        """Whether a task wrote into what the next would find."""
        return self.ready and _seen(self.folder) != self._files

    def fork(self, told: dict[str, Any], pipe: int) -> int:
        """The process of a task, whose end `hear` tells. OSError or ValueError where there is none."""
        self.socket.settimeout(ANSWER_SECONDS)
        data = json.dumps(told).encode() + b"\n"
        socket.send_fds(self.socket, [data[:1]], [pipe])
        self.socket.sendall(data[1:])
        kept: list[dict[str, Any]] = []
        while not (born := [one for one in kept if one.get("is") == "forked"]):
            kept += self.hear()
        self._kept = [one for one in kept if one not in born]
        pid: int = born[0]["pid"]
        if processes.parent(pid) != self.pid:
            raise ValueError(f"{pid} is no fork of it")
        return pid

    @property
    def has_more(self) -> bool:
        """Something that it said while it was asked for something else."""
        return bool(self._kept)

    def close(self) -> list[dict[str, Any]]:
        """End it; returns what it had said before. Its folder is the caller's to remove."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        said: list[dict[str, Any]] = []
        with contextlib.suppress(OSError, ValueError):
            while True:  # up to its end
                said += self.hear()
        self.socket.close()
        return said


def _understood(line: bytes) -> dict[str, Any]:
    told = json.loads(line)
    if not isinstance(told, dict):
        raise ValueError(f"{told!r} is no word of a program")
    numbers = {name: told.get(name, 0) for name in ("pid", "status")}
    if not all(isinstance(number, int) for number in numbers.values()):
        raise ValueError(f"{told!r} is no word of a program")
    return {**told, **numbers}


def become(sock: socket.socket, image: processes.Image, module: str, argv: list[str]) -> NoReturn:
    """In the fork, with an environment and a folder as of a task of its own: import it, and fork a task for each
    order.
    """
    traces = Traces()
    try:
        _import(argv, module, image, traces)
    except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
        if os.getpid() != traces.pid:  # a fork of its own ends like that
            raise
        processes.end_children(set())  # each task starts its own
        _say(sock, {"is": "unfit", "why": f"{type(error).__name__}: {error}"})
        sys.exit(0)
    if os.getpid() != traces.pid:
        sys.exit(0)
    _say(sock, {"is": "imported"})
    _serve(sock, image, traces)
    sys.exit(0)


def _import(argv: list[str], module: str, image: processes.Image, traces: Traces) -> None:
    way = command.door()
    script, words, folder, path = command.prepare(argv, way, image.lay)
    if way is not None:
        way.begin()  # no connection is shared
    command.on_path(script, folder, path)
    sys.argv = [script, *words[1:]]
    command.be_main(script)
    importlib.import_module("flytekit.bin.entrypoint")
    with importing.remembering_seeds(), importing.as_a_task():
        importlib.import_module(module)
    importing.stop_loops()
    if threads := importing.lost_threads(patience=PATIENCE):
        raise Unfit(f"it has threads: {', '.join(threads)}")
    if importing.has_own_generators():
        raise Unfit("it made a generator of random numbers without a seed")
    if why := traces.why_not():
        raise Unfit(why)
    traces.remember()
    importing.know_settings()
    sys.dont_write_bytecode = True  # beside the code that its tasks share
    gc.freeze()


def _serve(sock: socket.socket, image: processes.Image, traces: Traces) -> None:
    """Until process 1 goes: forks are asked for, and their ends told."""
    wake, wakes = os.pipe()
    for end in (wake, wakes):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    own = [sock.fileno(), wake, wakes]
    heard: list[Any] = [sock, wake]
    unread, pipes = b"", list[int]()
    while True:
        found, _, _ = select.select(heard, [], [])
        if wake in found:
            os.read(wake, 4096)
            _tell_ends(sock)
        if sock not in found:
            continue
        data, ancillary, _, _ = sock.recvmsg(1 << 16, socket.CMSG_SPACE(array.array("i").itemsize))
        if not data:
            return
        for _, _, payload in ancillary:
            pipes += array.array("i", payload).tolist()
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            pipe = pipes.pop(0)
            told = json.loads(line)
            sys.stdout.flush(), sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                processes.to_the_end(lambda: _be_a_task(own, image, traces, told, pipe))  # noqa: B023 - at once
            os.close(pipe)
            _say(sock, {"is": "forked", "pid": pid})


def _tell_ends(sock: socket.socket) -> None:
    for pid, status in processes.reaped():
        _say(sock, {"is": "ended", "pid": pid, "status": status})


def _say(sock: socket.socket, told: dict[str, Any]) -> None:
    sock.sendall(json.dumps(told).encode() + b"\n")


def _be_a_task(own: list[int], image: processes.Image, traces: Traces, told: dict[str, Any], pipe: int) -> NoReturn:
    os.setsid()
    signal.set_wakeup_fd(-1)
    _say_again(pipe)
    for end in (1, 2):
        os.dup2(pipe, end)
    for end in (pipe, *own):
        os.close(end)
    processes.prctl(processes.DUMPABLE, 1)
    image.move_into(told["folder"], told["env"])
    traces.repeat(told["env"])
    processes.link_into(traces.folder, ".")  # where a task of its own would have unpacked it
    image.lay()
    importing.refresh_randomness()
    words = command.words(told["argv"])
    command.run(command.script_of(words[0]), words, command.door())


def _say_again(pipe: int) -> None:
    """What it said while it was imported, each task of its own would say."""
    sys.stdout.flush(), sys.stderr.flush()
    with contextlib.suppress(OSError), open("/proc/self/fd/1", "rb") as file:
        while data := file.read(1 << 16):
            os.write(pipe, data)


def _seen(folder: str) -> dict[str, tuple[int, int, int]]:
    """Of each file: what tells whether it was changed. Nobody but root sets the time of a file's own change."""
    found = {}
    for place, _, files in os.walk(folder):
        for name in (".", *files):
            with contextlib.suppress(OSError):
                path = os.path.join(place, name)
                seen = os.lstat(path)
                found[path] = (seen.st_ino, seen.st_ctime_ns, seen.st_size)
    return found
