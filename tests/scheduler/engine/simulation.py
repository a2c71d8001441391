"""Random programs for the engine, a shell without a database to answer its commands, and a naive model of the end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from scheduler.engine import commands as c
from scheduler.engine.evaluate import evaluate
from scheduler.engine.evaluation import Move
from scheduler.engine.events import (
    AbortRequested,
    AttemptFailed,
    AttemptSucceeded,
    ChildEnded,
    Collected,
    Decided,
    Due,
    Event,
    Launched,
    Prepared,
    Stopped,
    Unparked,
)
from scheduler.engine.graph import ArraySpec, Case, GateSpec, GateType, Kind, NodeSpec, RetryPolicy, Scope
from scheduler.engine.phases import ACTIVE, DONE, TERMINAL, Phase
from scheduler.engine.state import ROOT, Failure, Node, State

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
BROKEN = Failure("Broken", "it broke", recoverable=True)
FATAL = Failure("Fatal", "it is broken for good")


@dataclass
class Program:
    """A random workflow and what will happen to each of its leaves."""

    scope: Scope
    failures: dict[str, int] = field(default_factory=dict)  # leaf name -> attempts that fail before one succeeds
    fatal: set[str] = field(default_factory=set)  # leaves that fail for good
    dynamic: dict[str, Scope] = field(default_factory=dict)  # leaves that return a workflow
    max_parallelism: int = 0


def random_program(rng: random.Random, *, fail_after: bool | None = None, failures: bool = True) -> Program:
    program = Program(Scope(nodes={}), max_parallelism=rng.choice([0, 0, 1, 2, 3]))
    names = iter(range(10_000))

    def leaf(spec_id: str, links: dict[str, Any]) -> NodeSpec:
        name = f"leaf{next(names)}"
        kind = rng.choice([Kind.TASK, Kind.TASK, Kind.TASK, Kind.GATE, Kind.ARRAY, Kind.LAUNCH_PLAN])
        policy = RetryPolicy(user=rng.choice([0, 0, 1, 2]), backoff=rng.choice([timedelta(0), timedelta(minutes=1)]))
        if failures and rng.random() < 0.12:
            program.fatal.add(name)
        elif kind in (Kind.TASK, Kind.ARRAY) and policy.user:
            program.failures[name] = rng.randint(0, policy.user)
        if kind is Kind.GATE:
            gate = GateSpec(rng.choice([GateType.APPROVE, GateType.SLEEP]), signal_id=name, duration=timedelta(1))
            if gate.type is GateType.SLEEP:
                program.fatal.discard(name)
            return NodeSpec(id=spec_id, kind=kind, gate=gate, target=name, **links)
        if kind is Kind.ARRAY:
            parallelism = rng.choice([None, 0, 1, 2])
            mapped = rng.choice([Kind.TASK, Kind.TASK, Kind.LAUNCH_PLAN])
            item = NodeSpec(id="item", kind=mapped, target=name, retry=policy, takes_slot=parallelism is None)
            array = ArraySpec(
                item,
                parallelism=parallelism,
                min_successes=rng.choice([None, None, 2]),
                min_success_ratio=rng.choice([None, 0.6]),
                run_all=rng.random() < 0.3,
            )
            return NodeSpec(id=spec_id, kind=kind, array=array, target=name, **links)
        return NodeSpec(id=spec_id, kind=kind, retry=policy, target=name, takes_slot=True, **links)

    def branch(spec_id: str, links: dict[str, Any]) -> NodeSpec:
        arms = {name: leaf(name, {}) for name in ("yes", "no")}
        chosen = rng.choice(sorted(arms))
        body = Scope(nodes=arms, has_markers=False)
        return NodeSpec(id=spec_id, kind=Kind.BRANCH, body=body, cases=(Case(None, chosen),), target=chosen, **links)

    def dynamic(spec_id: str, links: dict[str, Any], depth: int) -> NodeSpec:
        name = f"leaf{next(names)}"
        program.dynamic[name] = scope(depth + 1)
        return NodeSpec(id=spec_id, kind=Kind.TASK, target=name, takes_slot=True, **links)

    def scope(depth: int) -> Scope:
        count = rng.randint(0 if depth else 1, 6)
        upstream = {f"n{i}": tuple(f"n{j}" for j in range(i) if rng.random() < 0.35) for i in range(count)}
        nodes = {}
        for spec_id, sources in upstream.items():
            followers = tuple(other for other, theirs in upstream.items() if spec_id in theirs)
            links: dict[str, Any] = {"upstream": sources, "downstream": followers}
            if depth < 2 and rng.random() < 0.3:
                nodes[spec_id] = NodeSpec(id=spec_id, kind=Kind.WORKFLOW, body=scope(depth + 1), **links)
            elif depth < 2 and rng.random() < 0.15:
                nodes[spec_id] = dynamic(spec_id, links, depth)
            elif rng.random() < 0.15:
                nodes[spec_id] = branch(spec_id, links)
            else:
                nodes[spec_id] = leaf(spec_id, links)
        immediately = rng.random() < 0.5 if fail_after is None else not fail_after
        handler = None
        if rng.random() < 0.2:
            handler = NodeSpec(id="handler", kind=Kind.TASK, target=f"leaf{next(names)}", takes_slot=True)
        return Scope(nodes=nodes, fail_immediately=immediately, failure_node=handler)

    program.scope = scope(0)
    return program


def expected(program: Program, scope: Scope, prefix: str = "") -> tuple[Phase, dict[str, Phase]]:
    """The naive model: how the scope ends, and how each node would if nothing were stopped early."""
    phases: dict[str, Phase] = {}
    for spec in scope.nodes.values():
        key = f"{prefix}{spec.id}"
        if any(phases[f"{prefix}{source}"] is not Phase.SUCCEEDED for source in spec.upstream):
            phases[key] = Phase.SKIPPED
        elif spec.kind is Kind.BRANCH and spec.body is not None:
            below = expected(program, spec.body, f"{key}-0-")[1]
            chosen = f"{key}-0-{spec.target}"
            phases.update({arm: below[arm] if arm == chosen else Phase.SKIPPED for arm in below})
            phases[key] = below[chosen]
        elif spec.target in program.dynamic:
            phases[key], below = expected(program, program.dynamic[str(spec.target)], f"{key}-0-")
            phases.update(below)
        elif spec.body is not None:
            phases[key], below = expected(program, spec.body, f"{key}-0-")
            phases.update(below)
        elif spec.target in program.fatal and not _forgives(spec):
            phases[key] = Phase.FAILED
        else:
            phases[key] = Phase.SUCCEEDED
    own = [phases[f"{prefix}{spec_id}"] for spec_id in scope.nodes]
    return (Phase.FAILED if Phase.FAILED in own else Phase.SUCCEEDED), phases


def _forgives(spec: NodeSpec) -> bool:
    """A map of three items that succeeds with two of them: of tasks only the middle one is fatal."""
    array = spec.array
    if array is None or array.node.kind is not Kind.TASK:
        return False
    return array.min_successes is not None or array.min_success_ratio is not None


class Run:
    """Feeds a program's events to the engine in random order, some of them twice."""

    def __init__(self, program: Program, rng: random.Random) -> None:
        self.program, self.rng = program, rng
        root = NodeSpec(id=ROOT, kind=Kind.WORKFLOW, body=program.scope)
        self.nodes: dict[str, Node] = {ROOT: Node(key=ROOT, spec=root, parent=None, body=program.scope)}
        self.state = State(self.nodes, max_parallelism=program.max_parallelism)
        self.now = START
        self.pool: list[Event | c.Command] = [Launched()]
        self.seen: list[Event] = []
        self.parked: list[str] = []

    def to_the_end(self, *, abort_after: int | None = None, limit: int = 20_000) -> Phase:
        for step in range(limit):
            if step == abort_after:
                self.pool.append(AbortRequested(cause="enough"))
            if not self.pool and not self._pass_time():
                break
            self.step()
        return self.nodes[ROOT].phase

    def step(self) -> None:
        batch = []
        for _ in range(min(len(self.pool), self.rng.choice([1, 1, 2, 3]))):
            batch.append(self._event(self.pool.pop(self.rng.randrange(len(self.pool)))))
        if self.seen and self.rng.random() < 0.3:
            batch.append(self.rng.choice(self.seen))  # told again
        self.feed(batch)

    def feed(self, batch: list[Event]) -> None:
        before = {key: node.copy() for key, node in self.nodes.items()}
        outcome = evaluate(self.state, batch, self.now)
        assert self.nodes == before, "evaluate changed its input"
        assert evaluate(self.state, batch, self.now).moves == outcome.moves, "not the same answer to the same question"
        self.nodes.update(outcome.nodes)
        self._check(outcome.moves)
        self.seen += [event for event in batch if not isinstance(event, Stopped)]
        for command in outcome.commands:
            self._take(command)

    def _check(self, moves: list[Move]) -> None:
        for move in moves:
            node = self.nodes[move.key]
            if move.before is Phase.UNDEFINED and move.after is Phase.QUEUED and node.parent is not None:
                parent = self.nodes[node.parent]
                for source in node.spec.upstream:
                    key = f"{parent.key}-0-{source}" if parent.key else source
                    assert self.nodes[key].phase in DONE, f"{move.key} began before {key} was done"
        root = self.nodes[ROOT]
        items = sum(node.memory.slots for node in self.nodes.values() if node.parent is not None)
        slots = items + sum(node.has_slot for node in self.nodes.values())
        assert root.memory.slots == slots
        assert root.memory.parked == sum(node.parked for node in self.nodes.values())
        if self.program.max_parallelism:
            maps = sum(node.has_slot for node in self.nodes.values() if node.spec.kind is Kind.ARRAY)
            assert slots - maps <= self.program.max_parallelism  # a map with a concurrency of its own waits for no slot
        for parent in self.nodes.values():
            if parent.body is not None and parent.attempts and parent.phase not in TERMINAL:
                ended = [
                    node
                    for node in self.nodes.values()
                    if node.parent == parent.key and node.phase in TERMINAL and node.spec.kind is not Kind.START
                ]
                handlers = 1 if parent.memory.failing else 0
                assert parent.open == len(parent.body.nodes) + handlers - len(ended), parent.key

    def _take(self, command: c.Command) -> None:
        match command:
            case c.FreeSlots(count=count):
                parked = [key for key, node in self.nodes.items() if node.parked]
                self.pool += [Unparked(key) for key in parked[:count]]
            case c.Cancel() | c.AbortChild():
                pass
            case _:
                self.pool.append(command)

    def _event(self, item: Event | c.Command) -> Event:
        """The answer to a command, or the event itself."""
        match item:
            case c.Prepare(key=key):
                return Prepared(key, size=3)
            case c.Submit(key=key, attempt=attempt, index=index):
                return self._end_of(key, attempt, index)
            case c.OpenGate(key=key):
                return Decided(key, approved=self.nodes[key].spec.target not in self.program.fatal)
            case c.LaunchChild(key=key, attempt=attempt):
                fatal = self.nodes[key].spec.target in self.program.fatal
                return ChildEnded(key, phase=Phase.FAILED if fatal else Phase.SUCCEEDED, attempt=attempt)
            case c.Collect(key=key):
                return Collected(key)
            case c.StopChildren(key=key):
                return Stopped(key, active=self._active_below(key))
            case Event():
                return item
        raise AssertionError(item)

    def _end_of(self, key: str, attempt: int, index: int) -> Event:
        name = str(self.nodes[key].spec.target)
        if name in self.program.fatal and index in (-1, 1):
            return AttemptFailed(key, attempt=attempt, index=index, failure=FATAL)
        if attempt < self.program.failures.get(name, 0):
            return AttemptFailed(key, attempt=attempt, index=index, failure=BROKEN)
        return AttemptSucceeded(key, attempt=attempt, index=index, body=self.program.dynamic.get(name))

    def _active_below(self, key: str) -> tuple[str, ...]:
        def below(node: Node) -> bool:
            return node.parent is not None and (node.parent == key or below(self.nodes[node.parent]))

        return tuple(node.key for node in self.nodes.values() if node.phase in ACTIVE and below(node))

    def _pass_time(self) -> bool:
        waiting = [node for node in self.nodes.values() if node.wake_at is not None and node.phase in ACTIVE]
        if not waiting:
            return False
        self.now += timedelta(days=2)
        self.pool += [Due(node.key) for node in waiting]
        return True
