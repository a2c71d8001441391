"""The zygote's loop: one thread, requests in, forks out.

Requests and answers are JSON lines on a Unix socket:

    {"do": "run", "dir": ..., "user"}               -> {"is": "started", "dir", "pid", "born"}
                                                       {"is": "ended", "dir", "status"}
                                                    or {"is": "refused", "dir"}
    {"do": "worker", "id": ...} + fd                -> {"is": "forked", "id", "pid", "born"}
                                                       {"is": "gone", "id", "status"}: alone where it is refused
    {"do": "import", "module": ...}                 -> {"is": "imported", "module", "problem", "alone", "spoilt"}
    {"do": "clone", "code", "env", "user", "tmp"} + fd -> a new zygote answers on the socket that came along

`user` is whom a task or clone runs as (see child.become): the base zygote may be root, and holds no code of a project.

What an import does to this process, all its later forks would have. So where that is nothing that a fork may have, or
nothing that other modules' tasks may (`spoilt`), it forks no more: it follows those that run. A module that may be
forked, but only without others beside it, is `alone`: its zygote imports no more.

A worker is a task process forked ahead of its attempt, which gets its attempts over the socket that came along.
"ended" comes from the task process just before it exits, over a pipe to its zygote or a worker's socket, or from here
when it could not say so; "full" comes with it: whether it could not write for want of room. When the socket closes the
executor is gone: the zygote exits, its task processes go on and leave their result in their run directory.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from typing import Any

from . import child, forkable, importing, plugins, strays

OF_FORKS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)  # whose handlers are ours here, and none in a fork


def main(fd: int) -> None:
    plugins.import_flytekit()
    for module in ("flytekit.bin.entrypoint", "flytekit.core.array_node_map_task", "fsspec.implementations.local"):
        importlib.import_module(module)  # what a zygote is for: every task process finds them imported
    change_flytekit()
    warmup = importlib.import_module(f"{__package__}.warmup")
    try:
        warmup.rehearse(12)
        importing.stop_loops()
    except Exception:  # noqa: BLE001 - a flytekit that works differently inside: tasks start slower, no more
        traceback.print_exc()
    if threads := importing.foreign_threads(patience=5):
        if plugins.are_loaded():
            plugins.begin_again_without()
        sys.exit(f"a zygote must not have threads, and has {threads}")

    Zygote(socket.socket(fileno=fd)).serve()


# What flytekit does otherwise in this process and its forks.
CHANGES = (("whole", "write_whole"), ("images", "know_images"), ("folders", "mean_folders"), ("lean", "become_lean"))


def change_flytekit() -> None:
    for module, change in CHANGES:
        try:
            getattr(importlib.import_module(f"{__package__}.{module}"), change)()
        except Exception:  # noqa: BLE001 - a flytekit that works differently inside, in this: it does that as it does
            traceback.print_exc()


class Zygote:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.children: dict[int, str] = {}  # pid -> run directory; empty for a clone
        self.workers: dict[int, int] = {}  # pid -> the executor's number for it
        self.kept: set[int] = set()  # neither forked here nor left by a task: tasks of a clone that died
        self.imports = 0  # begun
        self.closed = self.spoilt = False  # no import any more; no fork either
        self.inbox = b""
        self.fds: list[int] = []
        # Pipes that task processes say their exit code into -> pid, run directory; and those that said it and live on
        self.told: dict[int, tuple[int, str]] = {}
        self.heard: set[int] = set()

    def serve(self) -> None:
        """Answer requests until the socket closes; never returns."""
        self.pid = os.getpid()
        strays.take_orphans()
        self.kept = strays.children()
        wake_read, wake_write = os.pipe()
        for fd in (wake_read, wake_write):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(wake_write)
        self.private_fds = (wake_read, wake_write)
        self.selector = selector = selectors.DefaultSelector()
        selector.register(self.sock, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        gc.collect()
        gc.freeze()
        gc.disable()
        self.answer({"is": "ready", "pid": os.getpid(), "born": child.born()})
        while True:
            for key, _ in selector.select():
                if key.fileobj is self.sock:
                    self.receive()
                elif key.fd in self.told:
                    self.hear(key.fd)
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_read, 4096)
            self.reap()

    def answer(self, message: dict[str, Any]) -> None:
        try:
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            os._exit(0)

    def receive(self) -> None:
        ancillary_size = socket.CMSG_SPACE(16 * array.array("i").itemsize)
        try:
            data, ancillary, _, _ = self.sock.recvmsg(1 << 16, ancillary_size)
        except ConnectionResetError:
            data, ancillary = b"", []
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self.fds += array.array("i", payload).tolist()
        if not data:
            os._exit(0)
        *lines, self.inbox = (self.inbox + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            getattr(self, f"do_{request.pop('do')}")(**request)

    def hear(self, fd: int) -> None:
        """What a task process says of itself: of no other attempt can it say anything."""
        pid, directory = self.told.pop(fd)
        self.selector.unregister(fd)
        with contextlib.suppress(OSError, ValueError):
            if said := os.read(fd, 16):
                status, full = map(int, said.split())
                self.heard.add(pid)
                self.answer({"is": "ended", "dir": directory, "status": status, "full": bool(full)})
        os.close(fd)

    def close_private(self) -> None:
        """In a fork, before it runs anything of a project: what only this zygote may hold."""
        for fd in (*self.private_fds, *self.told, self.selector.fileno(), self.sock.detach()):
            os.close(fd)

    def do_run(self, dir: str, user: list[Any] | None = None) -> None:
        if self.spoilt:  # it was asked before that was known
            self.answer({"is": "refused", "dir": dir})
            return
        sys.stdout.flush()
        sys.stderr.flush()
        hears, told = os.pipe()
        os.set_blocking(hears, False)  # what a task left running may hold its other end
        pid = os.fork()
        if pid == 0:
            os.close(hears)
            self.close_private()
            child.main(dir, told, user)
        os.close(told)
        self.told[hears] = pid, dir
        self.selector.register(hears, selectors.EVENT_READ)
        self.children[pid] = dir
        self.answer({"is": "started", "dir": dir, "pid": pid, "born": child.born(pid)})

    def do_worker(self, id: int) -> None:
        fd = self.fds.pop(0)
        if self.spoilt:
            os.close(fd)
            self.answer({"is": "gone", "id": id, "status": 0})
            return
        pid = os.fork()
        if pid == 0:
            self.close_private()
            child.work(socket.socket(fileno=fd))
        os.close(fd)
        self.workers[pid] = id
        self.answer({"is": "forked", "id": id, "pid": pid, "born": child.born(pid)})

    def do_import(self, module: str) -> None:
        """Import a user's module, so that forks have it. A failure is only told: the fork that needs it shows it."""
        if self.closed:  # whoever asked finds that out by what is said of the module before
            self.answer({"is": "imported", "module": module, "problem": "its process imports no more"})
            return
        self.imports += 1
        before, handlers = forkable.Before(), self.handlers()
        problem = self.try_import(module)
        found = self.why_not(before, handlers)
        alone = importing.has_seeded()
        self.closed = bool(found) or alone
        self.spoilt = bool(found) or (alone and (self.imports > 1 or bool(problem)))
        gc.collect()
        gc.freeze()
        told = {"problem": problem or found, "alone": alone and not problem and not found, "spoilt": self.spoilt}
        self.answer({"is": "imported", "module": module, **told})

    def try_import(self, module: str) -> str:
        """What went wrong."""
        try:
            with importing.remembering_seeds(), importing.as_a_task():
                importlib.import_module(module)
            importing.know_settings()
            problem = ""
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit included
            problem = f"{type(error).__name__}: {error}"
        if os.getpid() != self.pid:  # a fork of the module's, which is no zygote
            os._exit(1 if problem else 0)
        _stop_loops()
        return problem

    def why_not(self, before: forkable.Before, handlers: list[Any]) -> str:
        """Why forks of this process would not be as if they had imported the module themselves. What is only ours to
        have is put back, whatever else there is: also a process that forks no more has to hear of ends.
        """
        handles_others = self.handlers() != handlers
        if handles_others:
            self.put_back(handlers)
        if self.end_what_it_started():
            return "importing it started processes"
        if threads := importing.lost_threads(patience=0.5):
            return f"importing it started threads, which do not survive a fork: {', '.join(threads)}"
        if importing.has_own_generators():
            return "importing it made a generator of random numbers without a seed, which forks would share"
        if handles_others:
            return "importing it set handlers of signals, which forks would lose"
        return before.why_not()

    def handlers(self) -> list[Any]:
        """Of signals that tell of forks, with what they wake, and the signals that wait."""
        wakes = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakes)
        return [*map(signal.getsignal, OF_FORKS), wakes, signal.pthread_sigmask(signal.SIG_BLOCK, ())]

    def put_back(self, handlers: list[Any]) -> None:
        *of_forks, wakes, waiting = handlers
        for number, handler in zip(OF_FORKS, of_forks, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakes)
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)

    def end_what_it_started(self) -> bool:
        """Whether an import started processes: they end, with those below them. Once this process goes, whoever looks
        after its tasks could not tell them from those.
        """
        ours = self.children.keys() | self.workers.keys()
        # What a task left that has ended meanwhile has its session.
        started = any(strays.session(pid) not in ours for pid in self.unknown_children())
        if started:  # but Python's trackers: each task starts its own, and those of this process go with it
            strays.end(spared=ours | self.kept | strays.trackers())
        return started

    def do_clone(self, code: str, env: dict[str, str], user: list[Any] | None = None, tmp: str = "") -> None:
        fd = self.fds.pop(0)
        pid = os.fork()
        if pid:
            os.close(fd)
            self.children[pid] = ""
            return
        self.close_private()
        child.become(user)
        if user is not None:  # what a module says while it is imported is not for the executor's log
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            os.environ["HOME"] = tmp
            child.use_temporary_directory(tmp)
        self.children.clear()
        os.environ.update(env)
        importlib.import_module(f"{__package__}.images").program_is_from_archive(True)
        sys.path.insert(0, code)
        os.chdir(code)
        Zygote(socket.socket(fileno=fd)).serve()

    def reap(self) -> None:
        """Collect the processes that ended, and end what they left.

        What falls to this process belongs to one that has ended: to an attempt, and then it ends as well, or to a
        clone, and then it is a running task. Children fall to us in the very moment in which their parent can be
        collected: so after the look at them there is another at what ended.
        """
        ended, clone_died = self.collect()
        while ended:
            found = self.unknown_children()
            ended, another_died = self.collect()
            if clone_died or another_died:
                self.kept |= found
            elif names := [name for pid in found if (name := strays.name_of(pid)) and strays.kill(pid)]:
                sys.stderr.write(f"{strays.words(names)}\n")
            clone_died = another_died

    def unknown_children(self) -> set[int]:
        return strays.children() - self.children.keys() - self.workers.keys() - self.kept

    def collect(self) -> tuple[int, bool]:
        """How many ended, and whether a clone was among them. Says how for those that could not do it themselves."""
        ended, clone_died = 0, False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid = 0
            if pid == 0:
                return ended, clone_died
            ended += 1
            self.kept.discard(pid)
            clone_died = clone_died or self.children.get(pid) == ""
            self.tell_end(pid, os.waitstatus_to_exitcode(status))

    def tell_end(self, pid: int, code: int) -> None:
        if pid in self.workers:
            self.answer({"is": "gone", "id": self.workers.pop(pid), "status": code})
        elif directory := self.children.pop(pid, ""):
            owner = child.taken_by(directory)
            if owner != pid and (owner or code == child.DUPLICATE):
                code = child.DUPLICATE  # another process runs it: that one's end counts
            else:
                child.leave_result(directory, code)
            for fd in [fd for fd, (whose, _) in self.told.items() if whose == pid]:
                self.hear(fd)
            if pid in self.heard:  # an end is told once: a second one is not believed
                self.heard.remove(pid)
            else:
                self.answer({"is": "ended", "dir": directory, "status": code})


def _stop_loops() -> None:
    with contextlib.suppress(Exception):  # a flytekit that works differently inside: the module is not kept warm
        importing.stop_loops()
