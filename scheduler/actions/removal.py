"""Removing versions: who still needs one, and what goes with it. A removed version stays as a tombstone for lineage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from artifacts.actions.retention import StoredData, data_of, delete_objects, lock_for_removal, remove
from artifacts.exceptions import FailedPrecondition
from artifacts.models import Alias, ArtifactVersion, Removal
from artifacts.store import store
from audit.record import record
from lineage.models import VersionEdge
from lineage.queries import needed_by_descendants
from scheduler.models import CacheEntry, Execution, FiringOutcome, TriggerFiring

MADE_OF_IT = "a kept version was made of it"


def reasons_to_stay(ids: Sequence[int], *, descendants: bool = True) -> dict[int, list[str]]:
    """Why versions must not go, each with all its reasons; those without one may. A few queries, whatever the number.

    `descendants`: what versions that stay were made of stays too.
    """
    reasons: dict[int, list[str]] = {}
    for version_id, name in Alias.objects.filter(version__in=ids).order_by("name").values_list("version_id", "name"):
        reasons.setdefault(version_id, []).append(f"alias '{name}' names it")
    for version_id, key in _used_by_unfinished(ids):
        reasons.setdefault(version_id, []).append(f"execution {key} is using it")
    waiting = TriggerFiring.objects.filter(
        version__in=ids, outcome__in=[FiringOutcome.UNRESOLVED, FiringOutcome.WAITING]
    )
    for version_id in sorted(set(waiting.values_list("version_id", flat=True))):
        reasons.setdefault(version_id, []).append("a trigger waits to launch with it")
    if descendants:
        staying = set(reasons)
        for version_id in needed_by_descendants(ids, staying=staying):
            reasons.setdefault(version_id, []).append(MADE_OF_IT)
    return reasons


def _used_by_unfinished(ids: Iterable[int]) -> list[tuple[int, str]]:
    """Versions that an unfinished execution took in or published, with its key."""
    edges = set(VersionEdge.objects.filter(version__in=list(ids)).values_list("version_id", "execution_key"))
    keys = {key for _, key in edges}
    unfinished = {
        execution.key for execution in Execution.objects.filter(ended_at__isnull=True).only("project", "domain", "name")
    }
    return [(version_id, key) for version_id, key in sorted(edges) if key in unfinished & keys]


@dataclass
class RemovalPlan:
    """What removing one version would do. `blocked`: why it cannot be; `descendants`: it can, as a tombstone."""

    version: ArtifactVersion
    blocked: list[str] = field(default_factory=list)
    descendants: bool = False
    data: list[StoredData] = field(default_factory=list)


def plan_removal(version: ArtifactVersion) -> RemovalPlan:
    """The dry run: nothing is changed."""
    reasons = reasons_to_stay([version.pk]).get(version.pk, [])
    if version.removed_at is not None:
        reasons = [f"its data was removed at {version.removed_at:%Y-%m-%d %H:%M} UTC"]
    blocked = [reason for reason in reasons if reason != MADE_OF_IT]
    return RemovalPlan(version, blocked, MADE_OF_IT in reasons, [] if version.removed_at else data_of(version))


def remove_version(version: ArtifactVersion, *, tombstone_used: bool, actor: str, reason: str) -> RemovalPlan:
    """Remove a version by hand: its row and lineage stay as a tombstone, its data goes, after the commit.

    FailedPrecondition when an alias, an unfinished execution or a waiting trigger needs it, and when kept versions
    were made of it unless `tombstone_used` says that their ancestor's data may go.
    """
    with transaction.atomic():
        list(lock_for_removal(ArtifactVersion.objects.filter(pk=version.pk)).values_list("pk"))
        version.refresh_from_db(fields=["removed_at"])  # of two at once, the second finds it removed
        plan = plan_removal(version)
        if plan.blocked:
            raise FailedPrecondition(f"{version} cannot be removed: {'; '.join(plan.blocked)}", detail=plan.blocked)
        if plan.descendants and not tombstone_used:
            raise FailedPrecondition(
                f"{version} cannot be removed: {MADE_OF_IT}; ask for a tombstone to let its data go all the same",
                detail=[MADE_OF_IT],
            )
        tombstone([version], actor=actor, reason=reason or "removed by hand")
        place = {"project": version.artifact.project, "domain": version.artifact.domain}
        detail = {"reason": reason, "tombstone": plan.descendants}
        record(actor, "version.remove", version, **place, detail=detail)
    delete_objects()
    return plan


def tombstone(versions: Sequence[ArtifactVersion], *, actor: str, reason: str) -> list[Removal]:
    """Remove these in the caller's transaction; nothing is reused any more whose outputs they are."""
    removals = remove(versions, actor=actor, reason=reason)
    outputs = [
        f"{store().root}/metadata/{version.execution_key}/{version.node_id}/outputs.pb"
        for version in versions
        if version.execution_key
    ]
    if outputs:
        CacheEntry.objects.filter(output_uri__in=outputs).delete()
    return removals
