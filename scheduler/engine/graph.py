"""The compiled workflow as the engine sees it: scopes of nodes, indexed once per version.

A scope is a workflow body: the nodes under one parent (the execution, a sub-workflow node, a branch, a dynamic task).
What a node does in detail (`target`) and how data flows (bindings) is opaque here and belongs to the shell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum

START_NODE = "start-node"
END_NODE = "end-node"


class Kind(str, Enum):
    """Equal to scheduler.models.NodeKind."""

    START = "start"
    END = "end"
    TASK = "task"
    WORKFLOW = "workflow"
    LAUNCH_PLAN = "launch_plan"
    BRANCH = "branch"
    GATE = "gate"
    ARRAY = "array"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`user`: how often an attempt that the user's code failed may be repeated; `system`: likewise for the platform."""

    user: int = 0
    system: int = 3
    backoff: timedelta = timedelta(0)  # before the first repetition; doubles each time
    interruptible: bool = False


class GateType(str, Enum):
    APPROVE = "approve"
    SIGNAL = "signal"
    SLEEP = "sleep"


@dataclass(frozen=True, slots=True)
class GateSpec:
    type: GateType
    signal_id: str = ""
    duration: timedelta = timedelta(0)  # of a sleep


@dataclass(frozen=True, slots=True)
class Case:
    """One arm of a branch: `condition` (a core.BooleanExpression, None for else) leads to `node_id` or to an error."""

    condition: object | None
    node_id: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class NodeSpec:
    id: str
    kind: Kind
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    timeout: timedelta | None = None
    takes_slot: bool = False  # counts towards max_parallelism: tasks and launch plans
    body: Scope | None = None  # of a sub-workflow or a branch
    cases: tuple[Case, ...] = ()
    gate: GateSpec | None = None
    array: ArraySpec | None = None
    target: object = None


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """A map. `parallelism`: items in flight; 0: all at once; None: items count towards the execution's max_parallelism,
    each of them as much as a task does (flytepropeller's `hybrid`, which flytekit documents).

    Success needs all items, or the given number or share of them.
    """

    node: NodeSpec
    parallelism: int | None = 0
    min_successes: int | None = None
    min_success_ratio: float | None = None
    run_all: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    nodes: Mapping[str, NodeSpec]
    fail_immediately: bool = True
    failure_node: NodeSpec | None = None
    has_markers: bool = True  # start-node and end-node are shown
    source: object = None  # what the shell needs to resolve data
    roots: tuple[str, ...] | None = None  # nodes without upstream; found out unless given

    def __post_init__(self) -> None:
        if self.roots is None:
            roots = tuple(spec.id for spec in self.nodes.values() if not spec.upstream)
            object.__setattr__(self, "roots", roots)

    def spec(self, spec_id: str) -> NodeSpec:
        """KeyError for an id the scope does not have."""
        if self.failure_node is not None and spec_id == self.failure_node.id:
            return self.failure_node
        return MARKERS.get(spec_id) or self.nodes[spec_id]


class Items(Mapping[str, NodeSpec]):
    """The nodes of a map over something else than a task, made when asked for: `n0`, `n1` ..."""

    def __init__(self, item: NodeSpec, size: int) -> None:
        self.item, self.size = item, size

    def __getitem__(self, spec_id: str) -> NodeSpec:
        return replace(self.item, id=spec_id, upstream=(), downstream=())

    def __iter__(self) -> Iterator[str]:
        return (f"n{index}" for index in range(self.size))

    def __len__(self) -> int:
        return self.size


def items_scope(item: NodeSpec, size: int) -> Scope:
    """What lives below a map over launch plans: one node per item."""
    return Scope(nodes=Items(item, size), has_markers=False, roots=())


MARKERS = {
    START_NODE: NodeSpec(id=START_NODE, kind=Kind.START),
    END_NODE: NodeSpec(id=END_NODE, kind=Kind.END),
}
