"""The sweep: catches what lost wake-ups, crashed workers and passing time left. Any number may run at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.db import connection
from django.utils import timezone

from artifacts.governance.data import overdue
from scheduler.advance_many import advance_together
from scheduler.approving.escalation import escalate_due
from scheduler.approving.standing import look_again
from scheduler.attempts.preemption import preempt
from scheduler.figures import count_events, note_late_work
from scheduler.happenings import handle, unhandled
from scheduler.levels import look as levels
from scheduler.levels.attainment import note_alive
from scheduler.phases import ATTEMPT_TERMINAL, EXECUTION_TERMINAL, NODE_TERMINAL, ExecutionPhase, NodePhase
from scheduler.quotas import warning
from scheduler.quotas.admission import admit
from scheduler.quotas.used import sum_up
from scheduler.shell.children import abort_children_of
from scheduler.shell.ends import tell_parent
from scheduler.triggers.evaluate import sweep_triggers
from scheduler.triggers.judging.settling import due, settle
from scheduler.wake import SHARE, wake_data_checks

logger = logging.getLogger(__name__)

BATCH = 200  # of each kind in one sweep; the next one goes on

_EXECUTIONS = """
    (SELECT id FROM scheduler_execution WHERE dirty ORDER BY id LIMIT %s)
    UNION
    (SELECT id FROM scheduler_execution WHERE wake_at <= %s ORDER BY wake_at LIMIT %s)
    UNION
    (
        SELECT execution_id FROM scheduler_taskexecution WHERE NOT handled AND phase = ANY(%s)
        GROUP BY execution_id ORDER BY min(id) LIMIT %s
    )
"""
# Of a node that is repeated only the newest child counts: an older one ended long ago, and its parent knows.
_UNTOLD_PARENTS = """
    SELECT node.id FROM scheduler_nodeexecution node
    CROSS JOIN LATERAL (
        SELECT phase, ended_at FROM scheduler_execution WHERE parent_node_id = node.id ORDER BY id DESC LIMIT 1
    ) AS child
    WHERE node.kind = 'launch_plan' AND node.phase = %s AND child.phase = ANY(%s)
    ORDER BY child.ended_at, node.id LIMIT %s
"""
_ORPHANS = """
    SELECT child.parent_node_id FROM scheduler_execution child
    JOIN scheduler_nodeexecution node ON node.id = child.parent_node_id
    WHERE child.ended_at IS NULL AND child.phase <> ALL(%s) AND node.phase = ANY(%s)
    ORDER BY child.id LIMIT %s
"""


def sweep_all() -> None:
    """One bounded sweep: parents, children, executions with news, triggers; one step fails alone."""
    steps = (
        _late,
        _parents,
        _children,
        _admissions,
        _preemptions,
        _executions,
        _triggers,
        _happenings,
        _checks,
        _usage,
        _warnings,
        _figures,
        _approvals,
        _levels,
    )
    for step in steps:
        _guarded(step.__name__.strip("_"), step)


def _late() -> None:
    note_late_work()


def _parents() -> None:
    untold = [NodePhase.RUNNING, sorted(EXECUTION_TERMINAL), BATCH]
    _each("parent node", _column(_UNTOLD_PARENTS, untold), tell_parent)


def _children() -> None:
    orphaned = [[ExecutionPhase.ABORTING], sorted(NODE_TERMINAL), BATCH]
    _each("children of node", _column(_ORPHANS, orphaned), partial(abort_children_of, cause="aborted with its parent"))


def _admissions() -> None:
    admit()


def _preemptions() -> None:
    preempt()


def _executions() -> None:
    """In a burst most of them wait for their turn in the broker: those that begin do so together."""
    found = sorted(_column(_EXECUTIONS, [BATCH, timezone.now(), BATCH, sorted(ATTEMPT_TERMINAL), BATCH]))
    for start in range(0, len(found), SHARE):
        _guarded("executions", partial(advance_together, found[start : start + SHARE]))


def _usage() -> None:
    sum_up()


def _warnings() -> None:
    warning.look()


def _figures() -> None:
    count_events()


def _approvals() -> None:
    escalate_due()
    look_again()


def _levels() -> None:
    note_alive(timezone.now())
    levels.look()


def _triggers() -> None:
    sweep_triggers(limit=BATCH)


def _happenings() -> None:
    _each("happening", unhandled(limit=BATCH), handle)
    for version_id in overdue(limit=BATCH):
        wake_data_checks(version_id)


def _checks() -> None:
    for version_id, name in due(limit=BATCH):
        _guarded(f"check {name} of version {version_id}", partial(settle, version_id, name))


def _column(sql: str, parameters: list[Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def _each(what: str, ids: Iterable[int], action: Callable[[int], object]) -> None:
    for pk in ids:
        _guarded(f"{what} {pk}", partial(action, pk))


def _guarded(what: str, action: Callable[[], object]) -> None:
    try:
        action()
    except Exception:  # one that fails must not keep the others from being swept
        logger.exception("sweep: %s", what)
