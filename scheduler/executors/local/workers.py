"""Workers: processes that zygotes fork ahead, for one attempt or for several after one another."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from scheduler.executors.local import blocks, machine
from scheduler.executors.local.blocks import Order
from scheduler.executors.local.rundir import LATEST, MOST_STATUS, Process, RunDirectory
from scheduler.executors.local.untold import Untold
from scheduler.executors.local.warm import Worker, Zygote
from scheduler.executors.local.wires import Wires
from scheduler.executors.local.zygote.child import DUPLICATE

logger = logging.getLogger(__name__)

IDLE_SECONDS = 30
SLOW_SECONDS = 0.25  # since one with several tasks was last heard of


TIMES = ("seconds", "waited", "until")  # how long it took, that it waited for a processor meanwhile, since the epoch


def _is_time(said: object) -> bool:
    return isinstance(said, int | float) and 0 <= said < LATEST


def _believed(worker: Worker, message: Mapping[str, Any]) -> dict[str, Any]:
    """What counts of an end that a task's process, which can say what it likes, or its directory tells of."""
    status = message["status"]
    if not isinstance(status, int) or abs(status) >= MOST_STATUS:
        raise ValueError(f"{status!r} is no exit code")
    told = {"is": "ended", "dir": str(message["dir"]), "status": status, "full": bool(message.get("full"))}
    if all(_is_time(message.get(name)) for name in TIMES):
        told |= {name: message[name] for name in TIMES}
    return told if worker.process is None else told | asdict(worker.process)


