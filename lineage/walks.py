"""Whole ancestries and everything that was made of a version: one bounded recursive query, and two to fetch."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from django.db import connection

from artifacts.models import ArtifactVersion, Kind
from artifacts.periods import shown_partitions
from lineage.graph import Direction, Graph, Origin, reach

MAX_DEPTH = 100_000  # deeper than any chain that MAX_NODES lets through
MAX_NODES = 10_000
SHALLOW = 12  # up to this depth the database itself stops there


class VersionNode(NamedTuple):
    """What a graph of lineage shows of a version: an artifact version without what is heavy."""

    pk: int
    artifact_id: int
    project: str
    domain: str
    name: str
    version: str
    kind: str
    execution_key: str
    node_id: str
    producer: str
    same_data_as_id: int | None
    partitions: dict[str, str]  # shared by the versions that have the same: not to be changed
    time_partition: datetime | None
    created_at: datetime
    removed_at: datetime | None
    granularity: int  # of the artifact's time partition

    @property
    def shown_partitions(self) -> list[tuple[str, str]]:
        """With the time, as people name it."""
        return shown_partitions(self.partitions, self.time_partition, self.granularity)

    @property
    def artifact(self) -> str:
        return f"{self.project}/{self.domain}/{self.name}"

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


# Times as numbers: of thousands of rows, reading them as Django does costs more than all other columns together.
_NODES = """
SELECT version.id, artifact.id, artifact.project, artifact.domain, artifact.name, version.version, version.kind,
       version.execution_key, version.node_id, version.producer, version.same_data_as_id, version.partitions::text,
       extract(epoch FROM version.time_partition)::float8, extract(epoch FROM version.created_at)::float8,
       extract(epoch FROM version.removed_at)::float8, artifact.granularity
