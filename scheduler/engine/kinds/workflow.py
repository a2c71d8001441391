"""Parents: sub-workflow nodes, and the execution itself."""

from __future__ import annotations

from scheduler.engine import scopes
from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import Collected, Due, Event, Prepared
from scheduler.engine.phases import Phase
from scheduler.engine.state import Failure, Node


class WorkflowKind:
    def start(self, ev: Evaluation, node: Node, event: Prepared) -> None:
        if event.recovered:
            scopes.end(ev, node, Phase.RECOVERED)
            return
        node.attempts = 1
        node.body = node.body or node.spec.body
        if node.spec.timeout:
            node.wake_at = ev.now + node.spec.timeout
        ev.move(node, Phase.RUNNING)
        scopes.open_scope(ev, node)

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
        """Its children are stopped one by one."""


def timed_out(node: Node) -> Failure:
    return Failure("TimeoutExpired", f"node {node.key} did not end within {node.spec.timeout}")