def _end_by_files(run: Path) -> dict[str, Any] | None:
    """As the process says it, of one that has not said it yet; None: it has not ended."""
    directory = RunDirectory(run)
    if (status := directory.result()) is None:
        return None
    since, until = directory.started_at() or 0.0, directory.ended_at() or 0.0
    return {"is": "ended", "dir": str(run), "status": status, "seconds": until - since, "waited": 0.0, "until": until}


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

    def dispatch(self, zygote: Zygote, order: Order, *, reuse: bool) -> bool:
        """To a worker if one is ready, or if this run and later ones may share one; else False."""
        worker = zygote.idle.pop() if zygote.idle else None
        if worker is None and reuse:
            worker = self._new(zygote)
        if worker is None:
            return False
        self._give(worker, [order], last=not reuse)
        return True

    def deal_out(self, zygote: Zygote, orders: Sequence[Order]) -> None:
        """Of attempts that may share processes: those whose like were quick go to few, behind others that were."""
        quick = [order for order in orders if zygote.pace.is_quick(order.kind)]
        singly = [[order] for order in orders if order not in quick]
        rows = [worker for worker in zygote.workers if self._takes_more(worker)]
        places = machine.processors() - sum(1 for worker in zygote.workers if worker.orders)
        given = blocks.shares(len(quick), [len(worker.orders) for worker in rows], places)
        ends = list(itertools.accumulate(given))
        shared = [quick[end - count : end] for count, end in zip(given, ends, strict=True)]
        for worker, share in zip(rows, shared, strict=False):
            if share:
                self._give(worker, share, last=False)
        for share in [*filter(None, shared[len(rows) :]), *singly]:
            self._give(zygote.idle.pop() if zygote.idle else self._new(zygote), share, last=False)

    def _takes_more(self, worker: Worker) -> bool:
        """Whether it is at attempts that all should be quick, and so far are."""
        if not worker.orders or worker.last or worker.before:
            return False
        soon = time.monotonic() - worker.moved_at < SLOW_SECONDS
        return soon and all(worker.zygote.pace.is_quick(order.kind) for order in worker.orders)

    def _give(self, worker: Worker, orders: list[Order], *, last: bool) -> None:
        """Behind those that it has. Of one among several it is told that it runs when it does so for a while."""
        worker.zygote.runs.update(order.run for order in orders)
        if not worker.orders:
            worker.moved_at, worker.in_a_row, worker.shown = time.monotonic(), False, None
        worker.orders, worker.last = [*worker.orders, *orders], last
        worker.in_a_row = worker.in_a_row or len(worker.orders) > 1
        told = [{"dir": str(order.run), "last": last} for order in orders]
        with contextlib.suppress(OSError):  # it died; its zygote says so
            worker.sock.sendall(b"".join(json.dumps(one).encode() + b"\n" for one in told))
        if not worker.in_a_row:
            self._tell_started(worker)

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
            if zygote.key and quiet and zygote.modules and not zygote.retired and not self.stopped:
                with contextlib.suppress(OSError):  # only to be faster
                    self._new(zygote)

    def look_after(self, zygote: Zygote, now: float) -> None:
        """One that is at a task of several for a while: others before it may have ended, those behind it wait."""
        for worker in list(self.numbered.values()):  # also one that is not heard any more
            if worker.zygote is zygote and worker.orders and worker.in_a_row and now - worker.moved_at > SLOW_SECONDS:
                self._look_at(worker)

    def _look_at(self, worker: Worker) -> None:
        """OSError for want of descriptors: what it has left stays with it, until the next look."""
        while worker.orders and (found := _end_by_files(worker.orders[0].run)) is not None:
            worker.before.add(worker.orders[0].run)
            self._ended(worker, found)
        if not worker.orders:
            return
        first = worker.orders[0]
        is_at_it = RunDirectory(first.run).process() is not None
        if worker.shown is not first:
            worker.zygote.pace.note(first.kind, SLOW_SECONDS)
        for order in worker.orders[1:] if is_at_it else list(worker.orders):
            self.dispatch(worker.zygote, order, reuse=True)
            worker.orders.remove(order)
            worker.before.add(order.run)
        self._tell_started(worker)

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

    def drop_idle(self, zygote: Zygote) -> None:
        for worker in [one for one in zygote.workers if not one.orders and not one.before]:
            self.drop(worker)

    def drop_all(self, zygote: Zygote) -> None:
        self.numbered = {number: one for number, one in self.numbered.items() if one.zygote is not zygote}
        for worker in list(zygote.workers):
            self.drop(worker)

    def _tell_started(self, worker: Worker) -> None:
        """That it is at the first of its orders: once of each."""
        if worker.process is not None and worker.orders and worker.shown is not worker.orders[0]:
            worker.shown = worker.orders[0]
            started = {"is": "started", "dir": str(worker.orders[0].run), **asdict(worker.process)}
            self.untold.tell(lambda: self.tell(started))

    # --- what is said -------------------------------------------------------------------------------------------------

    def take(self, worker: Worker, message: dict[str, Any]) -> None:
        """ "idle" when it is ready for its first run, "ended" after each."""
        with self._lock:
            if message["is"] != "ended":
                self._rest(worker)
            elif worker.orders and message["dir"] == str(worker.orders[0].run):
                self._ended(worker, message)
            elif Path(message["dir"]) in worker.before:
                told = _believed(worker, message)
                worker.before.remove(Path(message["dir"]))
                self._rest(worker)
                if told["status"] != DUPLICATE:  # else another process runs it, or has run it
                    self.untold.tell(lambda: self.tell(told))
            else:
                logger.warning("a task process speaks of an attempt that is not its own: %s", message["dir"])
        if message["is"] == "ended":
            self.keep_one_ready(worker.zygote)

    def _ended(self, worker: Worker, message: dict[str, Any]) -> None:
        """The first of its orders."""
        told = _believed(worker, message)
        order = worker.orders.pop(0)
        worker.zygote.runs.discard(order.run)
        worker.moved_at = time.monotonic()
        if "seconds" in told:
            worker.zygote.pace.note(order.kind, told["seconds"] - told["waited"])
        self._rest(worker)
        self.untold.tell(lambda: self.tell(told))

    def _rest(self, worker: Worker) -> None:
        """If it has nothing to do, and is not at what was taken back from it either."""
        zygote = worker.zygote
        if worker.orders or worker.before or worker.last or worker not in zygote.workers or worker in zygote.idle:
            return
        if zygote.retired:
            self.drop(worker)
            return
        worker.rested_at = time.monotonic()
        zygote.idle.append(worker)

    def forked(self, message: Mapping[str, Any]) -> None:
        """Said by its zygote: it has a process."""
        with self._lock:
            worker = self.numbered.get(message["id"])
            if worker is not None:
                worker.process = Process(message["pid"], message["born"])
                if not worker.in_a_row:
                    self._tell_started(worker)

    def gone(self, message: dict[str, Any]) -> None:
        """Said by its zygote: its process ended, or was not forked at all."""
        with self._lock:
            worker = self.numbered.pop(message["id"], None)
            if worker is None:
                return
            runs = [order.run for order in worker.orders]
            worker.zygote.runs.difference_update(runs)
            self.drop(worker)
        for run in [*runs, *worker.before]:
            self.untold.tell(partial(self._run_gone, run, worker, message))

    def _run_gone(self, run: Path, worker: Worker, message: dict[str, Any]) -> None:
        if worker.in_a_row and (found := _end_by_files(run)) is not None:  # ended before, and not told any more
            self.tell(_believed(worker, found))
        elif worker.process is not None and RunDirectory(run).process() == worker.process:
            self.tell({**message, "is": "ended", "dir": str(run)})
        elif run not in worker.before:  # it was dead before the run reached it, or another process runs it
            self.tell_lost([run])

    def is_of(self, number: int, zygote: Zygote) -> bool:
        """Whether the worker of that number, if there is one, is the zygote's."""
        return getattr(self.numbered.get(number), "zygote", zygote) is zygote
