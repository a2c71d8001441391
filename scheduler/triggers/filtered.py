"""The ledger's rows of triggers that watch an artifact, but not a version like this one: written by one statement."""

from __future__ import annotations

from artifacts.models import ArtifactVersion
from scheduler.phases import FiringOutcome
from scheduler.triggers.moves import put_selected

# The reason reads as `Match.watches` says it.
_NOTE = """
    SELECT watching.id, version.id, %s::bigint,
           'watches ' || string_agg(said.conditions, ' or ' ORDER BY source.position, source.id), version.created_at
    FROM artifacts_artifactversion AS version
    JOIN artifacts_artifact AS artifact ON artifact.id = version.artifact_id
    JOIN scheduler_triggersource AS source ON source.active AND source.alias = ''
        AND source.name = artifact.name
        AND source.project = artifact.project AND source.domain = artifact.domain
    JOIN scheduler_trigger AS watching ON watching.id = source.trigger_id
        AND watching.activated_at <= version.created_at
    CROSS JOIN LATERAL (
        SELECT concat_ws(
            ', ',
            (SELECT string_agg(key || '=' || value, ', ' ORDER BY key COLLATE "C")
             FROM jsonb_each_text(source.partitions)),
            'time partition ' || to_char(source.time_partition AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        ) AS conditions
    ) AS said
    WHERE version.id = %s
    GROUP BY watching.id, version.id
    HAVING NOT bool_or(
        source.partitions <@ version.partitions
        AND (source.time_partition IS NULL OR coalesce(source.time_partition = version.time_partition, false))
    )
"""


def note_filtered(version: ArtifactVersion, publication: int | None) -> None:
    """`publication`: the happening of it. Idempotent."""
    put_selected(_NOTE, [publication, version.pk], FiringOutcome.FILTERED)
