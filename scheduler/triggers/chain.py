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
    root_id: int | None = None  # the firing that the chain began with
    stopped: bool = False


def generation_of(version: ArtifactVersion) -> Generation:
    """How far a firing for this version is from the beginning of its chain. A query, and one for each nested parent."""
    parts = version.execution_key.split("/")
    if len(parts) != 3:
        return Generation(1)
    execution = Execution.objects.filter(project=parts[0], domain=parts[1], name=parts[2])
    for _ in range(MAX_PARENTS):
        row = execution.values_list(
            "parent_node__execution_id",
            "firings__pk",
            "firings__generation",
            "firings__stopped_at",
            "firings__root_id",
            "firings__root__stopped_at",
        )[:1]
        if not row:
            break
        parent, firing, generation, stopped, root, root_stopped = row[0]
        if firing is not None:
            return Generation(generation + 1, root or firing, (root_stopped if root else stopped) is not None)
        if parent is None:
            break
        execution = Execution.objects.filter(pk=parent)
    return Generation(1)


def check_chain(generation: Generation) -> str:
    """Why the chain must not go on; empty when it may."""
    root = generation.root_id
    if root is None:
        return ""
    if generation.stopped:
        return f"the chain of reactions that began with firing {root} was stopped"
    if generation.number > settings.CAUSEWAY_TRIGGER_MAX_GENERATIONS:
        return (
            f"generation {generation.number}: at most {settings.CAUSEWAY_TRIGGER_MAX_GENERATIONS} follow on one another"
        )
    limit = settings.CAUSEWAY_TRIGGER_MAX_CHAIN
    unfinished = TriggerFiring.objects.filter(root_id=root, execution__ended_at__isnull=True, execution__isnull=False)
    if unfinished[:limit].count() < limit:
        return ""
    TriggerFiring.objects.filter(pk=root, stopped_at__isnull=True).update(stopped_at=timezone.now())
    return f"the chain of reactions that began with firing {root} grew to {limit} unfinished executions and was stopped"


def release(firing: TriggerFiring) -> None:
    """A person lets a stopped chain go on: what is retried by hand begins a chain of its own, unsaved as yet."""
    if firing.root_id is not None:
        TriggerFiring.objects.filter(pk=firing.root_id).update(stopped_at=None)
        if firing.generation > settings.CAUSEWAY_TRIGGER_MAX_GENERATIONS:
            firing.generation, firing.root_id = 1, None
