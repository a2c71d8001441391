"""Branches: one arm runs, the others are skipped; the branch ends as its arm does."""

from __future__ import annotations

from scheduler.engine import scopes
from scheduler.engine.conditions import BadCondition, choose
from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import Collected, Due, Event, Prepared
from scheduler.engine.kinds.workflow import timed_out
from scheduler.engine.phases import Phase
from scheduler.engine.state import Failure, Node


class BranchKind:
    def start(self, ev: Evaluation, node: Node, event: Prepared) -> None:
        node.attempts = 1
        try:
            chosen = choose(node.spec.cases, event.inputs or {})
        except BadCondition as error:
            scopes.end(ev, node, Phase.FAILED, Failure(error.code, str(error)))
            return
        node.body = node.spec.body
        node.memory.chosen = chosen
        if node.spec.timeout:
            node.wake_at = ev.now + node.spec.timeout
        ev.move(node, Phase.RUNNING)
        scopes.open_scope(ev, node, only=frozenset({chosen}))

    def handle(self, ev: Evaluation, node: Node, event: Event) -> bool:
        if isinstance(event, Collected):
            scopes.collected(ev, node)
            return True
        if isinstance(event, Due):
            node.wake_at = None
            scopes.fail(ev, node, timed_out(node))
            return True
        return False

    def stop(self, ev: Evaluation, node: Node) -> None:
        """Its arm is stopped by itself."""
