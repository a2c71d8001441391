"""What is remembered of an attempt while it is on a cluster. Not its pod: thousands of them would fill the memory."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from scheduler.attempts.judge import Showing
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.jobs.registry import KINDS
from scheduler.executors.kubernetes.packed import Packed
from scheduler.executors.kubernetes.wait import Wait

if TYPE_CHECKING:
    from scheduler.executors.kubernetes.form import Form, Log

OVERDUE_SECONDS = 5.0  # after its timeout, a task that its node did not end is ended


class Stage(enum.Enum):
    TO_MAKE = "to make"  # in turn to be made
    POOLED = "pooled"  # it waits for, or runs in, a pod that stays (reuse.pools)
    MADE = "made"  # its pod is there, and has not ended
    JUDGED = "judged"  # its pod has ended, and somebody finds out how
    OVER = "over"  # its end was told; its pod may be there still


ACTIVE = frozenset({Stage.TO_MAKE, Stage.POOLED, Stage.MADE})


@dataclass(slots=True)
class Held:
    """Changed under the board's lock only. One of twenty thousand: a field more is a megabyte more."""

    id: int  # of the attempt
    packed: Packed
    namespace: str
    name: str  # of its pod, or of its job
    form: Form = field(kw_only=True, repr=False)
    pool: str = field(default="", kw_only=True)  # key of the one whose pods it shares
    log_uri: str = ""
    given: str = ""  # the handle that an earlier process had written down; empty: none had
    timeout: float = 0  # seconds that its container may run; 0: any
    job: str = ""  # its task type, where it is a job of an operator; empty: it is one pod
    whole: bool = False  # whether all of the pod has to end: a raw container's outputs are kept after it
    adopted: bool = False  # an earlier process may have made the pod
    stage: Stage = Stage.TO_MAKE
    uid: str = ""  # of its pod
    version: int = 0  # of the newest state of its pod that was looked at
    made_at: float = 0.0  # monotonic
    cancelled: str = ""  # why it is to stop; empty: it is not
    abort_sent: bool = False
    runs: bool = False  # that it runs was told
    ends: bool = False  # its main container has ended
    overdue: bool = False  # its timeout is over, and its node did not end it
    timed: bool = False  # its timeout is known to its node
    started_at: datetime | None = None
    wait: Wait | None = None
    wait_since: datetime | None = None  # when `wait` was first seen with its code
    told: str = ""  # the last reason for waiting that was told
    told_at: float = 0.0  # monotonic; when
    look_at: float | None = None  # monotonic; when its pod is to be read again
    failing_since: float | None = None  # monotonic; steps fail since then
    hidden: tuple[str, ...] = field(default=(), repr=False)  # texts that messages must not show
    main: str = ""  # the name of its main container, once that runs or has ended
    log: Log | None = None  # once somebody reads it
    others: tuple[str, ...] = ()  # its containers besides the main one
    to_settle: int = 2  # what the pod has to stay for: its end is to be written down, its log to be kept

    @property
    def assignment(self) -> Assignment:
        """Made anew each time, as the spec is: ask once."""
        return Assignment(self.id, self.spec, Resources(), log_uri=self.log_uri, handle=self.given)

    @property
    def spec(self) -> AttemptSpec:
        return self.packed.spec()

    def masked(self, text: bytes) -> bytes:
        """Of its log."""
        return Showing(hidden=self.hidden).masked(text) if self.hidden else text

    @property
    def handle(self) -> str:
        """Of a job also what it is, as kubectl names it: `team/pytorchjob/name`."""
        what = f"{KINDS[self.job].resources[0].kind.lower()}/" if self.job else ""
        return f"{self.namespace}/{what}{self.name}"

    def failing_for(self) -> float:
        """Seconds since steps of it began to fail: since now, if none did before."""
        now = time.monotonic()
        self.failing_since = self.failing_since or now
        return now - self.failing_since

    @property
    def rests(self) -> bool:
        """Whether time changes nothing about it."""
        timed = self.runs and self.timeout
        return self.wait is None and self.look_at is None and not self.cancelled and not timed


def is_overdue(held: Held) -> bool:
    """Whether its node was to end it some time ago, or is to leave it to us (pods.deadline_to_set)."""
    if not held.timeout or held.started_at is None or not held.runs:
        return False
    return (datetime.now(timezone.utc) - held.started_at).total_seconds() > held.timeout + OVERDUE_SECONDS


def is_missing(held: Held, present: frozenset[str], began: float) -> bool:
    """Whether it should have been in a list that began then, of the objects with these uids, and was not."""
    return held.stage == Stage.MADE and bool(held.uid) and held.uid not in present and held.made_at < began


def is_newer(held: Held, pod: pods.Json) -> bool:
    """Whether no later state of it was looked at: the answer to a call may come after what the watch said since.

    Versions are etcd's revisions, which rise; what is no number is believed.
    """
    told = pods.text(pod, "metadata", "resourceVersion")
    version = int(told) if told.isascii() and told.isdigit() else held.version
    if version < held.version:
        return False
    held.version = version
    return True
