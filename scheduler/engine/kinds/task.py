"""Task nodes, attempt by attempt; a dynamic task goes on as the parent of what it returned.

A timeout holds for each attempt (the executor stops it, which is a failure that may be repeated). All attempts, with
the time they wait for room and between repetitions, have twice as long: flytepropeller's active deadline. But at least
five minutes: one machine has a longer queue than a cluster, and must not fail for it what may only run for seconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from scheduler.engine import retries, scopes
from scheduler.engine.commands import Cancel, Prepare, Submit
from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import AttemptFailed, AttemptSucceeded, Collected, Due, Event, Held, Prepared
from scheduler.engine.phases import Phase
from scheduler.engine.state import Failure, Node

ACTIVE_AT_LEAST = timedelta(minutes=5)


class TaskKind:
    def start(self, ev: Evaluation, node: Node, event: Prepared) -> None:
        if event.cached or event.recovered:
            node.memory.reused = True
            scopes.end(ev, node, Phase.RECOVERED if event.recovered else Phase.SUCCEEDED)
            return
        if node.spec.timeout:
            node.memory.until = (ev.now + active_time(node)).timestamp()
        submit(ev, node)

    def handle(self, ev: Evaluation, node: Node, event: Event) -> bool:
        if isinstance(event, Collected) and node.body is not None:
            scopes.collected(ev, node)
            return True
        if isinstance(event, Held) and not node.attempts:
            node.memory.held = True
            node.wake_at = event.until
            return True
        if isinstance(event, Due) and node.memory.held:
            node.memory.held = False
            node.wake_at = None
            ev.commands.append(Prepare(node.key))
            return True
        if isinstance(event, Due) and (until := deadline(node)) is not None and until <= ev.now:
            self._time_out(ev, node)
            return True
        if isinstance(event, Due) and node.memory.backoff:
            node.memory.backoff = False
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
        if node.attempts and node.body is None and not node.memory.backoff:
            ev.commands.append(Cancel(node.key))

    def _is_present(self, node: Node, event: AttemptSucceeded | AttemptFailed) -> bool:
        running = node.attempts > 0 and event.attempt == node.attempt
        return running and node.body is None and not node.memory.backoff

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
            node.memory.backoff = True
            node.wake_at = min(filter(None, (ev.now + decision.delay, deadline(node))))
        else:
            submit(ev, node)

    def _time_out(self, ev: Evaluation, node: Node) -> None:
        message = (
            f"task active timeout [{active_time(node)}] expired: its attempts and the time they waited took longer"
        )
        failure = Failure("TimeoutExpired", message)
        node.wake_at = None
        if node.body is not None:
            scopes.fail(ev, node, failure)
            return
        self.stop(ev, node)
        scopes.end(ev, node, Phase.TIMED_OUT, failure)


def active_time(node: Node) -> timedelta:
    return max(2 * (node.spec.timeout or timedelta(0)), ACTIVE_AT_LEAST)


def deadline(node: Node) -> datetime | None:
    """When the node as a whole times out."""
    until = node.memory.until
    return datetime.fromtimestamp(until, timezone.utc) if until else None


def submit(ev: Evaluation, node: Node) -> None:
    node.attempts += 1
    node.wake_at = deadline(node)
    failures = node.system_failures
    interruptible = retries.is_interruptible(node.spec.retry, system_failures=failures)
    ev.commands.append(Submit(node.key, attempt=node.attempt, interruptible=interruptible, system_failures=failures))
