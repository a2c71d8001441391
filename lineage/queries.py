"""Questions about lineage, each a single bounded query, newest facts first where there is an order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db import connection

from artifacts.models import ArtifactVersion, Kind
from lineage.graph import Direction, Graph, Link, Origin, origins, reach
from lineage.models import ExecutionLink, VersionEdge, VersionRole

HOP_LIMIT = 200  # neighbours shown of one version
MAX_DEPTH = 1000
MAX_NODES = 10_000
HEAVY = ("literal", "literal_type", "card", "terms")  # columns that a list of versions does not need


@dataclass
class Step:
    """An execution beside a version, with the other versions on its far side."""

    execution_key: str
    edges: list[VersionEdge]  # how this version and the execution meet
    others: list[VersionEdge] = field(default_factory=list)  # one for each version, which has its artifact


@dataclass
class Hop:
    """One hop around a version: who made it and of what, who used it and what they made."""

    version: ArtifactVersion
    producers: list[Step]
    consumers: list[Step]
    truncated: bool  # there is more than HOP_LIMIT of something
    same_data_as: ArtifactVersion | None = None
    republished: list[ArtifactVersion] = field(default_factory=list)


def one_hop(version: ArtifactVersion) -> Hop:
    """Three queries, whatever the number of neighbours."""
    near = list(VersionEdge.objects.filter(version=version).order_by("-at", "-pk")[: HOP_LIMIT + 1])
    truncated = len(near) > HOP_LIMIT
    near = near[:HOP_LIMIT]
    producers = _steps(edge for edge in near if edge.role == VersionRole.PRODUCED)
    consumers = _steps(edge for edge in near if edge.role == VersionRole.CONSUMED)
    # An execution that took in its own output (in a later node) is its producer only.
    consumers = {key: step for key, step in consumers.items() if key not in producers}
    truncated |= _fill(producers, VersionRole.CONSUMED, version)
    truncated |= _fill(consumers, VersionRole.PRODUCED, version)
    return Hop(
        version,
        list(producers.values()),
        list(consumers.values()),
        truncated,
        same_data_as=version.same_data_as,
        republished=list(version.republished.select_related("artifact").order_by("-created_at")[:HOP_LIMIT]),
    )


def _steps(edges: Iterable[VersionEdge]) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    for edge in edges:
        steps.setdefault(edge.execution_key, Step(edge.execution_key, [])).edges.append(edge)
    return steps


def _fill(steps: dict[str, Step], role: VersionRole, version: ArtifactVersion) -> bool:
    """The versions on the far side of the executions; True when there are too many to show."""
    if not steps:
        return False
    # What an execution took in before it published the version has a lower id, what it made of it a higher one.
    side = {"version__lt": version.pk} if role == VersionRole.CONSUMED else {"version__gt": version.pk}
    far = list(
        VersionEdge.objects.filter(execution_key__in=list(steps), role=role, **side)
        .select_related("version__artifact")
        .order_by("-at", "-pk")[: HOP_LIMIT + 1]
    )
    seen: set[tuple[str, int]] = set()
    for edge in sorted(far[:HOP_LIMIT], key=lambda edge: edge.node_id != ""):  # of several, the execution's own edge
        if (edge.execution_key, edge.version_id) not in seen:
            seen.add((edge.execution_key, edge.version_id))
            steps[edge.execution_key].others.append(edge)
    return len(far) > HOP_LIMIT


# UNION keeps each version once: linear in what it reaches. It goes breadth first, so LIMIT cuts off the farthest.
# An execution's outputs came from what it took in before, which has lower ids.
_WALK = """
WITH RECURSIVE walk(id) AS (
    SELECT %(start)s::bigint
    UNION
    SELECT next.id FROM walk CROSS JOIN LATERAL (
        SELECT far.version_id AS id
        FROM lineage_versionedge AS near
        JOIN lineage_versionedge AS far ON far.execution_key = near.execution_key AND far.role = %(far)s
        WHERE near.version_id = walk.id AND near.role = %(near)s AND far.version_id {before} near.version_id
        UNION ALL
        {same_data}
    ) AS next
)
SELECT id FROM walk LIMIT %(limit)s
"""
_WALKS = {
    "upstream": _WALK.format(
        before="<",
        same_data="SELECT same_data_as_id FROM artifacts_artifactversion "
        "WHERE id = walk.id AND same_data_as_id IS NOT NULL",
    ),
    "downstream": _WALK.format(
        before=">", same_data="SELECT id FROM artifacts_artifactversion WHERE same_data_as_id = walk.id"
    ),
}


@dataclass
class Reached:
    """The versions reached from one, nearest first, and how they hang together."""

    graph: Graph
    versions: dict[int, ArtifactVersion]  # with their artifacts; the start among them
    truncated: bool  # more than the limit were there to reach

    def relatives(self) -> list[tuple[ArtifactVersion, int]]:
        """Everything but the start, with its distance in executions; nearest first, then newest."""
        found = [(self.versions[pk], depth) for pk, depth in self.graph.depths.items() if depth]
        return sorted(found, key=lambda one: (one[1], -one[0].pk))

    def names(self) -> dict[int, str]:
        return {pk: f"{version.artifact.name}@{version.version}" for pk, version in self.versions.items()}


def ancestry(version: ArtifactVersion, *, max_depth: int = MAX_DEPTH, limit: int = MAX_NODES) -> Reached:
    """Everything the version was made of, however far back."""
    return _reached(version, "upstream", max_depth, limit)


def impact(version: ArtifactVersion, *, max_depth: int = MAX_DEPTH, limit: int = MAX_NODES) -> Reached:
    """Everything that was made of the version, however far on."""
    return _reached(version, "downstream", max_depth, limit)


def _reached(version: ArtifactVersion, direction: Direction, max_depth: int, limit: int) -> Reached:
    roles = [VersionRole.PRODUCED.value, VersionRole.CONSUMED.value]
    near, far = roles if direction == "upstream" else reversed(roles)
    with connection.cursor() as cursor:
        cursor.execute(_WALKS[direction], {"start": version.pk, "near": near, "far": far, "limit": limit + 1})
        ids = [row[0] for row in cursor.fetchall()]
    truncated, ids = len(ids) > limit, ids[:limit]
    edges = VersionEdge.objects.filter(version__in=ids).values_list("version_id", "execution_key", "role").distinct()
    versions = {
        found.pk: found for found in ArtifactVersion.objects.filter(pk__in=ids).select_related("artifact").defer(*HEAVY)
    }
    steps = origins(Link(*edge) for edge in edges)
    steps += [
        Origin(found.same_data_as_id, found.pk, found.execution_key)
        for found in versions.values()
        if found.same_data_as_id in versions
    ]
    graph = reach(version.pk, sorted(set(steps)), direction, max_depth=max_depth)
    return Reached(graph, {pk: versions[pk] for pk in graph.depths}, truncated)


def trained_on(version: ArtifactVersion, *, limit: int = MAX_NODES) -> list[tuple[ArtifactVersion, int]]:
    """The datasets that the version was made of, with their distance, nearest first."""
    return [(one, depth) for one, depth in ancestry(version, limit=limit).relatives() if one.kind == Kind.DATASET]


class Stale(NamedTuple):
    """`used` went into a version, `newer` is there by now: the newest with the same partitions."""

    used: ArtifactVersion
    newer: ArtifactVersion
    depth: int  # 1: used directly


_NEWER = """
    SELECT used.id, newer.id FROM artifacts_artifactversion AS used
    CROSS JOIN LATERAL (
        SELECT id FROM artifacts_artifactversion AS candidate
        WHERE candidate.artifact_id = used.artifact_id AND candidate.partition_digest = used.partition_digest
          AND candidate.time_partition IS NOT DISTINCT FROM used.time_partition
          AND (candidate.created_at, candidate.id) > (used.created_at, used.id) AND candidate.removed_at IS NULL
        ORDER BY candidate.created_at DESC, candidate.id DESC LIMIT 1
    ) AS newer
    WHERE used.id = ANY(%s)
