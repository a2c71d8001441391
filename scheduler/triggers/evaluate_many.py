"""Versions published together: those that nothing waits for are done in one statement."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from scheduler.triggers.waiters import WAITERS

_UNWATCHED = f"""
    UPDATE artifacts_artifactversion AS version SET triggers_evaluated_at = clock_timestamp()
    FROM artifacts_artifact AS artifact
    WHERE artifact.id = version.artifact_id AND version.id = ANY(%s) AND version.triggers_evaluated_at IS NULL
      AND NOT ({WAITERS})
"""  # noqa: S608 - of a constant
_LEFT = "SELECT id FROM artifacts_artifactversion WHERE id = ANY(%s) AND triggers_evaluated_at IS NULL ORDER BY id"


def pass_by(version_ids: Sequence[int]) -> list[int]:
    """Note as done the versions that no active trigger watches and no firing lacks; the others, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(_UNWATCHED, [list(version_ids)])
        cursor.execute(_LEFT, [list(version_ids)])
        return [pk for (pk,) in cursor.fetchall()]
