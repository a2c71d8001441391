"""The warm processes, seen from the executor: one base zygote, and specialised clones that hold a user's code."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from artifacts.task_users import Identity
from scheduler.executors.local import births, memory
from scheduler.executors.local.blocks import Gathering, Order
from scheduler.executors.local.rundir import Process, is_run_by
from scheduler.executors.local.untold import AGAIN_SECONDS, Untold
from scheduler.executors.local.warm import Zygote
from scheduler.executors.local.wires import Peer, Wires
from scheduler.executors.local.workers import Workers
from scheduler.executors.vital import vital

logger = logging.getLogger(__name__)

IMPORT_SECONDS = 60  # a module that takes longer to import is left to each task process
IDLE_SECONDS = 1800


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
        needed: Callable[[], bool] | None = None,
        gathering: Gathering | None = None,
    ) -> None:
        """`group`: that all users of tasks are in, where they are others than this process's. `needed`: asked with each
        tick until it says so; only then, or with the first run, is there a base zygote. None: from the start.
        """
        self.on_message, self.on_lost = on_message, on_lost
        self.home, self.python, self.group, self.warm_limit = home, python, group, warm_limit
        self.base: Zygote | None = None
        self.clones: dict[str, Zygote] = {}
        self._cold: set[tuple[str, str]] = set()  # (key, module) that a zygote could not import: tasks do it themselves
        self._popen: subprocess.Popen[bytes] | None = None
        self._untold = Untold()
        self._lock = threading.RLock()
        self._wires = Wires(self._take, self._gone)
        self._workers = Workers(self._wires, self._untold, self._lock, on_message, on_lost)
        self._stopped = False
        self._needed = needed
        self.gathering = gathering or Gathering()
        self._started_at = float("-inf")  # monotonic

    def start(self) -> None:
        if self._needed is None:
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
        kind: str = "",
        user: Identity | None = None,
    ) -> None:
        """Have a process run the directory's attempt, forked from the clone that holds its module if one can. `kind`:
        what those that take about as long have in common.
        """
        with self._lock:
            if not key or code is None or not module or (key, module) in self._cold:
                self._hand_over(self._base(), run, user)
                return
            zygote = self.clones.get(key) or self._clone(key, code, env, user)
            zygote.used_at = time.monotonic()
            order = Order(run, kind)
            if module in zygote.modules:
                self._dispatch(zygote, order, reuse=reuse)
            elif module in zygote.waiting:
                zygote.waiting[module].append((order, reuse, user))
            else:
                zygote.waiting[module] = [(order, reuse, user)]
                zygote.asked_at = time.monotonic()
                self._wires.send(zygote, {"do": "import", "module": module})

    def are_quick(self, key: str, module: str, kind: str) -> bool:
        """Whether those of a kind, which may share processes, are run several in a row by now."""
        zygote = self.clones.get(key)
        return zygote is not None and module in zygote.modules and zygote.pace.is_quick(kind)

    def tick(self) -> None:
        """Restart what died, give up on imports without end, retire clones nobody uses."""
        with self._lock:
            for zygote in self._all():
                try:
                    self._look_after(zygote, time.monotonic())
                except OSError as error:
                    logger.warning("a zygote could not be looked after, will try again: %s", error)
        if self._needed is not None and self._needed():
            self._needed = None
        if self._needed is None:
            with self._lock:
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
            self._workers.look_after(zygote, now)
            self._workers.retire(zygote, now)

    def codes(self) -> set[Path]:
        """The directories that warm processes work in."""
        with self._lock:
            return {zygote.code for zygote in self.clones.values() if zygote.code is not None}

    def stop(self) -> None:
        """Close the sockets: zygotes exit, task processes do not."""
        with self._lock:
            self._stopped = self._workers.stopped = True
            for zygote in self._all():
                self._forget(zygote)
        if self._popen is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(2)

    # --- zygotes come and go ------------------------------------------------------------------------------------------

    def _all(self) -> list[Zygote]:
        return [zygote for zygote in (self.base, *self.clones.values()) if zygote is not None]

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
        with theirs:
            self._popen = births.born(self.python, self.home, self.group, theirs)
        self.base = Zygote(ours)
        self._wires.watch(self.base)
        return self.base

    def _clone(self, key: str, code: Path, env: Mapping[str, str], user: Identity | None) -> Zygote:
        if len(self.clones) >= self.warm_limit:
            idle = [zygote for zygote in self.clones.values() if not zygote.runs and not zygote.waiting]
            for zygote in sorted(idle, key=lambda zygote: zygote.used_at)[: len(self.clones) - self.warm_limit + 1]:
                self._forget(zygote)
        base = self._base()  # with it the folder that has one for each user
        ours, theirs = socket.socketpair()
        with theirs:
            order = births.clone_order(code, env, user, self.home)
            self._wires.send(base, order, fd=theirs.fileno())
        self.clones[key] = Zygote(ours, key, code, user)
        self._wires.watch(self.clones[key])
        return self.clones[key]

    def _lose(self, zygote: Zygote) -> None:
        """The zygote is dead. Runs that waited go to another, runs handed over may live or not: on_lost looks."""
        if zygote is not self.base and self.clones.get(zygote.key) is not zygote:
            return
        if zygote.process is not None:  # it was up, so what it was importing killed it or got it killed
            self._cold |= {(zygote.key, module) for module in zygote.waiting}
        if not self._stopped:
            logger.warning("a zygote died (%s); running tasks go on", zygote.key or "base")
        self._forget(zygote)
        lost = [*zygote.runs, *(order.run for orders in zygote.waiting.values() for order, *_ in orders)]
        zygote.runs.clear()
        if lost and not self._stopped:
            self._tell_lost(lost)

    def _tell_lost(self, runs: list[Path]) -> None:
        self._untold.tell(lambda: self.on_lost(runs))

    def _forget(self, zygote: Zygote) -> None:
        self._wires.close(zygote)
        self._workers.drop_all(zygote)
        if zygote is self.base:
            self.base = None
        else:
            self.clones.pop(zygote.key, None)

    # --- runs are handed over -----------------------------------------------------------------------------------------

    def _dispatch(self, zygote: Zygote, order: Order, *, reuse: bool) -> None:
        """To a worker, or else to a new fork; with others, if others come along that may share its process."""
        if reuse and self.gathering.add(zygote, order, partial(self._deal_out, zygote)):
            zygote.runs.add(order.run)
        elif not self._workers.dispatch(zygote, order, reuse=reuse):
            self._hand_over(zygote, order.run)

    def _deal_out(self, zygote: Zygote, orders: list[Order]) -> None:
        with self._lock:
            known = [order for order in orders if order.run in zygote.runs]  # else it died, and they were told lost
            try:
                self._workers.deal_out(zygote, known)
            except OSError as error:
                logger.warning("some attempts could not be handed over: %s", error)
                waiting = {order.run for worker in zygote.workers for order in worker.orders}
                self._tell_lost([order.run for order in known if order.run not in waiting])

    def _hand_over(self, zygote: Zygote, run: Path, user: Identity | None = None) -> None:
        """`user`: for the base zygote; a clone is that user already."""
        zygote.runs.add(run)
        own = {"user": [user.uid, user.gid, list(user.groups)]} if user is not None and not zygote.key else {}
        self._wires.send(zygote, {"do": "run", "dir": str(run), **own})

    def _imported(self, zygote: Zygote, module: str, problem: str) -> None:
        if problem:
            logger.info("module %s is not kept warm: %s", module, problem)
            self._cold.add((zygote.key, module))
        else:
            zygote.modules.add(module)
        for order, reuse, user in zygote.waiting.pop(module, []):
            try:
                if problem:
                    self._hand_over(self._base(), order.run, user)
                else:
                    self._dispatch(zygote, order, reuse=reuse)
            except OSError as error:
                logger.warning("%s could not be handed over: %s", order.run.name, error)
                self._tell_lost([order.run])

    # --- what is said -------------------------------------------------------------------------------------------------

    def _read_forever(self) -> None:
        while not self._stopped:
            self._wires.read(timeout=AGAIN_SECONDS if self._untold else 1.0)
            self._untold.again()

    def _gone(self, peer: Peer) -> None:
        with self._lock:
            self._lose(peer) if isinstance(peer, Zygote) else self._workers.drop(peer)

    def _take(self, peer: Peer, message: dict[str, Any]) -> None:
        if not isinstance(peer, Zygote):
            self._workers.take(peer, message)
        elif self._credible(peer, message):
            self._heard(peer, message)
        elif message["is"] != "ended":  # an end that is known already is told again when the process is collected
            logger.warning("a zygote says what cannot be, so it is not heard: %s", message)

    def _heard(self, zygote: Zygote, message: dict[str, Any]) -> None:
        match message["is"]:
            case "ready":
                zygote.process = Process(message["pid"], message["born"])
            case "imported":
                with self._lock:
                    self._imported(zygote, message["module"], message["problem"])
            case "forked":
                self._workers.forked(message)
            case "gone":
                self._workers.gone(message)
            case "ended":
                zygote.runs.discard(Path(message["dir"]))
                self._untold.tell(lambda: self.on_message(message))
                self._workers.keep_one_ready(zygote)
            case _:
                self._untold.tell(lambda: self.on_message(message))

    def _credible(self, zygote: Zygote, message: Mapping[str, Any]) -> bool:
        """A clone runs a project's code, and may say anything: of other attempts and processes it is not believed."""
        if zygote.user is None:
            return True
        if "id" in message and not self._workers.is_of(message["id"], zygote):
            return False
        if "dir" in message and Path(message["dir"]) not in zygote.runs:
            return bool(message["is"] == "ended" and not Path(message["dir"]).exists())
        if "pid" not in message:
            return True
        return is_run_by(int(message["pid"]), zygote.user.uid) or not memory.exists(int(message["pid"]))  # ended by now
