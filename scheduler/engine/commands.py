"""What the shell shall do. It answers with events where an answer is due; all commands are idempotent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn, TypeAlias

from scheduler.engine.state import ROOT


@dataclass(frozen=True, slots=True)
class _ForNode:
    key: str


@dataclass(frozen=True, slots=True)
class Prepare(_ForNode):
    """Resolve and write the node's inputs; answer Prepared or Failed."""


@dataclass(frozen=True, slots=True)
class Submit(_ForNode):
    """Queue an attempt for the executors."""

    attempt: int
    interruptible: bool = False
    index: int = -1
    system_failures: int = 0  # of the node or item so far


@dataclass(frozen=True, slots=True)
class Cancel(_ForNode):
    """Ask the executors to stop the node's attempts (one item of a map if `index` is not -1)."""

    index: int = -1


@dataclass(frozen=True, slots=True)
class OpenGate(_ForNode):
    """Show the gate as waiting; answer Decided if its signal is set already."""

    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class LaunchChild(_ForNode):
    attempt: int


@dataclass(frozen=True, slots=True)
class AbortChild(_ForNode):
    cause: str


@dataclass(frozen=True, slots=True)
class Collect(_ForNode):
    """Bind and write the outputs of the parent; answer Collected or Failed."""


@dataclass(frozen=True, slots=True)
class StopChildren(_ForNode):
    """Load the active nodes below the parent; answer Stopped."""


@dataclass(frozen=True, slots=True)
class FreeSlots(_ForNode):
    """Load up to `count` parked nodes, oldest first; answer Unparked for each."""

    key: str = ROOT
    count: int = 0


Command: TypeAlias = (
    Prepare | Submit | Cancel | OpenGate | LaunchChild | AbortChild | Collect | StopChildren | FreeSlots
)


def unknown(command: NoReturn) -> NoReturn:
    """Never called: a type checker sees that every command was dealt with. (typing.assert_never is of Python 3.11.)"""
    raise TypeError(f"nobody carries out {command!r}")
