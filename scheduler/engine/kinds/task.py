"""Task nodes, attempt by attempt; a dynamic task goes on as the parent of what it returned."""

from __future__ import annotations

from scheduler.engine import retries, scopes
from scheduler.engine.commands import Cancel, Prepare, Submit
from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import AttemptFailed, AttemptSucceeded, Collected, Due, Event, Held, Prepared
from scheduler.engine.phases import Phase
from scheduler.engine.state import Failure, Node


class TaskKind:
    def start(self, ev: Evaluation, node: Node, event: Prepared) -> None:
        if event.cached or event.recovered:
            node.memory["reused"] = True
            scopes.end(ev, node, Phase.RECOVERED if event.recovered else Phase.SUCCEEDED)
            return
        submit(ev, node)

    def handle(self, ev: Evaluation, node: Node, event: Event) -> bool:
        if isinstance(event, Collected) and node.body is not None:
            scopes.collected(ev, node)
            return True
        if isinstance(event, Held) and not node.attempts:
            node.memory["held"] = True
            node.wake_at = event.until
            return True
        if isinstance(event, Due) and node.memory.pop("held", False):
            node.wake_at = None
            ev.commands.append(Prepare(node.key))
            return True
        if isinstance(event, Due) and node.memory.pop("backoff", False):
            node.wake_at = None
            submit(ev, node)
            return True
        if not isinstance(event, AttemptSucceeded | AttemptFailed) or not self._is_present(node, event):
            return False
        if isinstance(event, AttemptFailed):
            self._failed(ev, node, event.failure)
        elif event.body is None:
            scopes.end(ev, node, Phase.SUCCEEDED)
        else:
            node.body = event.body
            ev.release_slot(node)  # its children need it
            ev.move(node, Phase.DYNAMIC_RUNNING)
            scopes.open_scope(ev, node)
        return True

    def stop(self, ev: Evaluation, node: Node) -> None:
        if node.attempts and node.body is None and "backoff" not in node.memory:
            ev.commands.append(Cancel(node.key))

    def _is_present(self, node: Node, event: AttemptSucceeded | AttemptFailed) -> bool:
        running = node.attempts > 0 and event.attempt == node.attempt
        return running and node.body is None and "backoff" not in node.memory

    def _failed(self, ev: Evaluation, node: Node, failure: Failure) -> None:
        if failure.system:
            node.system_failures += 1
        else:
            node.user_failures += 1
        decision = retries.decide(
            node.spec.retry, failure, user_failures=node.user_failures, system_failures=node.system_failures
        )
        if not decision.retry:
            scopes.end(ev, node, Phase.FAILED, decision.failure)
        elif decision.delay:
            node.memory["backoff"] = True
            node.wake_at = ev.now + decision.delay
        else:
            submit(ev, node)


def submit(ev: Evaluation, node: Node) -> None:
    node.attempts += 1
    interruptible = retries.is_interruptible(node.spec.retry, system_failures=node.system_failures)
    ev.commands.append(Submit(node.key, attempt=node.attempt, interruptible=interruptible))
