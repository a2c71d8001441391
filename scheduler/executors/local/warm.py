"""What the executor knows of a warm process: a zygote, which forks, or a worker that was forked ahead."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from artifacts.task_users import Identity
from scheduler.executors.local.blocks import Order, Pace
from scheduler.executors.local.rundir import Process


@dataclass(eq=False)
class Worker:
    """A process forked before its attempt is known. It runs one, or one after the other if those allow it."""

    sock: socket.socket
    zygote: Zygote
    process: Process | None = None
    orders: list[Order] = field(default_factory=list)  # handed over and not ended: it is at the first of them
    before: set[Path] = field(default_factory=set)  # of which it has yet to speak: taken back, or found ended
    shown: Order | None = None  # of which it was told that it has started
    moved_at: float = 0.0  # monotonic; when it was last heard of
    last: bool = False  # it exits after this run
    in_a_row: bool = False  # it was handed several at once
    rested_at: float = field(default_factory=time.monotonic)
    unread: bytes = b""


@dataclass(frozen=True)
class Program:
    """What clones of the base zygote are made for."""

    key: str  # attempts with the same one may be forked from one process
    code: Path  # the directory that a clone works in
    env: Mapping[str, str]
    user: Identity | None  # whom a clone runs as: it holds a project's code, which may say anything


@dataclass(eq=False)
class Zygote:
    sock: socket.socket
    program: Program | None = None  # None: the base zygote
    alone: str = ""  # a module that shares no process with others: it imports that one alone
    retired: bool = False  # it gets no attempt any more, and goes when those that it has have ended
    process: Process | None = None  # known once it is ready
    modules: set[str] = field(default_factory=set)  # imported
    waiting: dict[str, list[tuple[Order, bool]]] = field(default_factory=dict)
    # (order, reuse), by the modules to be imported; the first of them is being imported
    runs: set[Path] = field(default_factory=set)  # handed over and not ended
    pace: Pace = field(default_factory=Pace)
    workers: set[Worker] = field(default_factory=set)
    idle: list[Worker] = field(default_factory=list)  # those of them that are ready and have nothing to do
    asked_at: float = 0.0  # when the import under way began
    used_at: float = field(default_factory=time.monotonic)
    unread: bytes = b""

    @property
    def key(self) -> str:
        """Among clones; empty: the base zygote."""
        return place(self.program.key, self.alone) if self.program is not None else ""

    @property
    def user(self) -> Identity | None:
        return self.program.user if self.program is not None else None


def place(program: str, alone: str = "") -> str:
    return f"{program} {alone}" if alone else program
