"""What is remembered of an attempt while it is on a cluster. Not its pod: thousands of them would fill the memory."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timezone

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.waiting import Wait

OVERDUE_SECONDS = 5.0  # after its timeout, a task that its node did not end is ended


class Stage(enum.Enum):
    TO_MAKE = "to make"  # in turn to be made
    MADE = "made"  # its pod is there, and has not ended
    JUDGED = "judged"  # its pod has ended, and somebody finds out how
    OVER = "over"  # its end was told; its pod may be there still


ACTIVE = frozenset({Stage.TO_MAKE, Stage.MADE})


@dataclass
class Held:
    """Changed under the board's lock only."""

    assignment: Assignment
    namespace: str
    name: str  # of its pod
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
    log: LogKeeper | None = None
    others: tuple[str, ...] = ()  # its containers besides the main one
    to_settle: int = 2  # what the pod has to stay for: its end is to be written down, its log to be kept

    @property
    def id(self) -> int:
        return self.assignment.attempt_id

    @property
    def spec(self) -> AttemptSpec:
        return self.assignment.spec

    @property
    def handle(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def whole(self) -> bool:
        """Whether all of the pod has to end: a raw container's outputs are kept after it."""
        return self.spec.data_config is not None


def is_overdue(held: Held) -> bool:
    """Whether its node was to end it some time ago. Of a pod that may take an hour to end (a raw container's) the node
    waits for all of that.
    """
    timeout, started = held.spec.timeout_seconds, held.started_at
    if not timeout or started is None or not held.runs:
        return False
    return (datetime.now(timezone.utc) - started).total_seconds() > timeout + OVERDUE_SECONDS


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
