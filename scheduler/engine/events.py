"""What can happen to a node. Events that come late, twice or out of order change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scheduler.engine.graph import Scope
from scheduler.engine.phases import Phase
from scheduler.engine.state import ROOT, Failure


@dataclass(frozen=True, slots=True)
class Event:
    key: str  # the node it concerns


@dataclass(frozen=True, slots=True)
class Launched(Event):
    """The execution begins."""

    key: str = ROOT


@dataclass(frozen=True, slots=True)
class Prepared(Event):
    """The inputs of the node are written. `inputs` is there only for the kinds that decide by value."""

    inputs: Mapping[str, object] | None = None
    size: int = 0  # items of a map
    hits: tuple[int, ...] = ()  # those of them whose outputs were found in the cache
    cached: bool = False  # the outputs were found in the cache and are in place
    recovered: bool = False  # the outputs of a former execution are in place


@dataclass(frozen=True, slots=True)
class Held(Event):
    """Somebody else computes the outputs just now: ask again at that time, for the node or for one item of a map."""

    until: datetime
    index: int = -1


@dataclass(frozen=True, slots=True)
class Reused(Event):
    """The outputs of an item that was to run are in the cache by now."""

    index: int


@dataclass(frozen=True, slots=True)
class AttemptSucceeded(Event):
    attempt: int
    index: int = -1
    body: Scope | None = None  # the task was dynamic and returned this


@dataclass(frozen=True, slots=True)
class AttemptFailed(Event):
    attempt: int
    failure: Failure
    index: int = -1


@dataclass(frozen=True, slots=True)
class ItemEnded(Event):
    """A node below a map has ended. The engine tells itself."""

    index: int
    ok: bool
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Decided(Event):
    """A gate's signal is set (and, when approved, its outputs are in place). `said`: why it was rejected."""

    approved: bool
    said: str = ""


@dataclass(frozen=True, slots=True)
class ChildEnded(Event):
    """The execution that a launch plan node started has ended."""

    phase: Phase
    attempt: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Collected(Event):
    """The outputs of a parent whose children have all ended are in place."""


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """The shell could not do for the node what a command asked."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Due(Event):
    """The node's wake_at has come."""


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """Answer to StopChildren: the active nodes below the parent, to be aborted."""

    active: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AbortRequested(Event):
    key: str = ROOT
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Unparked(Event):
    """Answer to FreeSlots: a node that waited for a slot."""
