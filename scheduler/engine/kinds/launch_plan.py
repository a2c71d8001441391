"""Launch plan nodes: an execution of its own, linked both ways and aborted with its parent."""

from __future__ import annotations

from scheduler.engine import retries, scopes
from scheduler.engine.commands import AbortChild, LaunchChild
from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import ChildEnded, Due, Event, Prepared
from scheduler.engine.kinds.workflow import timed_out
from scheduler.engine.phases import Phase
from scheduler.engine.state import Failure, Node


class LaunchPlanKind:
    def start(self, ev: Evaluation, node: Node, event: Prepared) -> None:
        if event.recovered:
            scopes.end(ev, node, Phase.RECOVERED)
            return
        if node.spec.timeout:
            node.wake_at = ev.now + node.spec.timeout
        ev.move(node, Phase.RUNNING)
        self._launch(ev, node)

    def handle(self, ev: Evaluation, node: Node, event: Event) -> bool:
        if isinstance(event, Due):
            ev.commands.append(AbortChild(node.key, cause="the parent's node timed out"))
            scopes.end(ev, node, Phase.FAILED, timed_out(node))
            return True
        if not isinstance(event, ChildEnded) or event.attempt != node.attempt:
            return False
        if event.phase is Phase.SUCCEEDED:
            scopes.end(ev, node, Phase.SUCCEEDED)
            return True
        failure = event.failure or Failure("ChildFailed", "the child execution failed")
        node.user_failures += 1
        if node.user_failures <= node.spec.retry.user and event.phase is not Phase.ABORTED:
            self._launch(ev, node)
        else:
            counts = {"user_failures": node.user_failures, "system_failures": node.system_failures}
            scopes.end(ev, node, Phase.FAILED, retries.decide(node.spec.retry, failure, **counts).failure)
        return True

    def stop(self, ev: Evaluation, node: Node) -> None:
        ev.commands.append(AbortChild(node.key, cause="aborted with its parent"))

    def _launch(self, ev: Evaluation, node: Node) -> None:
        node.attempts += 1
        ev.commands.append(LaunchChild(node.key, attempt=node.attempt))
