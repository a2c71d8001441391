"""Lineage by name: which artifacts are made of which, over their versions, and whose newest ones are out of date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection

from artifacts.models import Artifact, ArtifactVersion
from lineage.queries import HEAVY

RECENT = 100  # versions of each artifact that are looked at: what it is made of today, not ever
RECENT_OF_MANY = 20  # where many artifacts are drawn at once
MAX_ARTIFACTS = 500
PARTITIONS = 2_000  # the youngest partitions, of all asked for, whose newest versions are looked at
LISTED_OF = 1_000  # where they are listed, not counted


class NameStep(NamedTuple):
    """Versions of `target` were made of versions of `source`, by `producer` (task or workflow, without its version)."""

    source: Artifact
    target: Artifact
    producer: str
    versions: int  # of the target, among the recent ones


@dataclass(frozen=True)
class NameGraph:
    artifacts: list[Artifact]
    steps: list[NameStep]
    truncated: bool


# OFFSET 0 keeps each look a look into an index, of a row at a time: the planner, which cannot know how few derivations
# there are, would read the whole table of versions instead.
# Recent versions of some artifacts, and what stood on the other side of the executions that made or used them.
_NEIGHBOURS = """
WITH recent AS (
    SELECT newest.id, newest.artifact_id FROM unnest(%(artifacts)s::bigint[]) AS wanted(id)
    CROSS JOIN LATERAL (
        SELECT id, artifact_id FROM artifacts_artifactversion WHERE artifact_id = wanted.id
        ORDER BY created_at DESC, id DESC LIMIT %(recent)s
    ) AS newest
), pairs AS (
    SELECT used.source_id AS source, recent.id AS target
    FROM recent CROSS JOIN LATERAL (
        SELECT source_id FROM lineage_derivation WHERE target_id = recent.id OFFSET 0
    ) AS used
    UNION
    SELECT recent.id, made.target_id
    FROM recent CROSS JOIN LATERAL (
        SELECT target_id FROM lineage_derivation WHERE source_id = recent.id ORDER BY target_id DESC LIMIT %(recent)s
    ) AS made
)
SELECT source.artifact_id, target.artifact_id, regexp_replace(target.producer, '@.*$', ''),
       count(DISTINCT target.id)
FROM pairs
CROSS JOIN LATERAL (SELECT artifact_id FROM artifacts_artifactversion WHERE id = pairs.source OFFSET 0) AS source
CROSS JOIN LATERAL (
    SELECT id, artifact_id, producer FROM artifacts_artifactversion WHERE id = pairs.target OFFSET 0
) AS target
GROUP BY 1, 2, 3
"""


def name_graph(artifact: Artifact, *, limit: int = MAX_ARTIFACTS) -> NameGraph:
    """The whole meta-workflow that the artifact is part of, both ways; a query for each step of distance."""
    return _graph([artifact.pk], limit=limit, distance=None, recent=RECENT)


def name_graph_of(artifacts: Iterable[int], *, limit: int = MAX_ARTIFACTS) -> NameGraph:
    """The meta-workflow of many artifacts at once, with their direct neighbours. One query for the steps."""
    return _graph(artifacts, limit=limit, distance=1, recent=RECENT_OF_MANY)


def _graph(starts: Iterable[int], *, limit: int, distance: int | None, recent: int) -> NameGraph:
    wanted = list(starts)
    found = set(wanted[:limit])
    steps: dict[tuple[int, int, str], int] = {}
    frontier = set(found)
    truncated = len(wanted) > limit
    while frontier and distance != 0:
        distance = distance - 1 if distance is not None else None
        rows = _neighbours(frontier, recent)
        for source, target, producer, versions in rows:
            steps[source, target, producer] = max(versions, steps.get((source, target, producer), 0))
        frontier = {pk for row in rows for pk in row[:2]} - found
        if len(found) + len(frontier) > limit:
            truncated = True
            frontier = set(sorted(frontier)[: limit - len(found)])
        found |= frontier
    artifacts = Artifact.objects.in_bulk(found)
    return NameGraph(
        sorted(artifacts.values(), key=lambda one: one.key),
        [
            NameStep(artifacts[source], artifacts[target], producer, versions)
            for (source, target, producer), versions in sorted(steps.items())
            if source in artifacts and target in artifacts
        ],
        truncated,
    )


def _neighbours(artifacts: Iterable[int], recent: int) -> list[tuple[int, int, str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_NEIGHBOURS, {"artifacts": sorted(artifacts), "recent": recent})
        return list(cursor.fetchall())


class StaleVersion(NamedTuple):
    """`version`, the newest of its partition, was made directly of `used`, of which `newer` is there by now."""

    version: ArtifactVersion
    used: ArtifactVersion
    newer: ArtifactVersion


_OUT_OF_DATE = """
    FROM (
        SELECT artifact_id, digest FROM artifacts_partition WHERE artifact_id = ANY(%(artifacts)s)
        ORDER BY id DESC LIMIT %(partitions)s
    ) AS part
    CROSS JOIN LATERAL (
        SELECT id FROM artifacts_artifactversion
        WHERE artifact_id = part.artifact_id AND partition_digest = part.digest AND removed_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT 1
    ) AS newest
    CROSS JOIN LATERAL (
        SELECT source_id FROM lineage_derivation WHERE target_id = newest.id OFFSET 0
    ) AS derivation
    CROSS JOIN LATERAL (
        SELECT id, artifact_id, partition_digest, time_partition, created_at FROM artifacts_artifactversion
        WHERE id = derivation.source_id OFFSET 0
    ) AS used
    CROSS JOIN LATERAL (
        SELECT id FROM artifacts_artifactversion AS candidate
        WHERE candidate.artifact_id = used.artifact_id AND candidate.partition_digest = used.partition_digest
          AND candidate.time_partition IS NOT DISTINCT FROM used.time_partition AND candidate.removed_at IS NULL
          AND (candidate.created_at, candidate.id) > (used.created_at, used.id) AND candidate.id <> newest.id
        ORDER BY candidate.created_at DESC, candidate.id DESC LIMIT 1
    ) AS newer
