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
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from artifacts.task_users import Identity
from scheduler.executors.local import births, memory
from scheduler.executors.local.blocks import Gathering, Order
from scheduler.executors.local.fitness import Fitness, KnownFitness
from scheduler.executors.local.rundir import Process, is_run_by
from scheduler.executors.local.untold import AGAIN_SECONDS, Untold
from scheduler.executors.local.warm import Program, Zygote, place
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
        self.retired: list[Zygote] = []  # whose runs are followed to their ends
        self.fitness = KnownFitness()
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
        order = Order(run, kind)
        with self._lock:
            if not key or code is None or not module:
                self._hand_over(self._base(), run, user)
            else:
                self._place(Program(key, code, env, user), module, order, reuse=reuse)

    def _place(self, program: Program, module: str, order: Order, *, reuse: bool) -> None:
        fitness = self.fitness.of(program.key, module)
        if fitness == Fitness.COLD:
            self._hand_over(self._base(), order.run, program.user)
            return
        alone = module if fitness == Fitness.ALONE else ""
        zygote = self.clones.get(place(program.key, alone)) or self._clone(program, alone)
        zygote.used_at = time.monotonic()
        if module in zygote.modules:
            self._dispatch(zygote, order, reuse=reuse)
        elif module in zygote.waiting:
            zygote.waiting[module].append((order, reuse))
        else:
            if not zygote.waiting:
                zygote.asked_at = time.monotonic()
            zygote.waiting[module] = [(order, reuse)]
            self._wires.send(zygote, {"do": "import", "module": module})

    def are_quick(self, key: str, module: str, kind: str) -> bool:
        """Whether those of a kind, which may share processes, are run several in a row by now."""
        found = (self.clones.get(key), self.clones.get(place(key, module)))
        return any(zygote is not None and module in zygote.modules and zygote.pace.is_quick(kind) for zygote in found)

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
            logger.warning("importing %s takes too long; tasks will do it themselves", next(iter(zygote.waiting)))
            if zygote.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(zygote.process.pid, signal.SIGKILL)
            self._lose(zygote)
        elif self._is_unused(zygote) and (zygote.retired or now - zygote.used_at > IDLE_SECONDS):
            self._forget(zygote)
        else:
            self._workers.look_after(zygote, now)
            self._workers.retire(zygote, now)

    def codes(self) -> set[Path]:
        """The directories that warm processes work in."""
        with self._lock:
            return {zygote.program.code for zygote in self._all() if zygote.program is not None}

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
        return [zygote for zygote in (self.base, *self.clones.values(), *self.retired) if zygote is not None]

    @staticmethod
    def _is_unused(zygote: Zygote) -> bool:
        return bool(zygote.key) and not zygote.runs and not zygote.waiting

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

    def _clone(self, program: Program, alone: str) -> Zygote:
        if len(self.clones) >= self.warm_limit:
            unused = sorted(filter(self._is_unused, self.clones.values()), key=lambda zygote: zygote.used_at)
            for zygote in unused[: len(self.clones) - self.warm_limit + 1]:
                self._forget(zygote)
        base = self._base()  # with it the folder that has one for each user
        ours, theirs = socket.socketpair()
        with theirs:
            order = births.clone_order(program.code, program.env, program.user, self.home)
            self._wires.send(base, order, fd=theirs.fileno())
        clone = Zygote(ours, program, alone)
        self.clones[clone.key] = clone
        self._wires.watch(clone)
        return clone

    def _retire(self, zygote: Zygote) -> None:
        """It forks no more: what its module did to it, no other task may have. Its runs are followed, others go to a
        clone without that module, which does not come there.
        """
        if self.clones.get(zygote.key) is zygote:
            del self.clones[zygote.key]
        zygote.retired = True
        self.retired.append(zygote)
        self._workers.drop_idle(zygote)
        self._move_waiting(zygote)
        if not zygote.runs:
            self._forget(zygote)

    def _set_apart(self, zygote: Zygote, module: str) -> None:
        """It goes on for that module, which it has imported before any other."""
        del self.clones[zygote.key]
        zygote.alone = module
        other = self.clones.get(zygote.key)  # of when that was known, and forgotten
        self.clones[zygote.key] = zygote
        if other is not None:
            self._retire(other)

    def _move_waiting(self, zygote: Zygote) -> None:
        waiting, zygote.waiting = zygote.waiting, {}
        for module, orders in waiting.items():
            self._place_again(zygote, module, orders)

    def _place_again(self, zygote: Zygote, module: str, orders: list[tuple[Order, bool]]) -> None:
        for order, reuse in orders:
            with self._told_lost_if_short(order):
                assert zygote.program is not None  # noqa: S101 - the base zygote imports nothing
                self._place(zygote.program, module, order, reuse=reuse)

    def _lose(self, zygote: Zygote) -> None:
        """The zygote is dead. Runs that waited go to another, runs handed over may live or not: on_lost looks."""
        if zygote not in self._all():
            return
        if not self._stopped:
            logger.warning("a zygote died (%s); running tasks go on", zygote.key or "base")
        self._forget(zygote)
        lost = list(zygote.runs)
        zygote.runs.clear()
        if self._stopped:
            return
        if zygote.process is not None and zygote.program is not None and zygote.waiting:
            # It was up, so what it was importing killed it or got it killed.
            self.fitness.note(zygote.program.key, next(iter(zygote.waiting)), Fitness.COLD)
            self._move_waiting(zygote)
        lost += [order.run for orders in zygote.waiting.values() for order, _ in orders]
        if lost:
            self._tell_lost(lost)

    def _tell_lost(self, runs: list[Path]) -> None:
        self._untold.tell(lambda: self.on_lost(runs))

    @contextlib.contextmanager
    def _told_lost_if_short(self, order: Order) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            logger.warning("%s could not be handed over: %s", order.run.name, error)
            self._tell_lost([order.run])

    def _forget(self, zygote: Zygote) -> None:
        self._wires.close(zygote)
        self._workers.drop_all(zygote)
        if zygote is self.base:
            self.base = None
        elif zygote in self.retired:
            self.retired.remove(zygote)
        elif self.clones.get(zygote.key) is zygote:
            del self.clones[zygote.key]

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
            if zygote.retired:
                zygote.runs.difference_update(order.run for order in known)
                self._tell_lost([order.run for order in known])
                return
            try:
                self._workers.deal_out(zygote, known)
            except OSError as error:
                logger.warning("some attempts could not be handed over: %s", error)
                waiting = {order.run for worker in zygote.workers for order in worker.orders}
                lost = [order.run for order in known if order.run not in waiting]
                zygote.runs.difference_update(lost)
                self._tell_lost(lost)

    def _hand_over(self, zygote: Zygote, run: Path, user: Identity | None = None) -> None:
        """`user`: for the base zygote; a clone is that user already."""
        zygote.runs.add(run)
        own = {"user": [user.uid, user.gid, list(user.groups)]} if user is not None and not zygote.key else {}
        self._wires.send(zygote, {"do": "run", "dir": str(run), **own})

    def _imported(self, zygote: Zygote, module: str, problem: str, *, alone: bool, spoilt: bool) -> None:
        """`alone`, `spoilt`: see zygote/server.py."""
        if zygote.program is None or module not in zygote.waiting:  # who waited for it went elsewhere
            return
        orders, alone = zygote.waiting.pop(module), alone and not problem and not zygote.alone
        zygote.asked_at = time.monotonic()  # for the next of them
        if alone:
            self.fitness.note(zygote.program.key, module, Fitness.ALONE)
        elif problem or spoilt:
            logger.info("module %s is not kept warm: %s", module, problem)
            self.fitness.note(zygote.program.key, module, Fitness.COLD)
        else:
            zygote.modules.add(module)
            self._workers.drop_idle(zygote)  # forked before, they would import it themselves
        if spoilt:
            self._retire(zygote)
        elif alone:
            zygote.modules = {module}
            self._set_apart(zygote, module)
        self._place_again(zygote, module, orders)
        if alone and not spoilt:  # after its own: of processes without any there may be one too many
            self._move_waiting(zygote)

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
                    said = {name: bool(message.get(name)) for name in ("alone", "spoilt")}
                    self._imported(zygote, message["module"], message["problem"], **said)
            case "refused":
                with self._lock:
                    zygote.runs.discard(Path(message["dir"]))
                    self._tell_lost([Path(message["dir"])])
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
