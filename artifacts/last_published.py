"""In which hour each combination of partition values was last published.

Behind the publications, not on their way: every few seconds the slow queue's worker reads the versions that are new. So
a publication writes to no row that others share, and a combination is written to once an hour at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction

from artifacts import marks
from artifacts.models import ArtifactVersion, PartitionsMark

NOTING = (428, 19)  # advisory lock
AT_ONCE = 20_000  # versions
SECONDS = 2.0  # that one turn goes on for, where there are many
HOUR = timedelta(hours=1)
_NOTE = """
    UPDATE artifacts_partition AS part SET last_in = seen.last_in
    FROM (
        SELECT artifact_id, partition_digest, max(date_trunc('hour', created_at)) AS last_in
        FROM artifacts_artifactversion WHERE id > %s AND id <= %s GROUP BY artifact_id, partition_digest
    ) AS seen
    WHERE part.artifact_id = seen.artifact_id AND part.digest = seen.partition_digest
        AND (part.last_in IS NULL OR part.last_in < seen.last_in)
"""


def note_last_published(*, clock: Callable[[], float] = time.monotonic) -> int:
    """Note it of the versions that are new, and say how many numbers of them were looked through. Any number may try at
    a time; the first time begins with the first version that there ever was.
    """
    begun, looked = clock(), 0
    while (some := _note()) and clock() - begun < SECONDS:
        looked += some
    return looked + some


def _note() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", list(NOTING))
        if not cursor.fetchone()[0]:
            return 0
        mark = PartitionsMark.objects.first()
        if mark is None:
            mark = PartitionsMark.objects.create(counted_to=0, ahead_to=0, ahead_xid=0)
        after, upto = marks.step(mark, ArtifactVersion._meta.db_table, most=AT_ONCE)
        if after < upto:
            note_between(after, upto)
        return upto - after


def note_between(after: int, upto: int) -> None:
    """Note it of versions with these ids, beyond `after` and until `upto`. Again is as once."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [after, upto])


class Unnoted(NamedTuple):
    """Versions of which it is not noted yet: those with ids beyond `after`, and `most` at most."""

    after: int
    most: int


def unnoted() -> Unnoted | None:
    """None: there was no turn yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT counted_to, (SELECT max(id) FROM artifacts_artifactversion) FROM artifacts_partitionsmark"
        )
        row = cursor.fetchone()
    return None if row is None else Unnoted(row[0], max((row[1] or 0) - row[0], 0))


def until(last_in: datetime) -> datetime:
    """A time that no version of that hour comes after."""
    return last_in + HOUR