"""
_STALE = f"""
    SELECT newest.id, used.id, newer.id {_OUT_OF_DATE}
    GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2 DESC LIMIT %(limit)s
"""  # noqa: S608 - constants


_STALE_AMONG = """
    SELECT DISTINCT derivation.target_id
    FROM lineage_derivation AS derivation
    JOIN artifacts_artifactversion AS used ON used.id = derivation.source_id
    CROSS JOIN LATERAL (
        SELECT id FROM artifacts_artifactversion AS candidate
        WHERE candidate.artifact_id = used.artifact_id AND candidate.partition_digest = used.partition_digest
          AND candidate.time_partition IS NOT DISTINCT FROM used.time_partition AND candidate.removed_at IS NULL
          AND (candidate.created_at, candidate.id) > (used.created_at, used.id) AND candidate.id <> derivation.target_id
        LIMIT 1
    ) AS newer
    WHERE derivation.target_id = ANY(%s)
"""


def stale_among(versions: Iterable[int]) -> set[int]:
    """Those of the versions that were made directly of something since published anew."""
    with connection.cursor() as cursor:
        cursor.execute(_STALE_AMONG, [list(versions)])
        return {pk for (pk,) in cursor.fetchall()}


_STALE_COUNTS = f"SELECT part.artifact_id, count(DISTINCT newest.id) {_OUT_OF_DATE} GROUP BY 1"  # noqa: S608 - constants


def stale_counts(artifacts: Iterable[int]) -> dict[int, int]:
    """How many partitions of each artifact have a newest version that is out of date; those with none are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_STALE_COUNTS, {"artifacts": list(artifacts), "partitions": PARTITIONS})
        return dict(cursor.fetchall())


def stale_versions(artifacts: Iterable[Artifact], *, limit: int = 200) -> list[StaleVersion]:
    """Newest versions (of each partition) of these artifacts that were made of something since published anew.

    The newest of them first; one row for each thing that is out of date about a version.
    """
    with connection.cursor() as cursor:
        ids = [artifact.pk for artifact in artifacts]
        cursor.execute(_STALE, {"artifacts": ids, "limit": limit, "partitions": LISTED_OF})
        rows = cursor.fetchall()
    wanted = {pk for row in rows for pk in row}
    found = ArtifactVersion.objects.select_related("artifact").defer(*HEAVY).in_bulk(wanted)
    return [StaleVersion(found[version], found[used], found[newer]) for version, used, newer in rows]
