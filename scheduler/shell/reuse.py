"""Outputs that exist already: of the execution that is being recovered."""

from __future__ import annotations

from scheduler.engine.graph import Kind
from scheduler.engine.state import Node
from scheduler.models import ExecutionMode, NodeExecution
from scheduler.phases import NodePhase
from scheduler.shell.turn import Turn

_RECOVERABLE = frozenset({Kind.TASK, Kind.WORKFLOW, Kind.LAUNCH_PLAN, Kind.ARRAY, Kind.GATE})
_SUCCEEDED = (NodePhase.SUCCEEDED, NodePhase.RECOVERED)


def recover(turn: Turn, node: Node) -> bool:
    """Take the outputs of the same node of the recovered execution, if it had succeeded there."""
    former = turn.execution.reference_id
    if turn.execution.mode != ExecutionMode.RECOVERED or former is None or node.spec.kind not in _RECOVERABLE:
        return False
    rows = NodeExecution.objects.filter(execution_id=former, node_id=node.key, phase__in=_SUCCEEDED)
    found = rows.values_list("output_uri", "deck_uri").first()
    if found is None:
        return False
    turn.set(node.key, {"output_uri": found[0], "deck_uri": found[1]})
    return True
