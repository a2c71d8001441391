"""The engine: what follows from events. Pure and total: no clock, no I/O, the same answer to the same question."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from scheduler.engine import scopes
from scheduler.engine.commands import FreeSlots, Prepare
from scheduler.engine.evaluation import Evaluation, Outcome
from scheduler.engine.events import AbortRequested, Due, Event, Failed, Launched, Prepared, Stopped, Unparked
from scheduler.engine.kinds import KINDS
from scheduler.engine.phases import ACTIVE, TERMINAL, Phase
from scheduler.engine.state import ROOT, Failure, Node, State


def evaluate(state: State, events: Iterable[Event], now: datetime) -> Outcome:
    """Take the events into account, one after the other, until nothing follows any more.

    `state` must hold the root, the events' nodes, all their ancestors, and those downstream nodes of these that exist.
    It is not changed. What comes late, twice or for nothing is listed as ignored.
    """
    ev = Evaluation(state, now)
    for event in events:
        if not _handle(ev, event):
            ev.ignored.append(event)
        while ev.ready or ev.later:
            if ev.ready:
                scopes.make_ready(ev, ev.ready.popleft())
            else:
                _handle(ev, ev.later.popleft())
    if ev.freed:
        _hand_on_slots(ev)
    return Outcome(ev.nodes, ev.moves, ev.commands, ev.ignored)


def _hand_on_slots(ev: Evaluation) -> None:
    root = ev.touch(ROOT)
    free = ev.max_parallelism - root.memory.slots
    count = min(free, root.memory.parked)
    if count > 0 and root.phase not in TERMINAL and root.closing is None:
        ev.commands.append(FreeSlots(count=count))


def _handle(ev: Evaluation, event: Event) -> bool:
    known = ev.peek(event.key)
    if known is None or known.phase in TERMINAL:
        return False
    node = ev.touch(event.key)
    special = _SPECIAL.get(type(event))
    if special is not None:
        return special(ev, node, event)
    return node.phase in ACTIVE and KINDS[node.spec.kind].handle(ev, node, event)


def _launched(ev: Evaluation, node: Node, event: Event) -> bool:
    if node.attempts or node.closing is not None:
        return False
    KINDS[node.spec.kind].start(ev, node, Prepared(node.key))
    return True


def _prepared(ev: Evaluation, node: Node, event: Event) -> bool:
    if not isinstance(event, Prepared) or node.phase is not Phase.QUEUED or node.attempts or node.parked:
        return False
    parent = ev.peek(node.parent or ROOT)
    if parent is None or parent.closing is not None:
        return False  # it is being stopped with its parent
    KINDS[node.spec.kind].start(ev, node, event)
    return True


def _failed(ev: Evaluation, node: Node, event: Event) -> bool:
    if not isinstance(event, Failed) or node.phase not in ACTIVE:
        return False
    scopes.fail(ev, node, event.failure)
    return True


def _due(ev: Evaluation, node: Node, event: Event) -> bool:
    if node.phase not in ACTIVE or node.wake_at is None or node.wake_at > ev.now:
        return False
    if KINDS[node.spec.kind].handle(ev, node, event):
        return True
    node.wake_at = None  # nobody waits for it any more
    return False


def _abort_requested(ev: Evaluation, node: Node, event: Event) -> bool:
    if not isinstance(event, AbortRequested) or node.closing is Phase.ABORTED:
        return False
    node.failure = Failure("Aborted", event.cause)
    scopes.close(ev, node, Phase.ABORTED)
    return True


def _stopped(ev: Evaluation, node: Node, event: Event) -> bool:
    if not isinstance(event, Stopped) or node.closing is None:
        return False
    started_since = [key for key, found in ev.nodes.items() if found.phase in ACTIVE and _is_below(ev, found, node.key)]
    keys = dict.fromkeys([*event.active, *started_since])
    active = [ev.touch(key) for key in keys if (found := ev.peek(key)) and found.phase in ACTIVE]
    for child in active:
        if child.body is not None:
            child.closing = Phase.ABORTED  # before any child ends, so that none of them starts its next node
    for child in active:
        KINDS[child.spec.kind].stop(ev, child)
        scopes.end(ev, child, Phase.ABORTED, node.failure, reason="stopped with its parent")
    phase, node.closing = node.closing, None
    if phase is Phase.FAILED:
        scopes.fail_scope(ev, node)
    else:
        scopes.end(ev, node, phase, node.failure)
    return True


def _is_below(ev: Evaluation, node: Node | None, key: str) -> bool:
    while node is not None and node.parent is not None:
        if node.parent == key:
            return True
        node = ev.peek(node.parent)
    return False


def _unparked(ev: Evaluation, node: Node, event: Event) -> bool:
    parent = ev.peek(node.parent or ROOT)
    if not node.parked or parent is None or parent.closing is not None:
        return False
    if node.phase is Phase.RUNNING:  # a map whose items wait
        return KINDS[node.spec.kind].handle(ev, node, event)
    if ev.take_slot(node):
        ev.commands.append(Prepare(node.key))
    return True


_SPECIAL = {
    Launched: _launched,
    Prepared: _prepared,
    Failed: _failed,
    Due: _due,
    AbortRequested: _abort_requested,
    Stopped: _stopped,
    Unparked: _unparked,
}
