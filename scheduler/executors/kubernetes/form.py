"""The port of what an attempt is on a cluster: a pod of its own (`single`), a job of an operator (`jobs`), or a task in
a pod that stays (`reuse`).

The executor takes attempts, follows pods, and sees to deadlines and ends; what differs it asks the attempt's form.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from artifacts.store import ObjectStore
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import names, pods

if TYPE_CHECKING:
    from scheduler.executors.kubernetes.board import Board
    from scheduler.executors.kubernetes.cluster import Cluster
    from scheduler.executors.kubernetes.deadlines import Deadlines
    from scheduler.executors.kubernetes.finishing import Finisher
    from scheduler.executors.kubernetes.held import Held
    from scheduler.executors.kubernetes.hopeless import Hopeless
    from scheduler.executors.kubernetes.looks import Looks
    from scheduler.executors.kubernetes.making import Maker
    from scheduler.executors.kubernetes.objects import Objects
    from scheduler.executors.kubernetes.submission import Submission
    from scheduler.executors.kubernetes.watches import Watches


class Log(Protocol):
    """Of one attempt. All but `stop` and `container_ended` wait, and raise what the store raises."""

    def stop(self) -> None: ...

    def container_ended(self) -> None:
        """Nothing more comes of it."""

    def send_grown(self) -> None:
        """So that it can be read meanwhile."""

    def peek(self) -> str:
        """Its end, for a message."""

    def finish(self, others: Sequence[str]) -> None:
        """Keep all of it, with those of the pod's other containers."""

    def discard(self) -> None:
        """What this machine has of it."""


@dataclass(frozen=True)
class Means:
    """What all forms work with."""

    board: Board
    objects: Objects
    cluster: Cluster
    maker: Maker
    watches: Watches
    submission: Submission
    looks: Looks
    deadlines: Deadlines
    hopeless: Hopeless
    finisher: Finisher
    store: ObjectStore
    home: Path  # for logs on their way
    max_log_bytes: int


class Form(ABC):
    """Methods are called under the board's lock and wait for nothing, unless they say otherwise."""

    name_letters: ClassVar[int] = names.POD_NAME_LETTERS
    told_by_warnings: ClassVar[bool] = False  # whether one that waits has nothing new where its pod has no new warning

    @abstractmethod
    def takes(self, assignment: Assignment) -> bool:
        """Whether an attempt is to be of this form, as far as it says itself. Without the lock."""

    def seconds(self, spec: AttemptSpec) -> float:
        """After which one that runs is to end; 0: it does not say. Without the lock."""
        return spec.timeout_seconds or 0

    def begin(self) -> None:
        """Follow what is there. Without the lock."""

    @abstractmethod
    def add(self, held: Held, spec: AttemptSpec) -> None:
        """One that it takes has come: see to it that it is made or, adopted, found. `spec`: what `held` has packed."""

    def made(self, held: Held, found: pods.Json) -> None:
        """The cluster has what it is made of, as it is then. Without the lock."""

    def cancel(self, held: Held) -> None:
        """It is noted that it is to stop; it was begun, or may have been."""

    def on_pod(self, pod: pods.Json, *, gone: bool) -> bool:
        """Whether the pod is one of this form's; then it was seen to. `gone`: and this is its last state."""
        return False

    def listed(self, present: frozenset[str], began: float, namespace: str) -> None:
        """Those are all pods of that namespace (empty: of the cluster) in a list that began then (monotonic)."""

    def restored(self) -> None:
        """The cluster was set back: versions that were seen are not to be compared with those that come."""

    def look(self, held: Held, events: Sequence[pods.Json] | None) -> None:
        """Read it anew. `events`: of its pod, where they are known. Waits for the cluster, without the lock."""

    def settle(self) -> None:
        """All attempts of an earlier process have come. Without the lock."""

    def tick(self) -> None:
        """About twice a second. Without the lock."""

    def send_grown(self) -> None:
        """So that the logs of those that live can be read. Without the lock."""

    def stop(self) -> None:
        """Without the lock."""

    # --- its end (finishing.Finisher): without the lock; all may raise what Api and the store raise -------------------

    def delete(self, held: Held, *, grace: int) -> None:
        """Have it end, with `grace` seconds for its programs; what is gone is fine."""

    def release(self, held: Held) -> None:
        """Its end is stored: what it keeps of others is given back."""

    def forget(self, held: Held) -> None:
        """Nobody asks of it any more."""

    def last_words(self, held: Held) -> None:
        """Tell what is to be told before its end is."""

    def log_of(self, held: Held) -> Log | None:
        """None: it has none, or never began one."""
        return held.log

    def keep_log(self, held: Held) -> None:
        """All of its logs to the store."""
        if (log := self.log_of(held)) is not None:
            log.finish(held.others)
            log.discard()

    def tail(self, held: Held) -> str:
        """The end of the log that tells how it ended."""
        log = self.log_of(held)
        return log.peek() if log is not None else ""
