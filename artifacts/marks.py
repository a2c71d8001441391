"""How far a table of growing numbers was read, so that each row is read once and none is left out.

A number is given out before its transaction ends, so those after it may be seen first. A range is whole once every
transaction is over that was under way, or could begin, when its last number was given out.

A row's number is given out before its transaction has one, too, if that row is the first that it writes: such
transactions are told by the lock of the table, which they have before. While there are any, no range begins.

A database that was restored into another server has a mark of transactions that this one has not come to: it begins to
wait anew, for those that there are here.
"""

from __future__ import annotations

from django.db import connection

from artifacts.models import Mark

_GIVEN = "SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence(%s, 'id')::regclass), 0)"
_UNNUMBERED = """
    WITH held AS MATERIALIZED (SELECT * FROM pg_locks WHERE granted)
    SELECT EXISTS (
        SELECT FROM held AS writer
        WHERE locktype = 'relation' AND relation = %s::regclass AND mode = 'RowExclusiveLock'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND pid IS DISTINCT FROM pg_backend_pid() AND NOT EXISTS (
                SELECT FROM held
                WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock'
                    AND virtualtransaction = writer.virtualtransaction
            )
    )
"""
_OVER = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""
# Beyond those of all that are under way. A snapshot's xmax is not: it follows the last one that is over.
_OWN = "SELECT pg_current_xact_id()::text::bigint"


def step(mark: Mark, table: str, *, most: int) -> tuple[int, int]:
    """(after, upto): numbers of the table to read now, `most` at a time. The mark is moved on and saved, in the
    caller's transaction, unless there is nothing to do; a new one begins with what comes from now on.
    """
    with connection.cursor() as cursor:
        # One after the other: of whoever drew a number up to `newest`, the last one knows whether he is over.
        cursor.execute(_GIVEN, [table])
        (newest,) = cursor.fetchone()
        if mark.pk is not None and newest > mark.ahead_to:
            cursor.execute(_UNNUMBERED, [table])
            (unnumbered,) = cursor.fetchone()
            newest = mark.ahead_to if unnumbered else newest
        cursor.execute(_OVER)
        oldest, following = cursor.fetchone()
    if mark.pk is None:
        mark.counted_to, mark.ahead_to, mark.ahead_xid = newest, newest, _own()
        mark.save()
        return newest, newest
    after = mark.counted_to
    if following < mark.ahead_xid:
        mark.ahead_to, mark.ahead_xid = newest, _own()
        mark.save()
        return after, after
    upto = min(mark.ahead_to, after + most) if oldest >= mark.ahead_xid else after
    if upto == mark.ahead_to and newest > mark.ahead_to:
        mark.ahead_to, mark.ahead_xid = newest, _own()
    elif upto == after:
        return after, after
    mark.counted_to = upto
    mark.save()
    return after, upto


def _own() -> int:
    with connection.cursor() as cursor:
        cursor.execute(_OWN)
        return int(cursor.fetchone()[0])
