"""Keeping versions from being removed while something that needs them is being written."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from artifacts.exceptions import FailedPrecondition


class Removed(FailedPrecondition):
    """A version that was just found has been removed since: another look may find another."""


# The weakest lock: it keeps nobody from anything but removing, which locks FOR UPDATE before it asks who needs them.
_HOLD = """
    SELECT id FROM artifacts_artifactversion WHERE id = ANY(%s) AND removed_at IS NULL ORDER BY id FOR KEY SHARE
"""


def hold(version_ids: Collection[int]) -> set[int]:
    """Those of the versions that are not removed, nor will be before the caller's transaction has ended.

    Whoever wants to remove one waits for that, and then finds what the transaction wrote (`remove`).
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [sorted(version_ids)])
        return {pk for (pk,) in cursor.fetchall()}
