"""The rows beside new versions: their partitions, their metrics, and that they were published."""

from __future__ import annotations

import json
from collections.abc import Sequence

from artifacts.arrays import column_of
from artifacts.happenings import PUBLISHED, WRITTEN, inserting, told
from artifacts.models import ArtifactVersion
from artifacts.prepared import prepared

# With every publication: one statement, as the ORM would take longer to put these together than the database to carry
# them out. Triggers look at versions, not at happenings of them, so nothing is left to be done about these.
_ROWS = """
    WITH partition AS (
        INSERT INTO artifacts_partition (artifact_id, digest, "values")
        SELECT * FROM unnest(
            %(partition_of)s::bigint[], %(partition_digests)s::text[], %(partition_values)s::jsonb[]
        ) ON CONFLICT DO NOTHING
    ), metric AS (
        INSERT INTO artifacts_metric (version_id, name, value)
        SELECT * FROM unnest(%(metric_of)s::bigint[], %(metric_names)s::text[], %(metric_values)s::float8[])
    ),
    {inserting}
    {WRITTEN}
"""
_HAPPENINGS = """
    SELECT %(kind)s::text, at, project, domain, left(subject, 700), artifact, version, execution, '', actor,
        NULL::bigint, '{}'::jsonb, NULL::text, at
    FROM unnest(
        %(ats)s::timestamptz[], %(projects)s::text[], %(domains)s::text[], %(subjects)s::text[],
        %(artifacts)s::bigint[], %(versions)s::bigint[], %(executions)s::text[], %(actors)s::text[]
    ) AS row(at, project, domain, subject, artifact, version, execution, actor)
"""


def write_beside(rows: Sequence[ArtifactVersion]) -> None:
    """For versions that were inserted in this transaction."""
    if not rows:
        return
    # Partitions in one order: no deadlock with others who begin the same ones.
    partitions = sorted({(row.artifact_id, row.partition_digest): row.partitions for row in rows}.items())
    metrics = [(row.pk, name, float(value)) for row in rows for name, value in row.metrics.items()]
    with prepared() as cursor:
        cursor.execute(
            _ROWS.format(inserting=inserting(_HAPPENINGS), WRITTEN=WRITTEN),
            {
                "partition_of": column_of(artifact for (artifact, _), _ in partitions),
                "partition_digests": column_of(digest for (_, digest), _ in partitions),
                "partition_values": column_of(json.dumps(values) for _, values in partitions),
                "metric_of": column_of(pk for pk, _, _ in metrics),
                "metric_names": column_of(name for _, name, _ in metrics),
                "metric_values": column_of(value for _, _, value in metrics),
                "kind": PUBLISHED.name,
                "ats": column_of(row.created_at for row in rows),
                "projects": column_of(row.artifact.project for row in rows),
                "domains": column_of(row.artifact.domain for row in rows),
                "subjects": column_of(str(row) for row in rows),
                "artifacts": column_of(row.artifact_id for row in rows),
                "versions": column_of(row.pk for row in rows),
                "executions": column_of(row.execution_key for row in rows),
                "actors": column_of(row.created_by for row in rows),
            },
        )
        told(cursor.fetchall())
