"""Removing versions: who still needs one, and what goes with it. A removed version stays as a tombstone for lineage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction
from django.db.models import Q

from artifacts.actions.holds import held, words_of
from artifacts.actions.retention import StoredData, data_of, delete_objects, lock_for_removal, remove
from artifacts.exceptions import FailedPrecondition
from artifacts.happenings import REMOVED, Kind
from artifacts.models import Alias, ArtifactVersion, Removal
from audit.record import record
from lineage.models import VersionEdge
from lineage.queries import needed_by_descendants
from scheduler.models import CacheEntry, Execution, FiringOutcome, TriggerFiring
from scheduler.uris import Uris

MADE_OF_IT = "a kept version was made of it"


def reasons_to_stay(ids: Sequence[int], *, descendants: bool = True) -> dict[int, list[str]]:
    """Why versions must not go, each with all its reasons; those without one may. A few queries, whatever the number.

    `descendants`: what versions that stay were made of stays too.
    """
    reasons: dict[int, list[str]] = {}
    for version_id, name in Alias.objects.filter(version__in=ids).order_by("name").values_list("version_id", "name"):
        reasons.setdefault(version_id, []).append(f"alias '{name}' names it")
    for version_id, holds in held(ids).items():
        reasons.setdefault(version_id, []).extend(words_of(one) for one in holds)
    for version_id, execution in _used_by_unfinished(ids):
        reasons.setdefault(version_id, []).append(f"{execution} is using it")
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
    """Versions that an unfinished execution took in or published, with its name: that of another place is none that
    every reader of the version may know.
    """
    rows = VersionEdge.objects.filter(version__in=list(ids))
    places = ("version__artifact__project", "version__artifact__domain")
    edges = set(rows.values_list("version_id", "execution_key", *places))
    keys = {key for _, key, *_ in edges}
    unfinished = {
        execution.key for execution in Execution.objects.filter(ended_at__isnull=True).only("project", "domain", "name")
    }
    return [
        (pk, f"execution {key}" if key.startswith(f"{project}/{domain}/") else "an execution of another place")
        for pk, key, project, domain in sorted(edges)
        if key in unfinished & keys
    ]


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


def tombstone(versions: Sequence[ArtifactVersion], *, actor: str, reason: str, kind: Kind = REMOVED) -> list[Removal]:
    """Remove these in the caller's transaction; nothing is reused any more whose outputs they are."""
    removals = remove(versions, actor=actor, reason=reason, kind=kind)
    if entries := _cache_entries(versions):
        CacheEntry.objects.filter(pk__in=entries).delete()
    return removals


# Nodes around a node hand on what it published: dynamic tasks, and those of the executions above that have a cache.
_AROUND = """
    WITH RECURSIVE up AS (
        SELECT n.id, n.parent_id, e.parent_node_id, n.output_uri
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS v(project, domain, name, node_id)
        JOIN scheduler_execution e ON e.project = v.project AND e.domain = v.domain AND e.name = v.name
        JOIN scheduler_nodeexecution n ON n.execution_id = e.id AND n.node_id = v.node_id
        UNION
        SELECT n.id, n.parent_id, e.parent_node_id, n.output_uri
        FROM up JOIN scheduler_nodeexecution n ON n.id = COALESCE(up.parent_id, up.parent_node_id)
        JOIN scheduler_execution e ON e.id = n.execution_id
    ) SELECT DISTINCT output_uri FROM up WHERE output_uri <> ''
"""


def _cache_entries(versions: Sequence[ArtifactVersion]) -> list[int]:
    """Those whose outputs carry one of the versions, locked in the order in which turns write them."""
    made = [version for version in versions if version.execution_key.count("/") == 2]
    if not made:
        return []
    found = [
        Uris.of_key(one.execution_key).published(one.node_id, one.attempt, one.output, one.version) for one in made
    ]
    names = [[*one.execution_key.split("/"), one.node_id] for one in made]
    with connection.cursor() as cursor:
        cursor.execute(_AROUND, [list(column) for column in zip(*names, strict=True)])
        uris = {uri for (uri,) in cursor.fetchall()}
    # Not empty: what the index has no others than, and PostgreSQL does not see of a list longer than a hundred
    which = Q(output_uri__in=uris | {uri for uri, _ in found if uri}) & ~Q(output_uri="")
    for prefix in {prefix for _, prefix in found if prefix}:
        which |= Q(output_uri__startswith=prefix)
    rows = CacheEntry.objects.filter(which).order_by("key").select_for_update()
    return list(rows.values_list("pk", flat=True))
