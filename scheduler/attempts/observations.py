"""What an executor may say of an attempt. It says what it saw; what that means for the attempt is decided by
scheduler.attempts.reports, by compare-and-set: what is late or said twice changes nothing.

Accepted     the place has taken it over; the handle finds it there (pod name, process)
Waiting      it does not run yet, and this is why
Running      its program runs, since when
Progress     it goes on: something more is known of it
Used         what its processes use just now; lost ones are missed by nobody
Replicas     what each of the processes does that it is made of, where it is a job of several
Ended        it is over, and how; told once, and nothing after it

Only Running and Ended are needed; an end may come without a start. All moments are aware of their time zone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from scheduler.attempts.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Accepted:
    attempt_id: int
    handle: str  # at most 255 letters
    at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """`code`: a word that does not change while the reason is the same (`Unschedulable`, `ImagePullBackOff`);
    `message`: in the place's own words. `short`: of something that others hold and will give back, a node or a quota.
    """

    attempt_id: int
    code: str
    message: str
    since: datetime
    short: bool = False
    handle: str = ""  # where it is known

    @property
    def reason(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


@dataclass(frozen=True, slots=True)
class Running:
    attempt_id: int
    handle: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """Of an attempt that has not ended. Empty: nothing new of that."""

    attempt_id: int
    at: datetime
    message: str = ""
    deck_uri: str = ""
    log_uri: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    attempt_id: int
    outcome: Outcome
    at: datetime
    started_at: datetime | None = None
    on_recorded: Callable[[], None] | None = None  # called after the end is committed: what is kept till then may go
    handle: str = ""  # where nobody was told it before


@dataclass(frozen=True, slots=True)
class Used:
    """What its processes use at a moment, `after` so many seconds. `cpu`: cores since the sample before; `cpu_seconds`:
    altogether; `memory`: bytes; `gpu`: devices busy, None where it has none or nobody can say.
    """

    attempt_id: int
    after: float
    cpu: float
    memory: int
    cpu_seconds: float
    gpu: float | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """One of several processes of an attempt. `name`: its role and number, `worker-1`; `state`: waiting, running,
    succeeded, failed, or stopped (from outside, for it was not needed any more); `reason`: why, in the place's words.
    """

    name: str
    role: str
    index: int
    pod: str = ""
    node: str = ""
    state: str = "waiting"
    reason: str = ""
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    restarts: int = 0
    log_uri: str = ""


@dataclass(frozen=True, slots=True)
class Replicas:
    """All that there are, as they are now: the newest counts."""

    attempt_id: int
    at: datetime
    replicas: tuple[Replica, ...] = ()


Observation: TypeAlias = Accepted | Waiting | Running | Progress | Used | Replicas | Ended
