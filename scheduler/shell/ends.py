"""The end of an execution: its parent and queues of triggers are told, without locking two executions at once."""

from __future__ import annotations

from django.db import transaction

from scheduler.models import Execution, ExecutionMode, NodeExecution
from scheduler.wake import wake_execution, wake_trigger_queue


def after_end(execution: Execution) -> None:
    """Called in the transaction that ended it. The sweep finds the parents of those that died before telling."""
    if execution.parent_node_id is not None:
        node_id = execution.parent_node_id
        transaction.on_commit(lambda: tell_parent(node_id))
    if execution.mode == ExecutionMode.TRIGGER:
        transaction.on_commit(lambda: tell_queues(execution))


def tell_queues(execution: Execution) -> None:
    """Triggers of its launch plan that wait for a place have one now."""
    from scheduler.triggers.queue import queues_of

    for trigger_id in queues_of(execution):
        wake_trigger_queue(trigger_id)


def tell_parent(node_id: int) -> None:
    parent_id = NodeExecution.objects.values_list("execution_id", flat=True).get(pk=node_id)
    with transaction.atomic():
        Execution.objects.filter(pk=parent_id).update(dirty=True)
        wake_execution(parent_id)
