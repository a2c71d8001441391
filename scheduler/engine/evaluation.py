"""The working copy of one evaluation: nodes are copied when first changed, so that the given state stays as it was."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from scheduler.engine.commands import Command
from scheduler.engine.events import Event
from scheduler.engine.graph import NodeSpec
from scheduler.engine.phases import Phase
from scheduler.engine.state import ROOT, Node, State, child_key


@dataclass(frozen=True, slots=True)
class Move:
    """A phase change, in the order in which it happened."""

    key: str
    before: Phase
    after: Phase
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from the events: the changed nodes as they are now, how they got there, what the shell shall do."""

    nodes: dict[str, Node]
    moves: list[Move]
    commands: list[Command]
    ignored: list[Event]


class Evaluation:
    """Only the modules of this package use it; `evaluate` makes one and returns what it gathered."""

    __slots__ = (
        "base", "commands", "freed", "ignored", "later", "max_parallelism", "moves", "nodes", "now", "ready",
        "submitted",
    )  # fmt: skip

    def __init__(self, state: State, now: datetime) -> None:
        self.base = state.nodes
        self.max_parallelism = state.max_parallelism
        self.now = now
        self.nodes: dict[str, Node] = {}
        self.moves: list[Move] = []
        self.commands: list[Command] = []
        self.ignored: list[Event] = []
        self.ready: deque[Node] = (
            deque()
        )  # every upstream has ended; a queue, so that long chains of skips do not recurse
        self.later: deque[Event] = deque()  # what the engine tells itself
        self.freed = 0  # slots
        self.submitted = 0  # items of maps

    def peek(self, key: str) -> Node | None:
        return self.nodes.get(key) or self.base.get(key)

    def touch(self, key: str) -> Node:
        """The node, to be changed. KeyError if it does not exist."""
        node = self.nodes.get(key)
        if node is None:
            node = self.nodes[key] = self.base[key].copy()
        return node

    def child(self, parent: Node, spec: NodeSpec) -> Node:
        """The child of that spec, to be changed; created when it is told of for the first time."""
        key = child_key(parent, spec.id)
        node = self.nodes.get(key)
        if node is not None:
            return node
        if key in self.base:
            return self.touch(key)
        node = Node(key=key, spec=spec, parent=parent.key, waiting_on=len(spec.upstream))
        self.nodes[key] = node
        return node

    def move(self, node: Node, after: Phase, reason: str = "") -> None:
        self.moves.append(Move(node.key, node.phase, after, reason))
        node.phase = after

    def take_slot(self, node: Node) -> bool:
        """False when max_parallelism is reached; the node is then counted as parked."""
        if not node.spec.takes_slot:
            return True
        root = self.touch(ROOT)
        running = root.memory.slots
        if self.max_parallelism and running >= self.max_parallelism:
            if not node.parked:
                node.parked = True
                root.memory.parked += 1
            return False
        if node.parked:
            node.parked = False
            root.memory.parked -= 1
        node.has_slot = True
        root.memory.slots = running + 1
        return True

    def count_slot(self, node: Node) -> None:
        """The node takes a slot whether or not one is left: a map with a concurrency of its own counts as one."""
        node.has_slot = True
        root = self.touch(ROOT)
        root.memory.slots += 1

    def free_slots(self, node: Node) -> int | None:
        """How many slots the items of a map may have in all; None: any number."""
        if not self.max_parallelism:
            return None
        others = self.touch(ROOT).memory.slots - node.memory.slots
        return max(self.max_parallelism - others, 0)

    def hold_slots(self, node: Node, count: int, *, wants_more: bool = False) -> None:
        """The items of the map hold so many slots now. One that wants more is told when others let theirs go."""
        root = self.touch(ROOT)
        change = count - node.memory.slots
        node.memory.slots = count
        root.memory.slots += change
        self.freed += max(-change, 0)
        if wants_more is not node.parked:
            node.parked = wants_more
            root.memory.parked += 1 if wants_more else -1

    def release_slot(self, node: Node) -> None:
        if node.parent is not None and node.memory.slots:
            self.hold_slots(node, 0)
        if node.has_slot:
            node.has_slot = False
            self.touch(ROOT).memory.slots -= 1
            self.freed += 1
        elif node.parked:
            node.parked = False
            self.touch(ROOT).memory.parked -= 1
            self.freed += 1  # it may have been offered a slot that others can have now
