"""Workers: processes that zygotes fork ahead, for one attempt or for several after one another."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scheduler.executors.local.rundir import Process, RunDirectory
from scheduler.executors.local.untold import Untold
from scheduler.executors.local.warm import Worker, Zygote
from scheduler.executors.local.wires import Wires

logger = logging.getLogger(__name__)

IDLE_SECONDS = 30


class Workers:
    """Its lock is that of the zygotes, whose lists it keeps. `tell` and `tell_lost`: see Zygotes."""

    def __init__(
        self,
        wires: Wires,
        untold: Untold,
        lock: threading.RLock,
        tell: Callable[[dict[str, Any]], None],
        tell_lost: Callable[[list[Path]], None],
    ) -> None:
        self.wires, self.untold, self.tell, self.tell_lost = wires, untold, tell, tell_lost
        self._lock = lock
        self._numbers = itertools.count(1)
        self.numbered: dict[int, Worker] = {}
        self.stopped = False

    def dispatch(self, zygote: Zygote, run: Path, *, reuse: bool) -> bool:
        """To a worker if one is ready, or if this run and later ones may share one; else False."""
        worker = zygote.idle.pop() if zygote.idle else None
        if worker is None and reuse:
            worker = self._new(zygote)
        if worker is None:
            return False
        zygote.runs.add(run)
        worker.run, worker.last = run, not reuse
        with contextlib.suppress(OSError):  # it died; its zygote says so
            worker.sock.sendall(json.dumps({"dir": str(run), "last": worker.last}).encode() + b"\n")
        self._tell_started(worker)
        return True

    def _new(self, zygote: Zygote) -> Worker:
        ours, theirs = socket.socketpair()
        number = next(self._numbers)
        with theirs:
            self.wires.send(zygote, {"do": "worker", "id": number}, fd=theirs.fileno())
        worker = self.numbered[number] = Worker(ours, zygote)
        zygote.workers.add(worker)
        self.wires.watch(worker)
        return worker

    def keep_one_ready(self, zygote: Zygote) -> None:
        """While nothing else runs, fork a worker ahead: the next attempt starts without waiting for a fork."""
        with self._lock:
            quiet = not zygote.runs and not zygote.waiting and all(worker.last for worker in zygote.workers)
            if zygote.key and quiet and zygote.modules and not self.stopped:
                with contextlib.suppress(OSError):  # only to be faster
                    self._new(zygote)

    def retire(self, zygote: Zygote, now: float) -> None:
        """All but one of those that had nothing to do for a while."""
        for worker in [one for one in zygote.idle[1:] if now - one.rested_at > IDLE_SECONDS]:
            self.drop(worker)

    def drop(self, worker: Worker) -> None:
        """An idle one exits when its socket closes, a busy one after its run."""
        self.wires.close(worker)
        worker.zygote.workers.discard(worker)
        if worker in worker.zygote.idle:
            worker.zygote.idle.remove(worker)

    def drop_all(self, zygote: Zygote) -> None:
        self.numbered = {number: one for number, one in self.numbered.items() if one.zygote is not zygote}
        for worker in list(zygote.workers):
            self.drop(worker)

    def _tell_started(self, worker: Worker) -> None:
        if worker.process is not None and worker.run is not None:
            started = {"is": "started", "dir": str(worker.run), "pid": worker.process.pid, "born": worker.process.born}
            self.untold.tell(lambda: self.tell(started))

    # --- what is said -------------------------------------------------------------------------------------------------

    def take(self, worker: Worker, message: dict[str, Any]) -> None:
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
            self.untold.tell(lambda: self.tell(message))
            self.keep_one_ready(worker.zygote)

    def forked(self, message: Mapping[str, Any]) -> None:
        """Said by its zygote: it has a process."""
        with self._lock:
            worker = self.numbered.get(message["id"])
            if worker is not None:
                worker.process = Process(message["pid"], message["born"])
                self._tell_started(worker)

    def gone(self, message: dict[str, Any]) -> None:
        """Said by its zygote: its process ended."""
        with self._lock:
            worker = self.numbered.pop(message["id"], None)
            if worker is None:
                return
            run = worker.run
            worker.zygote.runs.discard(run) if run is not None else None
            self.drop(worker)
        if run is not None:
            gone = run
            self.untold.tell(lambda: self._run_gone(gone, worker.process, message))

    def _run_gone(self, run: Path, process: Process | None, message: dict[str, Any]) -> None:
        if RunDirectory(run).process() == process:
            self.tell({**message, "is": "ended", "dir": str(run)})
        else:  # it was dead before the run reached it, or another process runs it
            self.tell_lost([run])

    def is_of(self, number: int, zygote: Zygote) -> bool:
        """Whether the worker of that number, if there is one, is the zygote's."""
        return getattr(self.numbered.get(number), "zygote", zygote) is zygote
