"""What executions do right now, as the doors show it: the answer of scheduler.doing at each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from scheduler import doing
from scheduler.doing import Doing
from scheduler.models import Execution, NodeExecution, TaskExecution

Rows = TypeVar("Rows", bound=Iterable[Execution])
_KEPT = "_doing"  # on the row


def with_doing(rows: Rows, known: Mapping[int, Doing] | None = None) -> Rows:
    """The same rows, each knowing what it does: one look for all of them. `known`: what was looked up already."""
    found = doing.of_executions(rows) if known is None else known
    for row in rows:
        setattr(row, _KEPT, found.get(row.pk))
    return rows


def doing_of(execution: Execution) -> Doing | None:
    """None: it has ended, or is about to. Rows of a list were given it by `with_doing`."""
    if not hasattr(execution, _KEPT):
        with_doing([execution])
    found: Doing | None = getattr(execution, _KEPT)
    return found


def nodes_with_doing(execution: Execution, nodes: list[NodeExecution]) -> None:
    """As `with_doing`, of nodes of one execution."""
    found = doing.of_nodes(execution, nodes) if execution.ended_at is None else {}
    for node in nodes:
        setattr(node, _KEPT, found.get(node.pk))


def doing_of_node(node: NodeExecution) -> Doing | None:
    """None: it has ended, or nothing of it is active."""
    if not hasattr(node, _KEPT):
        nodes_with_doing(node.execution, [node])
    found: Doing | None = getattr(node, _KEPT)
    return found


def attempts_with_doing(rows: Iterable[TaskExecution]) -> dict[int, Doing]:
    """As `with_doing`, of attempts; by primary key."""
    shown = list(rows)
    found = doing.of_attempts(shown)
    for row in shown:
        setattr(row, _KEPT, found.get(row.pk))
    return found


def doing_of_attempt(row: TaskExecution) -> Doing | None:
    """None: it has ended."""
    if not hasattr(row, _KEPT):
        attempts_with_doing([row])
    found: Doing | None = getattr(row, _KEPT)
    return found
