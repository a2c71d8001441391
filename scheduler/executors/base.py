"""The port to a place where attempts run.

The daemon (`scheduler.executors.daemon`) claims attempts in the database and writes down what an executor observes; the
executor itself knows no database. A new kind implements `Executor`, is named in `scheduler.executors.registry`, and
joins the suite that all of them pass (tests/scheduler/executors/test_contract.py); the engine knows it by its name
alone, through TaskExecution.executor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

from scheduler.attempts.observations import Observation
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import AttemptSpec

Emit: TypeAlias = Callable[[Observation], None]


@dataclass(frozen=True)
class Assignment:
    """A claimed attempt: all an executor needs to know of it."""

    attempt_id: int
    spec: AttemptSpec
    resources: Resources  # what it holds of the place, all its containers together
    memory_limit: int = 0  # bytes; 0: none
    log_uri: str = ""
    handle: str = ""  # as it was observed before, of an attempt to adopt
    task: int | None = None  # key of the task, which all of its attempts have

    @property
    def name(self) -> str:
        return self.spec.identity.name


@dataclass(frozen=True)
class Rows:
    """Attempts that a few processes of a machine run one after the other. One that waits for its turn there holds
    nothing: they hold what the processes do.
    """

    takes: Callable[[int], bool]  # whether attempts of the task with that key are run so, as things are now
    places: int  # processes
    most: int  # attempts that they may have at hand, all together


class Executor(ABC):
    """Methods are called from the daemon's thread only and do not block; `emit` may be called from any thread.

    Of each attempt: Accepted, Waiting, Progress and Used any number of times, Running at most once for each time it is
    submitted or adopted, then Ended once and nothing after it.
    """

    name: str
    cluster: str = ""  # which of several places of this kind
    instance: str = ""  # who holds its attempts, where that is the same on every machine; empty: each process names it
    most: int = 0  # attempts held at once, where the place queues by itself; 0: they are packed into `capacity`
    rows: Rows | None = None  # where small attempts share processes
    emit: Emit

    @abstractmethod
    def capacity(self) -> Resources:
        """What it has in total, to be shown and, on a machine, to be packed into."""

    def kept(self) -> list[dict[str, Any]]:
        """Clusters of Spark, Dask and Ray that stay here for later tasks, as pages show them (local/clusters.py)."""
        return []

    def is_busy(self) -> bool:
        """Whether the machine that it runs on has no processor to spare, as it was with the last tick."""
        return False

    @abstractmethod
    def start(self, emit: Emit) -> None:
        """Make ready. Every attempt submitted or adopted from now on is reported through `emit`."""

    def give_up(self) -> None:  # noqa: B027 - most wait for nothing
        """Called from another thread while `start` may still wait for its turn: then it returns at once."""

    def together(self) -> AbstractContextManager[None]:
        """What is submitted inside may be handed on as one, at the latest at the end."""
        return nullcontext()

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
