"""Gates: approve, wait for input (signal), sleep."""

from __future__ import annotations

from scheduler.engine import scopes
from scheduler.engine.commands import OpenGate
from scheduler.engine.evaluation import Evaluation
from scheduler.engine.events import Decided, Due, Event, Prepared
from scheduler.engine.graph import GateType
from scheduler.engine.kinds.workflow import timed_out
from scheduler.engine.phases import Phase
from scheduler.engine.state import Failure, Node


class GateKind:
    def start(self, ev: Evaluation, node: Node, event: Prepared) -> None:
        gate = node.spec.gate
        if gate is None:
            scopes.end(ev, node, Phase.FAILED, Failure("BadSpecification", f"gate {node.key} has no condition"))
            return
        if event.recovered:
            scopes.end(ev, node, Phase.RECOVERED)
            return
        node.attempts = 1
        ev.move(node, Phase.RUNNING)
        if gate.type is GateType.SLEEP:
            node.wake_at = ev.now + gate.duration
        else:
            node.wake_at = ev.now + node.spec.timeout if node.spec.timeout else None
            ev.commands.append(OpenGate(node.key, expires_at=node.wake_at))

    def handle(self, ev: Evaluation, node: Node, event: Event) -> bool:
        if node.phase is not Phase.RUNNING or node.spec.gate is None:
            return False
        sleeps = node.spec.gate.type is GateType.SLEEP
        if isinstance(event, Due):
            if sleeps:
                scopes.end(ev, node, Phase.SUCCEEDED)
            else:
                scopes.end(ev, node, Phase.FAILED, timed_out(node))
            return True
        if not isinstance(event, Decided) or sleeps:
            return False
        if event.approved:
            scopes.end(ev, node, Phase.SUCCEEDED)
        else:
            message = "received a reject signal to disapprove the node input values"
            message += f": {event.said}" if event.said else ""
            scopes.end(ev, node, Phase.FAILED, Failure("ReceivedRejectSignal", message))
        return True

    def stop(self, ev: Evaluation, node: Node) -> None:
        """Nothing runs; the shell closes the waiting gate with the node."""
