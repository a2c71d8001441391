"""Versions published together: those that nothing waits for are done in one statement."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

_UNWATCHED = """
    UPDATE artifacts_artifactversion AS version SET triggers_evaluated_at = clock_timestamp()
    FROM artifacts_artifact AS artifact
    WHERE artifact.id = version.artifact_id AND version.id = ANY(%s) AND version.triggers_evaluated_at IS NULL
      AND NOT EXISTS (
          SELECT 1 FROM scheduler_triggersource AS source
          WHERE source.active AND source.alias = '' AND source.name = artifact.name
            AND source.project = artifact.project AND source.domain = artifact.domain
      )
      AND NOT EXISTS (
          SELECT 1 FROM scheduler_triggerfiring AS firing
          WHERE firing.outcome IN ('waiting', 'unresolved')
            AND firing.lacks @> ARRAY[artifact.project || '/' || artifact.domain || '/' || artifact.name]::varchar[]
      )
"""
_LEFT = "SELECT id FROM artifacts_artifactversion WHERE id = ANY(%s) AND triggers_evaluated_at IS NULL ORDER BY id"


def pass_by(version_ids: Sequence[int]) -> list[int]:
    """Note as done the versions that no active trigger watches and no firing lacks; the others, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(_UNWATCHED, [list(version_ids)])
        cursor.execute(_LEFT, [list(version_ids)])
        return [pk for (pk,) in cursor.fetchall()]