FROM artifacts_artifactversion AS version JOIN artifacts_artifact AS artifact ON artifact.id = version.artifact_id
WHERE version.id = ANY(%s)
"""


def nodes_of(ids: Collection[int]) -> dict[int, VersionNode]:
    """One query."""
    with connection.cursor() as cursor:
        cursor.execute(_NODES, [list(ids)])
        rows = cursor.fetchall()
    partitions = {text: json.loads(text) for text in {row[11] for row in rows}}
    return {
        row[0]: VersionNode._make((*row[:11], partitions[row[11]], *map(_moment, row[12:15]), row[15])) for row in rows
    }


def _moment(epoch: float | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, timezone.utc)


# UNION keeps each version once: linear in what it reaches. It goes breadth first, so LIMIT cuts off the farthest.
# OFFSET 0 keeps the planner to one look into the index for each version, whatever it thinks of their number.
_DEEP = """
WITH RECURSIVE walk(id) AS (
    SELECT %(start)s::bigint
    UNION
    SELECT next.id FROM walk CROSS JOIN LATERAL (
        SELECT {far}_id AS id FROM lineage_derivation WHERE {near}_id = walk.id OFFSET 0
    ) AS next
)
SELECT id FROM walk LIMIT %(limit)s
"""
# With the depth in it, UNION keeps a version once for each length of path to it: at most SHALLOW times.
_SHALLOW = """
WITH RECURSIVE walk(id, depth) AS (
    SELECT %(start)s::bigint, 0
    UNION
    SELECT next.id, walk.depth + 1 FROM walk CROSS JOIN LATERAL (
        SELECT {far}_id AS id FROM lineage_derivation WHERE {near}_id = walk.id OFFSET 0
    ) AS next WHERE walk.depth < %(depth)s
)
SELECT id FROM (SELECT id, depth FROM walk LIMIT %(rows)s) AS found
GROUP BY id ORDER BY min(depth), id DESC LIMIT %(limit)s
"""
_ENDS = {"upstream": {"near": "target", "far": "source"}, "downstream": {"near": "source", "far": "target"}}
_WALKS = {
    (direction, deep): (_DEEP if deep else _SHALLOW).format(**ends)
    for direction, ends in _ENDS.items()
    for deep in (True, False)
}
MAX_STEPS = 200_000  # of one graph: versions may share so many parents


@dataclass
class Reached:
    """The versions reached from one, nearest first, and how they hang together."""

    graph: Graph
    versions: dict[int, VersionNode]  # the start among them
    truncated: bool  # more than the limit were there to reach

    def relatives(self) -> list[tuple[VersionNode, int]]:
        """Everything but the start, with its distance; nearest first, then newest."""
        found = [(self.versions[pk], depth) for pk, depth in self.graph.depths.items() if depth]
        return sorted(found, key=lambda one: (one[1], -one[0].pk))


def ancestry(start: int, *, max_depth: int = MAX_DEPTH, limit: int = MAX_NODES) -> Reached:
    """Everything the version was made of, however far back. Three queries."""
    return _reached(start, "upstream", max_depth, limit)


def impact(start: int, *, max_depth: int = MAX_DEPTH, limit: int = MAX_NODES) -> Reached:
    """Everything that was made of the version, however far on. Three queries."""
    return _reached(start, "downstream", max_depth, limit)


def _reached(start: int, direction: Direction, max_depth: int, limit: int) -> Reached:
    ids = _walk(start, direction, max_depth, limit + 1)
    truncated, ids = len(ids) > limit, ids[:limit]
    graph = reach(start, _steps(ids), direction, max_depth=max_depth)
    versions = nodes_of(graph.depths.keys())
    return Reached(graph, {pk: versions[pk] for pk in graph.depths}, truncated)


def _walk(start: int, direction: Direction, max_depth: int, limit: int) -> list[int]:
    deep = max_depth > SHALLOW
    parameters = {"start": start, "depth": max_depth, "limit": limit, "rows": limit * (min(max_depth, SHALLOW) + 1)}
    with connection.cursor() as cursor:
        cursor.execute(_WALKS[direction, deep], parameters)
        return [row[0] for row in cursor.fetchall()]


def _steps(ids: Collection[int]) -> list[Origin]:
    """The steps between these versions."""
    with connection.cursor() as cursor:
        cursor.execute(_BETWEEN, {"ids": list(ids), "limit": MAX_STEPS})
        return list(cursor.fetchall())


# One look into the index for each version, on its sources: there are few of those, while what was made of a version
# may be a million others. The cast of the second list is what makes it a hash table, not a list to look through.
_BETWEEN = """
SELECT step.source_id, step.target_id
FROM unnest(%(ids)s::bigint[]) AS chosen(id) CROSS JOIN LATERAL (
    SELECT source_id, target_id FROM lineage_derivation WHERE target_id = chosen.id OFFSET 0
) AS step
WHERE step.source_id = ANY(%(ids)s::bigint[])
LIMIT %(limit)s
"""


def trained_on(start: int, *, limit: int = MAX_NODES) -> list[tuple[VersionNode, int]]:
    """The datasets that the version was made of, with their distance, nearest first."""
    return [(one, depth) for one, depth in ancestry(start, limit=limit).relatives() if one.kind == Kind.DATASET]


class Stale(NamedTuple):
    """`used` went into a version, `newer` is there by now: the newest with the same partitions."""

    used: VersionNode
    newer: VersionNode
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


def staleness(start: int, *, limit: int = MAX_NODES, max_depth: int = MAX_DEPTH) -> list[Stale]:
    """What the version was made of and has been published anew since, nearest first; empty when it is up to date."""
    reached = ancestry(start, limit=limit, max_depth=max_depth)
    newer = newer_of(pk for pk, depth in reached.graph.depths.items() if depth)
    found = nodes_of(newer.values())
    stale = [
        Stale(reached.versions[used], found[new], reached.graph.depths[used])
        for used, new in newer.items()
        if new != start  # a version of its own artifact, made of the one before it
    ]
    return sorted(stale, key=lambda one: (one.depth, -one.used.pk))


def newer_of(ids: Iterable[int]) -> dict[int, int]:
    """Those of the versions that have been published anew under the same partitions, with the newest."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWER, [list(ids)])
        return dict(cursor.fetchall())


@dataclass(frozen=True)
class AncestryChange:
    """One artifact in the ancestries of two versions: the versions that only one of them has."""

    artifact: str
    only_first: list[VersionNode]
    only_second: list[VersionNode]


def compare_ancestries(first: ArtifactVersion, second: ArtifactVersion) -> list[AncestryChange]:
    """What changed between the ancestries of two versions, by artifact; empty when they were made of the same."""
    of_first, of_second = ancestry(first.pk).versions, ancestry(second.pk).versions
    of_first.pop(first.pk), of_second.pop(second.pk)
    only_first = [of_first[pk] for pk in of_first.keys() - of_second.keys()]
    only_second = [of_second[pk] for pk in of_second.keys() - of_first.keys()]
    names = sorted({one.artifact for one in [*only_first, *only_second]})
    return [
        AncestryChange(
            name,
            sorted((one for one in only_first if one.artifact == name), key=lambda one: -one.pk),
            sorted((one for one in only_second if one.artifact == name), key=lambda one: -one.pk),
        )
        for name in names
    ]
