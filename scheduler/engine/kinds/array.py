"""Maps: over tasks one attempt row per item and attempt, over launch plans a node per item; a window of them in flight.

What the node remembers of its items is in scheduler.engine.memory.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timezone

from scheduler.engine import retries, scopes
from scheduler.engine.commands import Cancel, Collect, Submit
from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import (
    AttemptFailed,
    AttemptSucceeded,
    Collected,
    Due,
    Event,
    Held,
    ItemEnded,
    Prepared,
    Reused,
    Unparked,
)
from scheduler.engine.graph import ArraySpec, Kind, RetryPolicy, items_scope
from scheduler.engine.kinds.task import deadline
from scheduler.engine.kinds.workflow import timed_out
from scheduler.engine.memory import Items
from scheduler.engine.phases import Phase
from scheduler.engine.state import Failure, Node

STEP = 500  # items started by one evaluation: the next one goes on at once, and executors have work meanwhile
MESSAGES = 5  # failures quoted in the node's error


class ArrayKind:
    def start(self, ev: Evaluation, node: Node, event: Prepared) -> None:
        if event.cached or event.recovered:
            scopes.end(ev, node, Phase.RECOVERED if event.recovered else Phase.SUCCEEDED)
            return
        node.attempts = 1
        node.memory.items = Items(event.size, hits=list(event.hits), reused=len(event.hits))
        if node.spec.timeout:
            node.memory.until = (ev.now + node.spec.timeout).timestamp()
        if array_of(node).parallelism is not None:
            ev.count_slot(node)
        if array_of(node).node.kind is not Kind.TASK:
            node.body = items_scope(array_of(node).node, event.size)
            node.open = event.size
        ev.move(node, Phase.RUNNING)
        self._go_on(ev, node)

    def handle(self, ev: Evaluation, node: Node, event: Event) -> bool:
        if isinstance(event, Collected):
            scopes.end(ev, node, Phase.SUCCEEDED)
            return True
        if isinstance(event, Due):
            self._due(ev, node)
            return True
        if isinstance(event, ItemEnded):
            return self._item_ended(ev, node, event)
        if isinstance(event, Unparked):
            self._go_on(ev, node)
            return True
        if isinstance(event, Held | Reused):
            return self._not_run(ev, node, event)
        if not isinstance(event, AttemptSucceeded | AttemptFailed):
            return False
        items, item = node.memory.items, str(event.index)
        if items is None or items.live.get(item) != event.attempt:
            return False
        del items.live[item]
        if isinstance(event, AttemptSucceeded):
            items.ok += 1
        else:
            self._failed(ev, node, event)
        self._go_on(ev, node)
        return True

    def stop(self, ev: Evaluation, node: Node) -> None:
        if node.memory.items is not None and node.memory.items.live and node.body is None:
            ev.commands.append(Cancel(node.key))

    def _fail(self, ev: Evaluation, node: Node, failure: Failure) -> None:
        node.wake_at = None
        if node.body is not None:
            node.failure = failure
            scopes.close(ev, node, Phase.FAILED)
            return
        self.stop(ev, node)
        scopes.end(ev, node, Phase.FAILED, failure)

    def _not_run(self, ev: Evaluation, node: Node, event: Held | Reused) -> bool:
        """The item needs no attempt of its own, or has to see first what becomes of another's."""
        items, item = items_of(node), str(event.index)
        attempt = items.live.pop(item, None)
        if attempt is None:
            return False
        if isinstance(event, Reused):
            items.ok += 1
            items.reused += 1
        else:
            items.tried.setdefault(item, [attempt + 1, 0, 0])
            items.resting[item] = event.until.timestamp()
        self._go_on(ev, node)
        return True

    def _item_ended(self, ev: Evaluation, node: Node, event: ItemEnded) -> bool:
        items = items_of(node)
        items.flying, items.live = items.in_flight - 1, {}
        if event.ok:
            items.ok += 1
        else:
            self._give_up(node, event.index, event.failure or Failure("ItemFailed", "the item did not succeed"))
        self._go_on(ev, node)
        return True

    def _give_up(self, node: Node, index: int, failure: Failure) -> None:
        items = items_of(node)
        items.bad.append(index)
        if len(items.bad) <= MESSAGES:
            items.messages.append(f"[{index}]: {failure.message}")
        node.failure = node.failure or failure

    def _failed(self, ev: Evaluation, node: Node, event: AttemptFailed) -> None:
        """Try the item again or give it up."""
        items, item = items_of(node), str(event.index)
        attempts, user, system = items.tried.get(item, [1, 0, 0])
        user, system = (user, system + 1) if event.failure.system else (user + 1, system)
        decision = retries.decide(item_policy(node), event.failure, user_failures=user, system_failures=system)
        if decision.retry:
            items.tried[item] = [attempts + 1, user, system]
            if decision.delay:
                items.resting[item] = (ev.now + decision.delay).timestamp()
            else:
                self._submit(ev, node, event.index, attempts, system)
        else:
            items.tried.pop(item, None)
            self._give_up(node, event.index, decision.failure)

    def _due(self, ev: Evaluation, node: Node) -> None:
        """The whole map has timed out, or items have waited long enough to be tried again."""
        until = deadline(node)
        if until is not None and until <= ev.now:
            self._fail(ev, node, timed_out(node))
            return
        items = items_of(node)
        for item in [item for item, at in items.resting.items() if at <= ev.now.timestamp()]:
            del items.resting[item]
            attempts, _, system = items.tried[item]
            self._submit(ev, node, int(item), attempts - 1, system)
        self._go_on(ev, node)

    def _submit(self, ev: Evaluation, node: Node, index: int, attempt: int, system_failures: int = 0) -> None:
        items = items_of(node)
        if node.body is not None:
            items.flying, items.live = items.in_flight + 1, {}
            ev.ready.append(ev.child(node, node.body.nodes[f"n{index}"]))
            return
        items.live[str(index)] = attempt
        interruptible = retries.is_interruptible(item_policy(node), system_failures=system_failures)
        submit = Submit(
            node.key, attempt=attempt, index=index, interruptible=interruptible, system_failures=system_failures
        )
        ev.commands.append(submit)

    def _go_on(self, ev: Evaluation, node: Node) -> None:
        """Fail when success is out of reach, finish when nothing is left, else keep the window full."""
        items, array = items_of(node), array_of(node)
        size, failed, resting = items.size, len(items.bad), items.resting
        if size - failed < needed(array, size) and not (array.run_all and items.ok + failed < size):
            self._fail(ev, node, _failure(node))
            return
        counted = array.parallelism is None and node.body is None  # else each item is a node that takes a slot
        window = _window(array, size, ev.free_slots(node) if counted else None) - len(resting)
        hits = set(items.hits)
        while items.next < size and items.in_flight < window and ev.submitted < STEP:
            if items.next in hits:
                items.ok += 1
            else:
                self._submit(ev, node, items.next, 0)
                ev.submitted += 1
            items.next += 1
        if hits:  # only those that are still to come are kept
            items.hits = sorted(index for index in hits if index >= items.next)
        room = items.next < size and items.in_flight < window
        if counted and ev.max_parallelism:
            ev.hold_slots(node, items.in_flight + len(resting), wants_more=items.next < size and not room)
        times = [datetime.fromtimestamp(at, timezone.utc) for at in resting.values()]
        node.wake_at = min(filter(None, (*times, deadline(node), ev.now if room else None)), default=None)
        if not items.in_flight and not resting and items.next >= size:
            node.failure = None
            ev.commands.append(Collect(node.key))


