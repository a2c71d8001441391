"""The port to a place where attempts run.

The daemon (`scheduler.executors.daemon`) claims attempts in the database and writes down what an executor reports; the
executor itself knows no database. A new kind (Kubernetes, connectors) implements `Executor` and is named in
`manage.py executor`; the engine knows it by its name alone, through TaskExecution.executor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scheduler.executors.resources import Resources
from scheduler.phases import AttemptPhase


@dataclass(frozen=True)
class Assignment:
    """A claimed attempt: all an executor needs to know of it."""

    attempt_id: int
    name: str
    command: Mapping[str, Any]  # TaskExecution.command
    resources: Resources
    memory_limit: int = 0  # bytes; 0: none
    log_uri: str = ""


@dataclass(frozen=True)
class Started:
    attempt_id: int
    handle: str
    at: datetime


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended. `error` is a serialised core.ExecutionError."""

    phase: AttemptPhase  # SUCCEEDED, FAILED or ABORTED
    reason: str = ""
    error: bytes | None = None
    retryable: bool = False
    output_uri: str = ""
    deck_uri: str = ""


@dataclass(frozen=True)
class Ended:
    attempt_id: int
    outcome: Outcome
    at: datetime
    started_at: datetime | None = field(default=None)
    on_recorded: Callable[[], None] | None = None  # called after the end is committed: what is kept till then may go


Event = Started | Ended


class Executor(ABC):
    """Methods are called from the daemon's thread only and do not block; `emit` may be called from any thread."""

    name: str
    emit: Callable[[Event], None]

    @abstractmethod
    def capacity(self) -> Resources:
        """What it has in total."""

    @abstractmethod
    def start(self, emit: Callable[[Event], None]) -> None:
        """Make ready. Every attempt submitted or adopted from now on is reported through `emit`."""

    @abstractmethod
    def submit(self, assignment: Assignment) -> None:
        """Run the attempt. Submitting one that runs or has ended already must find it rather than start another."""

    @abstractmethod
    def adopt(self, assignment: Assignment) -> None:
        """Take over an attempt claimed by an earlier process of this instance: find it, or start it if it never was."""

    @abstractmethod
    def settle(self) -> None:
        """Called once, when every attempt of an earlier process was adopted: what else is left of it may go."""

    @abstractmethod
    def cancel(self, attempt_id: int) -> None:
        """Stop the attempt; its end is reported as ABORTED unless it had ended by itself."""

    @abstractmethod
    def tick(self) -> None:
        """Called about twice a second, for time-outs and the like."""

    @abstractmethod
    def stop(self) -> None:
        """Release what this process holds, and leave running attempts running."""
