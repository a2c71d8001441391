"""One attempt while the connectors' executor has it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timezone

from scheduler.attempts.observations import Accepted, Observation, Progress, Running, Waiting
from scheduler.executors.base import Assignment, Emit


@dataclass
class Held:
    """Used by the event loop alone, except that `assignment` may be read from anywhere."""

    assignment: Assignment
    emit: Emit
    adopted: bool = False
    cancelled: bool = False
    over: bool = False  # its end was told
    runs: bool = False  # that it runs was told
    was_accepted: bool = False
    handle: str = ""
    since: datetime | None = None  # what its time-out counts from
    said: str = ""  # what was last told of it
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def id(self) -> int:
        return self.assignment.attempt_id

    def tell(self, seen: Observation) -> None:
        if not self.over:
            self.emit(seen)

    def accepted(self) -> None:
        """Once, and not of one that has ended when it is first looked at: its end says it all."""
        if not self.was_accepted:
            self.was_accepted = True
            self.tell(Accepted(self.id, self.handle, now()))

    def starts(self, at: datetime) -> None:
        """Once."""
        if not self.runs:
            self.runs, self.said = True, ""
            self.tell(Running(self.id, self.handle, at))

    def says(self, code: str, message: str, *, short: bool = False) -> None:
        """Why it does not go on, or what its connector says; told when it is news."""
        said = f"{code}: {message}" if code else message
        if said == self.said or not said:
            return
        self.said = said
        if not self.runs:
            self.tell(Waiting(self.id, code, message, now(), short, self.handle))
        if self.runs or self.adopted:  # an earlier process may have told that it runs: then it does not wait
            self.tell(Progress(self.id, now(), said))

    async def pause(self, seconds: float, *others: asyncio.Event) -> None:
        """Until then, or until it is cancelled or one of the other events happens."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.wake, *others)]
        try:
            await asyncio.wait(waits, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()


def now() -> datetime:
    return datetime.now(timezone.utc)
