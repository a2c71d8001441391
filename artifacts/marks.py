"""How far a table of growing numbers was read, so that each row is read once and none is left out.

A number is given out before its transaction ends, so those after it may be seen first. A range is whole once every
transaction is over that was under way, or could begin, when its last number was given out.

A database that was restored into another server has a mark of transactions that this one has not come to: it begins to
wait anew, for those that there are here.
"""

from __future__ import annotations

from django.db import connection

from artifacts.models import Mark

_AHEAD = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
        COALESCE(pg_sequence_last_value(pg_get_serial_sequence(%s, 'id')::regclass), 0)
"""


def step(mark: Mark, table: str, *, most: int) -> tuple[int, int]:
    """(after, upto): numbers of the table to read now, `most` at a time. The mark is moved on and saved, in the
    caller's transaction, unless there is nothing to do; a new one begins with what comes from now on.
    """
    with connection.cursor() as cursor:
        cursor.execute(_AHEAD, [table])
        oldest, following, newest = cursor.fetchone()
    if mark.pk is None:
        mark.counted_to, mark.ahead_to, mark.ahead_xid = newest, newest, following
        mark.save()
        return newest, newest
    after = mark.counted_to
    if following < mark.ahead_xid:
        mark.ahead_to, mark.ahead_xid = newest, following
        mark.save()
        return after, after
    upto = min(mark.ahead_to, after + most) if oldest >= mark.ahead_xid else after
    if upto == mark.ahead_to and newest > mark.ahead_to:
        mark.ahead_to, mark.ahead_xid = newest, following
    elif upto == after:
        return after, after
    mark.counted_to = upto
    mark.save()
    return after, upto
