"""What is remembered of pods that stay, and how their ends read."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.ending import Verdict, verdict
from scheduler.executors.kubernetes.held import Held
from scheduler.executors.kubernetes.observe import Over
from scheduler.executors.kubernetes.reuse.link import Link
from scheduler.executors.kubernetes.reuse.policy import Reuse
from scheduler.executors.kubernetes.reuse.shape import Shape
from scheduler.executors.kubernetes.reuse.sizing import BIRTH_SECONDS
from scheduler.executors.kubernetes.wait import Wait

Json = dict[str, Any]
OWN_FAULT = frozenset({"OOMKilled", "EphemeralStorage"})  # of the only task in a pod


@dataclass(eq=False)
class Member:
    """One pod. Changed under the board's lock only, as all here."""

    name: str
    pool: Pool
    uid: str = ""
    made_at: float = field(default_factory=time.monotonic)
    link: Link | None = None  # once its container runs
    ready: bool = False  # it has told its state
    retiring: bool = False  # it takes no more tasks
    wait: Wait | None = None  # why its container does not run yet
    tasks: dict[int, Held] = field(default_factory=dict)  # by attempt: handed to it, and not ended
    ends: dict[int, Json] = field(default_factory=dict)  # what it said of those whose log is not whole yet
    strangers: dict[int, Json | float] = field(default_factory=dict)  # nobody's yet: their end, or when they began
    idle_since: float = field(default_factory=time.monotonic)

    @property
    def free(self) -> int:
        """How many more tasks it may take now."""
        taken = len(self.tasks) + len(self.strangers)
        return self.pool.policy.at_once - taken if self.ready and not self.retiring else 0

    def is_done(self, now: float) -> bool:
        """Whether it may go: nothing runs in it, and nothing more is to come."""
        if self.tasks or self.strangers or self.ends:
            return False
        wanted = not self.ready and self.pool.waiting
        return self.retiring or (not wanted and now - self.idle_since > self.pool.policy.idle_seconds)

    def is_old(self, now: float) -> bool:
        """Whether it takes no more tasks."""
        return now - self.made_at > self.pool.policy.life_seconds


@dataclass(eq=False)
class Pool:
    key: str
    namespace: str
    policy: Reuse = Reuse()
    shape: Shape | None = None  # None: of pods that an earlier process made; no attempt of it has come yet
    waiting: deque[Held] = field(default_factory=deque)
    members: dict[str, Member] = field(default_factory=dict)  # by name
    making: int = 0  # pods that are being made
    mean: float | None = None  # seconds of a task
    birth: float = BIRTH_SECONDS  # until a pod is ready
    failures: int = 0  # pods that ended before they were ready, since one was
    no_more_until: float = 0.0  # monotonic: the cluster takes no more pods for now
    told_at: float = field(default_factory=time.monotonic)  # when those that wait were last told that all pods are busy
    broken_until: float = 0.0  # monotonic: attempts get pods of their own until then

    @property
    def running(self) -> int:
        return sum(len(member.tasks) for member in self.members.values())

    @property
    def has_ready(self) -> bool:
        return any(member.ready and not member.retiring for member in self.members.values())

    @property
    def taking(self) -> int:
        """Pods that take tasks, or soon will."""
        return self.making + sum(not member.retiring for member in self.members.values())

    def free(self) -> Iterator[Member]:
        """Those with room, the fullest first: the others may go sooner."""
        found = [member for member in self.members.values() if member.free > 0]
        return iter(sorted(found, key=lambda member: member.free))


def end_of(shape: Shape | None, told: Mapping[str, Any]) -> Over:
    """How a task ended, read as the end of a pod of its own."""
    began, at = moment(told.get("began")), moment(told.get("at"))
    if told.get("why") == "closing":
        words = "the pod that it ran in was deleted by somebody other than Causeway"
        return Over(Verdict("DeletedByOthers", words, cut_off=True), began, at)
    pod: Json = json.loads(shape.pod) if shape is not None else {"metadata": {}, "spec": {}}
    main = shape.primary if shape is not None else "main"
    pod["metadata"].setdefault("annotations", {})[names.PRIMARY] = main
    state = {"exitCode": int(told.get("code") or 0), **({"reason": "OOMKilled"} if told.get("why") == "oom" else {})}
    pod["status"] = {"phase": "Running", "containerStatuses": [{"name": main, "state": {"terminated": state}}]}
    return Over(verdict(pod), began, at)


def lost(pod: pods.Json | None, tasks: int) -> Verdict:
    """Of each of so many tasks that were in a pod which is gone, or has ended. Whose fault it was is known of a single
    one only.
    """
    found = verdict(pod or {}, gone=True)
    if found.code in OWN_FAULT and tasks == 1:
        return found
    if found.cut_off and found.code != "PodLost":
        return found
    words = "the pod that it ran in is gone" if pod is None or not found.failed else found.message
    return Verdict("PodLost", words, cut_off=True)


def moment(seconds: Any) -> datetime | None:
    """By the clock of a pod's node."""
    return datetime.fromtimestamp(seconds, timezone.utc) if isinstance(seconds, (int, float)) else None
