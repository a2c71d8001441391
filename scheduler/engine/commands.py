"""What the shell shall do. It answers with events where an answer is due; all commands are idempotent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scheduler.engine.state import ROOT


@dataclass(frozen=True, slots=True)
class Command:
    key: str


@dataclass(frozen=True, slots=True)
class Prepare(Command):
    """Resolve and write the node's inputs; answer Prepared or Failed."""


@dataclass(frozen=True, slots=True)
class Submit(Command):
    """Queue an attempt for the executors."""

    attempt: int
    interruptible: bool = False
    index: int = -1
    system_failures: int = 0  # of the node or item so far


@dataclass(frozen=True, slots=True)
class Cancel(Command):
    """Ask the executors to stop the node's attempts (one item of a map if `index` is not -1)."""

    index: int = -1


@dataclass(frozen=True, slots=True)
class OpenGate(Command):
    """Show the gate as waiting; answer Decided if its signal is set already."""

    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class LaunchChild(Command):
    attempt: int


@dataclass(frozen=True, slots=True)
class AbortChild(Command):
    cause: str


@dataclass(frozen=True, slots=True)
class Collect(Command):
    """Bind and write the outputs of the parent; answer Collected or Failed."""


@dataclass(frozen=True, slots=True)
class StopChildren(Command):
    """Load the active nodes below the parent; answer Stopped."""


@dataclass(frozen=True, slots=True)
class FreeSlots(Command):
    """Load up to `count` parked nodes, oldest first; answer Unparked for each."""

    key: str = ROOT
    count: int = 0
