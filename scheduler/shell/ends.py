"""What the end of an execution means for others: its parent is told, without locking two executions at once."""

from __future__ import annotations

from django.db import transaction

from scheduler.models import Execution, NodeExecution
from scheduler.wake import wake_execution


def after_end(execution: Execution) -> None:
    """Called in the transaction that ended it. The sweep finds the parents of those that died before telling."""
    if execution.parent_node_id is not None:
        node_id = execution.parent_node_id
        transaction.on_commit(lambda: tell_parent(node_id))


def tell_parent(node_id: int) -> None:
    parent_id = NodeExecution.objects.values_list("execution_id", flat=True).get(pk=node_id)
    with transaction.atomic():
        Execution.objects.filter(pk=parent_id).update(dirty=True)
        wake_execution(parent_id)
