"""Retention: what a policy would remove, and what stays although it is old, and why. Dry run first, then for real."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.utils import timezone

from artifacts.actions.retention import delete_objects, expired, remove
from artifacts.models import Alias, ArtifactVersion, Removal, RetentionPolicy
from lineage.models import VersionEdge
from lineage.queries import needed_by_descendants
from scheduler.models import Execution, FiringOutcome, TriggerFiring

logger = logging.getLogger(__name__)

ACTOR = "system:retention"
BATCH = 1000  # versions of one artifact looked at in one run; the next run goes on


@dataclass
class RetentionPlan:
    remove: list[ArtifactVersion] = field(default_factory=list)
    kept: list[tuple[ArtifactVersion, str]] = field(default_factory=list)  # old enough to go, with why it stays


def plan_retention(policy: RetentionPolicy) -> RetentionPlan:
    """The dry run: nothing is changed."""
    candidates = list(expired(policy, now=timezone.now())[:BATCH])
    ids = [version.pk for version in candidates]
    reasons: dict[int, str] = {}
    for version_id, name in Alias.objects.filter(version__in=ids).values_list("version_id", "name"):
        reasons[version_id] = f"alias '{name}' names it"
    for version_id, key in _used_by_unfinished(ids):
        reasons.setdefault(version_id, f"execution {key} is using it")
    waiting = TriggerFiring.objects.filter(
        version__in=ids, outcome__in=[FiringOutcome.UNRESOLVED, FiringOutcome.WAITING]
    )
    for version_id in waiting.values_list("version_id", flat=True):
        reasons.setdefault(version_id, "a trigger waits to launch with it")
    if policy.keep_ancestors:
        going = [pk for pk in ids if pk not in reasons]
        for version_id in needed_by_descendants(going):
            reasons[version_id] = "a kept version was made of it"
    plan = RetentionPlan()
    for version in candidates:
        if version.pk in reasons:
            plan.kept.append((version, reasons[version.pk]))
        else:
            plan.remove.append(version)
    return plan


def _used_by_unfinished(ids: Iterable[int]) -> list[tuple[int, str]]:
    """Versions that an unfinished execution took in or published, with its key."""
    edges = set(VersionEdge.objects.filter(version__in=list(ids)).values_list("version_id", "execution_key"))
    keys = {key for _, key in edges}
    unfinished = {
        execution.key for execution in Execution.objects.filter(ended_at__isnull=True).only("project", "domain", "name")
    }
    return [(version_id, key) for version_id, key in sorted(edges) if key in unfinished & keys]


def apply_retention(policy: RetentionPolicy, *, actor: str = ACTOR) -> list[Removal]:
    """Remove what the plan says, as it is now. Objects are deleted when the rows have committed."""
    plan = plan_retention(policy)
    rules = [f"keep the newest {policy.keep_newest}"] if policy.keep_newest is not None else []
    rules += [f"keep for {policy.keep_for}"] if policy.keep_for is not None else []
    removals = remove(plan.remove, actor=actor, reason=f"retention: {', '.join(rules)}")
    delete_objects()
    return removals


def apply_all() -> int:
    """Apply every policy, each on its own; the number of versions removed."""
    removed = 0
    for policy in RetentionPolicy.objects.select_related("artifact").order_by("pk"):
        try:
            removed += len(apply_retention(policy))
        except Exception:  # one policy that fails must not keep the others from theirs
            logger.exception("retention of %s failed", policy.artifact)
    delete_objects()
    return removed
