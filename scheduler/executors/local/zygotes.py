"""The warm processes, seen from the executor: one base zygote, and specialised clones that hold a user's code."""

from __future__ import annotations

import array
import contextlib
import errno
import itertools
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from artifacts.task_users import Identity
from scheduler.executors.local import memory
from scheduler.executors.local.rundir import Process, RunDirectory, is_run_by
from scheduler.executors.local.untold import AGAIN_SECONDS, Untold
from scheduler.executors.local.warm import Worker, Zygote
from scheduler.executors.local.zygote.child import THREAD_VARIABLES
from scheduler.executors.vital import vital

logger = logging.getLogger(__name__)

ZYGOTE = Path(__file__).parent / "zygote"
IMPORT_SECONDS = 60  # a module that takes longer to import is left to each task process
IDLE_SECONDS = 1800
WORKER_IDLE_SECONDS = 30
# What a task process must not learn from the environment of Causeway's own.
PRIVATE = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "FLYTECTL_CONFIG", "REDISCLI_AUTH")
PRIVATE_PREFIXES = ("CAUSEWAY_", "AWS_", "PG", "SUPERVISOR_")  # tasks get the store's keys as FLYTE_AWS_*
# None of those are secret, and a store may not be reached without them.
SHOWN = frozenset({"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"})
MOST_UNREAD = 1 << 20  # bytes of a message: who sends more is none of our zygotes any more
OURS = Path(__file__).resolve().parents[3]  # Causeway's own packages have common names: `tests`, `scheduler`


