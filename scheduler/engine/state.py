"""What the engine knows of an execution while it evaluates: the nodes that the events concern, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

from scheduler.engine.graph import NodeSpec, Scope
from scheduler.engine.memory import Memory
from scheduler.engine.phases import Phase

MAX_KEY = 140
ROOT = ""  # the key of the execution itself, the parent of the top-level nodes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed. `system`: the platform's fault, else the user's. `recoverable`: a repetition may help."""

    code: str
    message: str
    system: bool = False
    recoverable: bool = False
    uri: str = ""
    node: str = ""  # key of the node where it began


@dataclass(slots=True)
class Node:
    """One node of an execution, or the execution itself (key ROOT). Evaluations copy it before they change it."""

    key: str
    spec: NodeSpec
    parent: str | None
    phase: Phase = Phase.UNDEFINED
    waiting_on: int = 0  # upstream nodes not yet ended
    skip: bool = False  # some upstream node was skipped, or failed
    parked: bool = False  # ready, waiting for a slot of max_parallelism
    has_slot: bool = False
    attempts: int = 0  # started so far
    user_failures: int = 0
    system_failures: int = 0
    body: Scope | None = None  # of a parent: spec.body, or what a dynamic task returned
    open: int = 0  # of a parent: children not yet ended
    closing: Phase | None = None  # of a parent: how it will end once its active children are stopped
    failure: Failure | None = None
    wake_at: datetime | None = None
    memory: Memory = field(default_factory=Memory)  # what its kind remembers

    def copy(self) -> Node:
        """A node that may be changed without this one noticing. (Written out: `copy.copy` takes four times as long.)"""
        return Node(
            self.key,
            self.spec,
            self.parent,
            self.phase,
            self.waiting_on,
            self.skip,
            self.parked,
            self.has_slot,
            self.attempts,
            self.user_failures,
            self.system_failures,
            self.body,
            self.open,
            self.closing,
            self.failure,
            self.wake_at,
            self.memory.copy(),
        )

    @property
    def attempt(self) -> int:
        """Number of the present attempt, from 0."""
        return max(self.attempts - 1, 0)


@dataclass(frozen=True, slots=True)
class State:
    """The touched part of an execution. A key that is absent from `nodes` is a node that has no row yet."""

    nodes: Mapping[str, Node]
    max_parallelism: int = 0  # 0: unlimited

    @property
    def root(self) -> Node:
        return self.nodes[ROOT]


def child_key(parent: Node, spec_id: str) -> str:
    """Flyte's unique node id: `n0` at the top, `<parent>-<attempt of the parent>-n0` below; a digest if long."""
    if not parent.key:
        return spec_id
    key = f"{parent.key}-{parent.attempt}-{spec_id}"
    return key if len(key) <= MAX_KEY else f"f{blake2b(key.encode(), digest_size=10).hexdigest()}-{spec_id[:60]}"