"""


def staleness(version: ArtifactVersion, *, limit: int = MAX_NODES) -> list[Stale]:
    """What the version was made of and has been published anew since, nearest first; empty when it is up to date."""
    reached = ancestry(version, limit=limit)
    ancestors = [pk for pk, depth in reached.graph.depths.items() if depth]
    with connection.cursor() as cursor:
        cursor.execute(_NEWER, [ancestors])
        newer = dict(cursor.fetchall())
    found = ArtifactVersion.objects.select_related("artifact").defer(*HEAVY).in_bulk(newer.values())
    stale = [
        Stale(reached.versions[used], found[new], reached.graph.depths[used])
        for used, new in newer.items()
        if new != version.pk  # a version of its own artifact, made of the one before it
    ]
    return sorted(stale, key=lambda one: (one.depth, -one.used.pk))


@dataclass(frozen=True)
class AncestryChange:
    """One artifact in the ancestries of two versions: the versions that only one of them has."""

    artifact: str
    only_first: list[ArtifactVersion]
    only_second: list[ArtifactVersion]


def compare_ancestries(first: ArtifactVersion, second: ArtifactVersion) -> list[AncestryChange]:
    """What changed between the ancestries of two versions, by artifact; empty when they were made of the same."""
    of_first, of_second = ancestry(first).versions, ancestry(second).versions
    of_first.pop(first.pk), of_second.pop(second.pk)
    only_first = [of_first[pk] for pk in of_first.keys() - of_second.keys()]
    only_second = [of_second[pk] for pk in of_second.keys() - of_first.keys()]
    names = sorted({str(one.artifact) for one in [*only_first, *only_second]})
    return [
        AncestryChange(
            name,
            [one for one in only_first if str(one.artifact) == name],
            [one for one in only_second if str(one.artifact) == name],
        )
        for name in names
    ]


def started_by(execution_key: str) -> list[ExecutionLink]:
    """What started the execution: a trigger firing, a parent, a relaunch, a recovery or a schedule."""
    return list(ExecutionLink.objects.filter(execution_key=execution_key).order_by("at"))


def started_from(source: str, *, limit: int = HOP_LIMIT) -> list[ExecutionLink]:
    """The executions that `source` (an execution key, `trigger:<id>`, `schedule:<id>`) started, newest first."""
    return list(ExecutionLink.objects.filter(source=source).order_by("-at", "-pk")[:limit])


def versions_of(execution_key: str) -> list[VersionEdge]:
    """What an execution took in and published, each with its version and artifact."""
    edges = VersionEdge.objects.filter(execution_key=execution_key)
    return list(edges.select_related("version__artifact").order_by("role", "at", "pk"))


_CHILDREN = """
    SELECT DISTINCT near.version_id, far.version_id, version.removed_at IS NOT NULL
    FROM lineage_versionedge AS near
    JOIN lineage_versionedge AS far ON far.execution_key = near.execution_key AND far.role = 'produced'
    JOIN artifacts_artifactversion AS version ON version.id = far.version_id
    WHERE near.version_id = ANY(%(ids)s) AND near.role = 'consumed' AND far.version_id > near.version_id
    UNION
    SELECT same_data_as_id, id, removed_at IS NOT NULL FROM artifacts_artifactversion
    WHERE same_data_as_id = ANY(%(ids)s)
"""


def needed_by_descendants(ids: Iterable[int]) -> set[int]:
    """Those of the versions that something was made of which is neither removed nor among them, however far on.

    One query for each layer of removed versions in between.
    """
    asked = set(ids)
    children: dict[int, set[int]] = {pk: set() for pk in asked}
    kept: set[int] = set()
    frontier = list(children)
    while frontier:
        with connection.cursor() as cursor:
            cursor.execute(_CHILDREN, {"ids": frontier})
            rows = cursor.fetchall()
        for parent, child, _removed in rows:
            children[parent].add(child)
        tombstones = {child for _, child, removed in rows if removed and child not in children}
        kept |= {child for _, child, removed in rows if not removed and child not in children}
        frontier = list(tombstones)
        children.update({pk: set() for pk in tombstones})
    needed: set[int] = set()
    for pk in sorted(children, reverse=True):  # what was made of a version has a higher id
        if children[pk] & (kept | needed):
            needed.add(pk)
    return needed & asked
