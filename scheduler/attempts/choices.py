"""What an executor chooses among queued attempts: the port between claiming and packing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from scheduler.attempts.outcomes import Outcome


class Queued(NamedTuple):
    pk: int
    resources: str  # TaskExecution.resources as text
    created_at: datetime
    reason: str  # what it says so far
    task: int | None = None  # key of the task


@dataclass
class Choice:
    """What becomes of the queued attempts that were looked at."""

    fitting: list[int] = field(default_factory=list)  # in the order of the queue
    waiting: dict[str, list[int]] = field(default_factory=dict)  # what for, in words
    refused: list[tuple[int, Outcome]] = field(default_factory=list)  # they can never run here
    unsaid: set[int] = field(default_factory=set)  # of the waiting: those whose row does not say so yet
    shapes: set[str] = field(default_factory=set)  # the resources that those that wait ask for


class Packing(Protocol):
    """One look at a queue. `choice` grows with every call of `sort`."""

    choice: Choice

    def sort(self, queued: Iterable[Queued]) -> None: ...

    def has_room(self) -> bool:
        """Whether something small may fit still."""
