"""The end of an execution: its parent, queues of triggers and the check that it answers are told, without locking two
executions at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.db import connection, transaction

from scheduler.models import Execution, ExecutionMode, NodeExecution
from scheduler.phases import EXECUTION_TERMINAL, NODE_TERMINAL
from scheduler.triggers.judging.settling import is_judging, settle_end
from scheduler.triggers.queue import queues_of
from scheduler.wake import wake_execution, wake_trigger_queue


def after_end(*executions: Execution) -> None:
    """Called in the transaction that ended them. The sweep finds the parents of those that died before telling."""
    for execution in executions:
        if execution.parent_node_id is not None:
            _put_into_inbox(execution.parent_node_id)
            transaction.on_commit(partial(tell_parent, execution.parent_node_id))
    launched = [execution for execution in executions if execution.mode == ExecutionMode.TRIGGER]
    if launched:
        transaction.on_commit(partial(tell_queues, launched))
    for execution in launched:
        if is_judging(execution):
            transaction.on_commit(partial(settle_end, execution), robust=True)  # what it misses the sweep finds


def tell_queues(executions: Sequence[Execution]) -> None:
    """Triggers of their launch plans that wait for a place have one now."""
    for trigger_id in queues_of(executions):
        wake_trigger_queue(trigger_id)


# Only the last child of a node counts: those before it are of attempts that the node has repeated.
_INBOX = """
    INSERT INTO scheduler_endedchild (child_id, parent_id)
    SELECT child.id, node.execution_id FROM scheduler_nodeexecution node JOIN scheduler_execution child
        ON child.id = (SELECT max(id) FROM scheduler_execution WHERE parent_node_id = node.id)
    WHERE node.id = %s AND node.kind = 'launch_plan' AND node.phase <> ALL(%s) AND child.phase = ANY(%s)
    ON CONFLICT DO NOTHING
"""


def _put_into_inbox(node_id: int) -> None:
    """The end of the node's child is news for its parent, unless it is already."""
    with connection.cursor() as cursor:
        cursor.execute(_INBOX, [node_id, sorted(NODE_TERMINAL), sorted(EXECUTION_TERMINAL)])


def tell_parent(node_id: int) -> None:
    parent_id = NodeExecution.objects.values_list("execution_id", flat=True).get(pk=node_id)
    with transaction.atomic():
        _put_into_inbox(node_id)  # if the child was ended by a process of an earlier version
        Execution.objects.filter(pk=parent_id).update(dirty=True)
        wake_execution(parent_id)
