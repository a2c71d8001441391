"""Nodes that wait for a time to come. A time is set for others too: when what runs is stopped, when a gate closes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from scheduler.models import Gate, NodeExecution, NodeKind
from scheduler.phases import NodePhase


def of(executions: Collection[int] | None, *, now: datetime) -> QuerySet[NodeExecution]:
    """Sleeps, and tasks that are to be tried again, of these executions; None: of all that have not ended."""
    rows = NodeExecution.objects.filter(wake_at__gt=now, execution__ended_at__isnull=True)
    rows = rows if executions is None else rows.filter(execution__in=executions)
    again = rows.filter(phase=NodePhase.QUEUED, kind=NodeKind.TASK, attempts__gt=0, parked=False)
    # Whoever is asked for a decision has a row of the gate; of a sleep there is none.
    gate = Gate.objects.filter(node=OuterRef("pk"))
    return again | rows.filter(~Exists(gate), phase=NodePhase.RUNNING, kind=NodeKind.GATE)