def items_of(node: Node) -> Items:
    """What a map that began remembers of its items."""
    if node.memory.items is None:
        raise ValueError(f"{node.key!r} is no map that began")
    return node.memory.items


def _window(array: ArraySpec, size: int, slots: int | None) -> int:
    """How many items may be in flight."""
    if array.parallelism:
        return array.parallelism
    return size if slots is None else slots


def array_of(node: Node) -> ArraySpec:
    if node.spec.array is None:
        raise ValueError(f"{node.key!r} is no array node")
    return node.spec.array


def item_policy(node: Node) -> RetryPolicy:
    """Retries of the node apply to every item when they are more than the task's own."""
    own, outer = array_of(node).node.retry, node.spec.retry
    return replace(own, user=max(own.user, outer.user))


def needed(array: ArraySpec, size: int) -> int:
    """How many items have to succeed."""
    if array.min_successes is not None:
        return array.min_successes
    if array.min_success_ratio is not None:
        return math.ceil(round(array.min_success_ratio * size, 6))  # the ratio is a 32 bit float
    return size


def _failure(node: Node) -> Failure:
    first = node.failure or Failure("ArrayNodeFailing", "too many items failed")
    items = items_of(node)
    failed, lines = len(items.bad), items.messages
    more = f"\n... and {failed - len(lines)} more" if failed > len(lines) else ""
    message = f"{failed} of {items.size} items failed\n" + "\n".join(lines) + more
    return replace(first, message=message)
