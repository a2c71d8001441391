"""Keeping versions from being removed while something that needs them is being written."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from artifacts.exceptions import FailedPrecondition


class Removed(FailedPrecondition):
    """A version that was just found has been removed since: another look may find another."""


# The weakest lock: it keeps nobody from anything but removing, which locks FOR UPDATE before it asks who needs them.
_HOLD = """
    SELECT id, quarantined_at FROM artifacts_artifactversion
    WHERE id = ANY(%s) AND removed_at IS NULL ORDER BY id FOR KEY SHARE
"""


def hold(version_ids: Collection[int]) -> dict[int, datetime | None]:
    """Those of the versions that are not removed, nor will be before the caller's transaction has ended, with the time
    since which each is quarantined.

    Whoever wants to remove one waits for that, and then finds what the transaction wrote (`remove`).
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [sorted(version_ids)])
        return dict(cursor.fetchall())


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('data:' || %s, 0))"
_SHARE = """
    SELECT pg_advisory_xact_lock_shared(hashtextextended('data:' || uri, 0)) FROM unnest(%s::text[]) AS uri
"""


def hold_data(uris: Collection[str]) -> None:
    """Until the caller's transaction ends, nobody deletes what lies at these URIs for being a removed version's."""
    if uris:
        with connection.cursor() as cursor:
            cursor.execute(_SHARE, [sorted({uri.rstrip("/") for uri in uris})])


def lock_data(uri: str) -> None:
    """Until the caller's transaction ends, nobody publishes what lies there: whoever holds it is waited for."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [uri.rstrip("/")])


_HOLDS = "SELECT pg_advisory_xact_lock(hashtextextended('holds:' || id, 0)) FROM unnest(%s::bigint[]) AS id"
_HOLDS_SHARED = _HOLDS.replace("xact_lock(", "xact_lock_shared(")


def lock_holds(artifact_ids: Collection[int], *, changing: bool) -> None:
    """Until the caller's transaction ends, nobody puts all versions of one of these artifacts on hold; `changing`: nor
    removes one.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLDS if changing else _HOLDS_SHARED, [sorted(set(artifact_ids))])