class Zygotes:
    """Thread-safe. `on_message` is called from the reading thread for "started" and "ended"; `on_lost` with the run
    directories of a zygote that died, whose processes may or may not exist. What they raise is told again later.

    Where this process is short of something (descriptors, processes), `run` and `tick` raise OSError, and may be called
    again: nothing was handed over then.
    """

    def __init__(
        self,
        on_message: Callable[[dict[str, Any]], None],
        on_lost: Callable[[list[Path]], None],
        *,
        home: Path,
        warm_limit: int = 4,
        python: str = sys.executable,
        group: int | None = None,
    ) -> None:
        """`group`: that all users of tasks are in, where they are others than this process's."""
        self.group = group
        self.on_message, self.on_lost = on_message, on_lost
        self.home = home
        self.python = python
        self.warm_limit = warm_limit
        self.base: Zygote | None = None
        self.clones: dict[str, Zygote] = {}
        self._cold: set[tuple[str, str]] = set()  # (key, module) that a zygote could not import: tasks do it themselves
        self._popen: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._numbered: dict[int, Worker] = {}
        self._untold = Untold()
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._stopped = False
        self._started_at = float("-inf")  # monotonic

    def start(self) -> None:
        with self._lock:
            self._start_base()
        vital(self._read_forever, name="zygotes").start()

    def run(
        self,
        run: Path,
        *,
        key: str = "",
        code: Path | None = None,
        module: str = "",
        env: Mapping[str, str],
        reuse: bool = False,
        user: Identity | None = None,
    ) -> None:
        """Have a process run the directory's attempt, forked from the clone that holds its module if one can."""
        with self._lock:
            if not key or code is None or not module or (key, module) in self._cold:
                self._hand_over(self._base(), run, user)
                return
            zygote = self.clones.get(key) or self._clone(key, code, env, user)
            zygote.used_at = time.monotonic()
            if module in zygote.modules:
                self._dispatch(zygote, run, reuse=reuse)
            elif module in zygote.waiting:
                zygote.waiting[module].append((run, reuse, user))
            else:
                zygote.waiting[module] = [(run, reuse, user)]
                zygote.asked_at = time.monotonic()
                self._send(zygote, {"do": "import", "module": module})

    def tick(self) -> None:
        """Restart what died, give up on imports without end, retire clones nobody uses."""
        with self._lock:
            for zygote in [zygote for zygote in (self.base, *self.clones.values()) if zygote is not None]:
                try:
                    self._look_after(zygote, time.monotonic())
                except OSError as error:
                    logger.warning("a zygote could not be looked after, will try again: %s", error)
            self._base()

    def _look_after(self, zygote: Zygote, now: float) -> None:
        if self._dead(zygote):
            self._lose(zygote)
        elif zygote.waiting and now - zygote.asked_at > IMPORT_SECONDS:
            logger.warning("importing %s takes too long; tasks will do it themselves", list(zygote.waiting))
            if zygote.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(zygote.process.pid, signal.SIGKILL)
            self._lose(zygote)
        elif zygote.key and not zygote.runs and not zygote.waiting and now - zygote.used_at > IDLE_SECONDS:
            self._forget(zygote)
        else:
            resting = [one for one in zygote.idle[1:] if now - one.rested_at > WORKER_IDLE_SECONDS]
            for worker in resting:
                self._drop_worker(worker)

    def codes(self) -> set[Path]:
        """The directories that warm processes work in."""
        with self._lock:
            return {zygote.code for zygote in self.clones.values() if zygote.code is not None}

    def _dispatch(self, zygote: Zygote, run: Path, *, reuse: bool) -> None:
        """To a worker if one is ready, or if this run and later ones may share one; else to a new fork."""
        worker = zygote.idle.pop() if zygote.idle else None
        if worker is None and reuse:
            worker = self._new_worker(zygote)
        if worker is None:
            self._hand_over(zygote, run)
            return
        zygote.runs.add(run)
        worker.run, worker.last = run, not reuse
        with contextlib.suppress(OSError):  # it died; its zygote says so
            worker.sock.sendall(json.dumps({"dir": str(run), "last": worker.last}).encode() + b"\n")
        self._tell_started(worker)

    def _new_worker(self, zygote: Zygote) -> Worker:
        ours, theirs = socket.socketpair()
        number = next(self._numbers)
        with theirs:
            self._send(zygote, {"do": "worker", "id": number}, fd=theirs.fileno())
        worker = self._numbered[number] = Worker(ours, zygote)
        zygote.workers.add(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker

    def _tell_started(self, worker: Worker) -> None:
        if worker.process is not None and worker.run is not None:
            started = {"is": "started", "dir": str(worker.run), "pid": worker.process.pid, "born": worker.process.born}
            self._untold.tell(lambda: self.on_message(started))

    def _take_from_worker(self, worker: Worker, message: dict[str, Any]) -> None:
        """ "idle" when it is ready for its first run, "ended" after each."""
        if message["is"] == "ended" and message["dir"] != str(worker.run):
            logger.warning("a task process speaks of an attempt that is not its own: %s", message["dir"])
            return
        with self._lock:
            zygote = worker.zygote
            if message["is"] == "ended":
                zygote.runs.discard(Path(message["dir"]))
                worker.run = None
            if worker.run is None and not worker.last and worker in zygote.workers:
                worker.rested_at = time.monotonic()
                zygote.idle.append(worker)
        if message["is"] == "ended":
            self._untold.tell(lambda: self.on_message(message))
            self._keep_one_ready(worker.zygote)

    def _keep_one_ready(self, zygote: Zygote) -> None:
        """While nothing else runs, fork a worker ahead: the next attempt starts without waiting for a fork."""
        with self._lock:
            quiet = not zygote.runs and not zygote.waiting and all(worker.last for worker in zygote.workers)
            if zygote.key and quiet and zygote.modules and not self._stopped:
                with contextlib.suppress(OSError):  # only to be faster
                    self._new_worker(zygote)

    def _drop_worker(self, worker: Worker) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(worker.sock)
        worker.sock.close()
        worker.zygote.workers.discard(worker)
        if worker in worker.zygote.idle:
            worker.zygote.idle.remove(worker)

    def stop(self) -> None:
        """Close the sockets: zygotes exit, task processes do not."""
        with self._lock:
            self._stopped = True
            for zygote in [zygote for zygote in (self.base, *self.clones.values()) if zygote is not None]:
                self._forget(zygote)
        if self._popen is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(2)

    def _dead(self, zygote: Zygote) -> bool:
        if zygote is self.base and self._popen is not None and self._popen.poll() is not None:
            return True
        return zygote.process is not None and not zygote.process.alive()

    def _base(self) -> Zygote:
        return self.base or self._start_base()

    def _start_base(self) -> Zygote:
        if time.monotonic() < self._started_at + 1:  # one that dies at once must not be a busy loop
            raise BlockingIOError(errno.EAGAIN, "the process that tasks are forked from has only just died")
        self._started_at = time.monotonic()
        ours, theirs = socket.socketpair()
        env = {name: value for name, value in os.environ.items() if _is_shown(name)}
        env["PYTHONPATH"] = _without_ours(env.get("PYTHONPATH", ""))
        env |= dict.fromkeys(THREAD_VARIABLES, "1")
        temporary = self.home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        let_group_through(temporary, self.group)
        env |= {
            "TMPDIR": str(temporary),
            "PYTHONUNBUFFERED": "1",
            # flytekit then logs as in a container: rich's colours take time quadratic in the length of a message.
            "FLYTE_INTERNAL_EXECUTION_ID": "zygote",
            "FLYTE_SDK_LOGGING_FORMAT": env.get("FLYTE_SDK_LOGGING_FORMAT", "console"),
            "PATH": f"{Path(self.python).parent}:{env.get('PATH', os.defpath)}",
        }
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 - an interpreter that the operator named, our own folder
                [self.python, str(ZYGOTE), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=env,
                cwd=self.home,
                start_new_session=True,
            )
        self.base = Zygote(ours)
        self._watch(self.base)
        return self.base

    def _clone(self, key: str, code: Path, env: Mapping[str, str], user: Identity | None) -> Zygote:
        if len(self.clones) >= self.warm_limit:
            idle = [zygote for zygote in self.clones.values() if not zygote.runs and not zygote.waiting]
            for zygote in sorted(idle, key=lambda zygote: zygote.used_at)[: len(self.clones) - self.warm_limit + 1]:
                self._forget(zygote)
        ours, theirs = socket.socketpair()
        with theirs:
            order = {"do": "clone", "code": str(code), "env": dict(env), **self._as(user)}
            self._send(self._base(), order, fd=theirs.fileno())
        self.clones[key] = Zygote(ours, key, code, user)
        self._watch(self.clones[key])
        return self.clones[key]

    def _as(self, user: Identity | None) -> dict[str, Any]:
        """What makes a clone run as that user, with a folder of the user's for what it leaves while it imports."""
        if user is None:
            return {}
        own = self.home / "tmp" / str(user.uid)
        own.mkdir(mode=0o700, exist_ok=True)
        os.chown(own, user.uid, user.gid)
        return {"user": [user.uid, user.gid, list(user.groups)], "tmp": str(own)}

    def _watch(self, zygote: Zygote) -> None:
        self._selector.register(zygote.sock, selectors.EVENT_READ, zygote)

    def _hand_over(self, zygote: Zygote, run: Path, user: Identity | None = None) -> None:
        """`user`: for the base zygote; a clone is that user already."""
        zygote.runs.add(run)
        own = {"user": [user.uid, user.gid, list(user.groups)]} if user is not None and not zygote.key else {}
        self._send(zygote, {"do": "run", "dir": str(run), **own})

    def _send(self, zygote: Zygote, message: dict[str, Any], fd: int | None = None) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
        with contextlib.suppress(OSError):  # it died; tick() or the reader finds out, and the runs go elsewhere
            data = json.dumps(message).encode() + b"\n"
            sent = zygote.sock.sendmsg([data], rights)
            zygote.sock.sendall(data[sent:])

    def _read_forever(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select(timeout=AGAIN_SECONDS if self._untold else 1.0):
                self._read(key.data)
            self._untold.again()

    def _read(self, peer: Zygote | Worker) -> None:
        try:
            data = peer.sock.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            with self._lock:
                self._lose(peer) if isinstance(peer, Zygote) else self._drop_worker(peer)
            return
        *lines, peer.unread = (peer.unread + data).split(b"\n")
        if len(peer.unread) > MOST_UNREAD:
            logger.warning("a process of tasks says more than it has to say, so it is not heard any more")
            with self._lock:
                self._lose(peer) if isinstance(peer, Zygote) else self._drop_worker(peer)
            return
        for line in lines:
            try:
                message = json.loads(line)
                self._take(peer, message) if isinstance(peer, Zygote) else self._take_from_worker(peer, message)
            except Exception:
                logger.exception("a message could not be taken: %.200r", line)

    def _take(self, zygote: Zygote, message: dict[str, Any]) -> None:
        kind = message["is"]
        if not self._credible(zygote, message):
            logger.warning("a zygote says what cannot be, so it is not heard: %s", message)
            return
        if kind == "ready":
            zygote.process = Process(message["pid"], message["born"])
            return
        if kind == "imported":
            with self._lock:
                self._imported(zygote, message["module"], message["problem"])
            return
        if kind == "forked":
            with self._lock:
                worker = self._numbered.get(message["id"])
                if worker is None:
                    return
                worker.process = Process(message["pid"], message["born"])
                self._tell_started(worker)
            return
        if kind == "gone":
            self._worker_gone(message)
            return
        if kind == "ended":
            zygote.runs.discard(Path(message["dir"]))
        self._untold.tell(lambda: self.on_message(message))
        if kind == "ended":
            self._keep_one_ready(zygote)

    def _credible(self, zygote: Zygote, message: Mapping[str, Any]) -> bool:
        """A clone runs a project's code, and may say anything: of other attempts and processes it is not believed."""
        if zygote.user is None:
            return True
        if "id" in message and getattr(self._numbered.get(message["id"]), "zygote", zygote) is not zygote:
            return False
        if "dir" in message and Path(message["dir"]) not in zygote.runs:
            return bool(message["is"] == "ended" and not Path(message["dir"]).exists())
        if "pid" not in message:
            return True
        return is_run_by(int(message["pid"]), zygote.user.uid) or not memory.exists(int(message["pid"]))  # ended by now

    def _worker_gone(self, message: dict[str, Any]) -> None:
        with self._lock:
            worker = self._numbered.pop(message["id"], None)
            if worker is None:
                return
            run = worker.run
            worker.zygote.runs.discard(run) if run is not None else None
            self._drop_worker(worker)
        if run is not None:
            gone = run
            self._untold.tell(lambda: self._run_gone(gone, worker.process, message))

    def _run_gone(self, run: Path, process: Process | None, message: dict[str, Any]) -> None:
        if RunDirectory(run).process() == process:
            self.on_message({**message, "is": "ended", "dir": str(run)})
        else:  # it was dead before the run reached it, or another process runs it
            self.on_lost([run])

    def _imported(self, zygote: Zygote, module: str, problem: str) -> None:
        if problem:
            logger.info("module %s is not kept warm: %s", module, problem)
            self._cold.add((zygote.key, module))
        else:
            zygote.modules.add(module)
        for run, reuse, user in zygote.waiting.pop(module, []):
            try:
                if problem:
                    self._hand_over(self._base(), run, user)
                else:
                    self._dispatch(zygote, run, reuse=reuse)
            except OSError as error:
                logger.warning("%s could not be handed over: %s", run.name, error)
                self._tell_lost([run])

    def _lose(self, zygote: Zygote) -> None:
        """The zygote is dead. Runs that waited go to another, runs handed over may live or not: on_lost looks."""
        if zygote is not self.base and self.clones.get(zygote.key) is not zygote:
            return
        if zygote.process is not None:  # it was up, so what it was importing killed it or got it killed
            self._cold |= {(zygote.key, module) for module in zygote.waiting}
        if not self._stopped:
            logger.warning("a zygote died (%s); running tasks go on", zygote.key or "base")
        self._forget(zygote)
        lost = [*zygote.runs, *(run for runs in zygote.waiting.values() for run, *_ in runs)]
        zygote.runs.clear()
        if lost and not self._stopped:
            self._tell_lost(lost)

    def _tell_lost(self, runs: list[Path]) -> None:
        self._untold.tell(lambda: self.on_lost(runs))

    def _forget(self, zygote: Zygote) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(zygote.sock)
        zygote.sock.close()
        self._numbered = {number: one for number, one in self._numbered.items() if one.zygote is not zygote}
        for worker in list(zygote.workers):  # an idle one exits when its socket closes, a busy one after its run
            self._drop_worker(worker)
        if zygote is self.base:
            self.base = None
        else:
            self.clones.pop(zygote.key, None)


def let_group_through(directory: Path, group: int | None) -> None:
    """Let the users of tasks pass through a directory of ours, not look into it."""
    if group is not None:
        os.chown(directory, -1, group)
        directory.chmod(0o710)


def _is_shown(variable: str) -> bool:
    """Whether a task may have it from Causeway's own environment."""
    return variable in SHOWN or not (variable in PRIVATE or variable.startswith(PRIVATE_PREFIXES))


def _without_ours(path: str) -> str:
    """The PYTHONPATH that a task sees. The operator's own entries stay."""
    entries = [entry for entry in path.split(os.pathsep) if entry and Path(entry).resolve() != OURS]
    return os.pathsep.join(entries)
