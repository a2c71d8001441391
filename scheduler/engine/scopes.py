"""How the nodes below one parent begin and end: readiness, skips, failure policy, failure node, abort.

The same rules serve the execution, sub-workflows, branches and what dynamic tasks return.
"""

from __future__ import annotations

from dataclasses import replace

from scheduler.engine.commands import Collect, Prepare, StopChildren
from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import ItemEnded
from scheduler.engine.graph import END_NODE, MARKERS, START_NODE, Kind, Scope
from scheduler.engine.phases import DONE, FAILED, TERMINAL, Phase
from scheduler.engine.state import Failure, Node


def body_of(parent: Node) -> Scope:
    if parent.body is None:
        raise ValueError(f"{parent.key!r} has no children")
    return parent.body


def open_scope(ev: Evaluation, parent: Node, only: frozenset[str] | None = None) -> None:
    """Start the nodes without upstream; with `only` (a branch), the others are skipped."""
    body = body_of(parent)
    parent.open = len(body.nodes)
    if body.has_markers:
        add_marker(ev, parent, START_NODE)
    for spec_id in body.roots or ():
        child = ev.child(parent, body.nodes[spec_id])
        child.skip = only is not None and spec_id not in only
        ev.ready.append(child)
    if parent.open == 0:
        children_done(ev, parent)


def add_marker(ev: Evaluation, parent: Node, marker: str) -> None:
    ev.move(ev.child(parent, MARKERS[marker]), Phase.SUCCEEDED)


def make_ready(ev: Evaluation, node: Node) -> None:
    """All upstream nodes have ended: skip, wait for a slot, or have the inputs prepared."""
    parent = ev.peek(node.parent or "")
    if parent is None or parent.closing is not None or parent.phase in TERMINAL or node.phase is not Phase.UNDEFINED:
        return
    if node.skip:
        end(ev, node, Phase.SKIPPED)
        return
    ev.move(node, Phase.QUEUED)
    if ev.take_slot(node):
        ev.commands.append(Prepare(node.key))


def end(ev: Evaluation, node: Node, phase: Phase, failure: Failure | None = None, reason: str = "") -> None:
    """End the node in a terminal phase and let its siblings and its parent know."""
    if node.phase in TERMINAL:
        return
    node.wake_at = None
    node.closing = None
    node.failure = failure
    ev.release_slot(node)
    ev.move(node, phase, reason or (failure.code if failure else ""))
    if node.parent is None:
        return
    parent = ev.touch(node.parent)
    parent.open -= 1
    if parent.closing is not None or parent.phase in TERMINAL:
        return  # it is being stopped: nothing new starts, Stopped will end it
    if parent.memory.failing:
        end(ev, parent, Phase.FAILED, _after_failure_node(parent, node))
        return
    if parent.spec.kind is Kind.ARRAY:
        index = int(node.spec.id[1:])
        ev.later.append(ItemEnded(parent.key, index=index, ok=phase in DONE, failure=node.failure))
        return
    _after_child(ev, parent, node, phase)


def _after_child(ev: Evaluation, parent: Node, node: Node, phase: Phase) -> None:
    body = body_of(parent)
    if phase in FAILED:
        parent.failure = parent.failure or _located(node)
        if body.fail_immediately:
            if parent.open:
                close(ev, parent, Phase.FAILED)
            else:
                fail_scope(ev, parent)
            return
    skip = phase is Phase.SKIPPED or phase not in DONE
    for spec_id in node.spec.downstream:
        follower = ev.child(parent, body.nodes[spec_id])
        follower.waiting_on -= 1
        follower.skip = follower.skip or skip
        if follower.waiting_on == 0:
            ev.ready.append(follower)
    if parent.open == 0:
        children_done(ev, parent)


def _located(node: Node) -> Failure:
    failure = node.failure or Failure("Unknown", f"node {node.key} failed", system=True)
    return failure if failure.node else replace(failure, node=node.key)


def children_done(ev: Evaluation, parent: Node) -> None:
    if parent.failure is not None:
        fail_scope(ev, parent)
    else:
        ev.commands.append(Collect(parent.key))


def fail_scope(ev: Evaluation, parent: Node) -> None:
    """Nothing below runs any more: run the failure node, if there is one, then fail."""
    handler = body_of(parent).failure_node if parent.body is not None else None
    if handler is None or parent.memory.failing:
        end(ev, parent, Phase.FAILED, parent.failure)
        return
    parent.memory.failing = True
    parent.open += 1
    ev.move(parent, Phase.FAILING, parent.failure.code if parent.failure else "")
    ev.ready.append(ev.child(parent, handler))


def _after_failure_node(parent: Node, handler: Node) -> Failure | None:
    """What the parent fails with: as in flytepropeller the failure node's own failure takes the place of the first,
    which the message still tells."""
    first, own = parent.failure, handler.failure
    if handler.phase not in FAILED or own is None or first is None:
        return first
    where = f" of node {first.node}" if first.node else ""
    message = f"the failure node failed: {own.message}\nIt ran because of {first.code}{where}: {first.message}"
    return replace(own, message=message, node=handler.key)


def close(ev: Evaluation, parent: Node, phase: Phase) -> None:
    """Stop what runs below the parent, then end it in that phase (a failure first runs the failure node)."""
    if parent.closing is None or phase is Phase.ABORTED:
        parent.closing = phase
        ev.commands.append(StopChildren(parent.key))


def collected(ev: Evaluation, parent: Node) -> None:
    """The outputs of the parent are in place."""
    if parent.open or parent.phase in TERMINAL or parent.closing is not None or parent.failure is not None:
        return
    if body_of(parent).has_markers:
        add_marker(ev, parent, END_NODE)
    end(ev, parent, Phase.SUCCEEDED)


def fail(ev: Evaluation, node: Node, failure: Failure) -> None:
    """Fail a node for what happened to itself; one with children stops them first."""
    if node.phase in TERMINAL or node.closing is not None:
        return
    if node.body is None:
        end(ev, node, Phase.FAILED, failure)
        return
    node.failure = node.failure or failure
    close(ev, node, Phase.FAILED)
