"""A version that nothing waits for is done when it is published; of any other, who waits learns after the commit.

Whether anything waits is asked by the statement that inserts the version, in the words of whoever may wait
(`install_waiters`). Nobody who begins to wait is overlooked: a publication that asks holds a lock until its commit,
together with others that publish, and whoever begins to wait takes it alone. What was done without seeing him is
committed by then, and he is told which it was.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from artifacts.arrays import column_of
from artifacts.declarations import Key

_LOCK = "hashtextextended('waiting for versions', 0)"
# False while somebody begins to wait, who is not waited for: then the version is not done, and looked at later.
MAY_ASK = f"(SELECT pg_try_advisory_xact_lock_shared({_LOCK}))"
_waiters = ["true"]  # SQL over a row of `artifact`; where nobody says better, something may always wait

# What it is written with tells it from a version that was looked at: that takes some time. Shadows are nobody's.
_DONE = """
    CASE WHEN (SELECT ({waiters}) FROM artifacts_artifact AS artifact WHERE artifact.id = new.artifact_id)
    THEN new.triggers_evaluated_at ELSE new.created_at END
"""
_OVERLOOKED = """
    UPDATE artifacts_artifactversion AS version SET triggers_evaluated_at = NULL
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted(project, domain, name)
    JOIN artifacts_artifact AS artifact USING (project, domain, name)
    WHERE version.artifact_id = artifact.id AND version.created_at >= %s
      AND version.triggers_evaluated_at = version.created_at AND NOT version.is_shadow
    RETURNING version.id
"""


def install_waiters(sql: str) -> None:
    """Who may wait: true of an `artifact` (a row of that table) of which some versions are waited for."""
    _waiters[:] = [sql]


def done_if_none_waits() -> dict[str, str]:
    """For `insert_rows` of versions, in a transaction that may ask (MAY_ASK): when they were looked at."""
    return {"triggers_evaluated_at": _DONE.format(waiters=_waiters[0])}


def begin_to_wait(artifacts: Collection[Key], *, since: datetime) -> list[int]:
    """For whoever waits from now on, before the end of the transaction that says so: versions published `since` without
    seeing that. They are to be looked at again.

    Waits for publications that asked. They hold nothing that a caller may wait for, nor wait for one.
    """
    columns = [column_of(part) for part in zip(*sorted(artifacts), strict=True)] or ["{}"] * 3
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        cursor.execute(_OVERLOOKED, [*columns, since])
        return sorted(key for (key,) in cursor.fetchall())
