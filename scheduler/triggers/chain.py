"""Chains of reactions: a triggered execution publishes, which triggers again. Legal without end, but not without bound.

A chain that only goes on (find-next-prime) has one execution at a time. One that grows has more and more of them
unfinished: at `CAUSEWAY_TRIGGER_MAX_CHAIN` it is stopped, and what it would have launched is recorded as skipped.
"""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from artifacts.models import ArtifactVersion
from scheduler.models import Execution, TriggerFiring

MAX_PARENTS = 20  # nested launch plans between a triggered execution and the one that published


class Generation(NamedTuple):
    number: int  # 1: nothing triggered the publication
    root: TriggerFiring | None  # the firing that the chain began with


def generation_of(version: ArtifactVersion) -> Generation:
    """How far a firing for this version is from the beginning of its chain."""
    parts = version.execution_key.split("/")
    if len(parts) != 3:
        return Generation(1, None)
    execution = (
        Execution.objects.filter(project=parts[0], domain=parts[1], name=parts[2])
        .select_related("parent_node")
        .prefetch_related("firings__root")
        .first()
    )
    for _ in range(MAX_PARENTS):
        if execution is None:
            break
        firing = next(iter(execution.firings.all()), None)
        if firing is not None:
            return Generation(firing.generation + 1, firing.root or firing)
        if execution.parent_node is None:
            break
        execution = (
            Execution.objects.filter(pk=execution.parent_node.execution_id)
            .select_related("parent_node")
            .prefetch_related("firings__root")
            .first()
        )
    return Generation(1, None)


def check_chain(generation: Generation) -> str:
    """Why the chain must not go on; empty when it may."""
    root = generation.root
    if root is None:
        return ""
    if root.stopped_at is not None:
        return f"the chain of reactions that began with firing {root.pk} was stopped"
    if generation.number > settings.CAUSEWAY_TRIGGER_MAX_GENERATIONS:
        return (
            f"generation {generation.number}: at most {settings.CAUSEWAY_TRIGGER_MAX_GENERATIONS} follow on one another"
        )
    limit = settings.CAUSEWAY_TRIGGER_MAX_CHAIN
    unfinished = TriggerFiring.objects.filter(root=root, execution__ended_at__isnull=True, execution__isnull=False)
    if unfinished[:limit].count() < limit:
        return ""
    TriggerFiring.objects.filter(pk=root.pk, stopped_at__isnull=True).update(stopped_at=timezone.now())
    root.stopped_at = timezone.now()
    return (
        f"the chain of reactions that began with firing {root.pk} grew to {limit} unfinished executions and was stopped"
    )
