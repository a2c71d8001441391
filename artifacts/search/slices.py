"""Until when a search for partition values can have found anything, told by the combinations of values that there were.

They are far fewer than versions, and the newest version of each is one look into an index. So a value that was given up
a year ago costs no search through the year.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import MINYEAR, datetime, timezone
from functools import reduce
from operator import or_

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Q

from artifacts.models import Partition
from artifacts.search.filters import partition_key
from artifacts.search.language import Condition

LOOKED_UP = 4_000  # combinations; with more, the values are frequent, and near
NEVER = datetime(MINYEAR, 1, 1, tzinfo=timezone.utc)


def newest_in_slices(groups: Sequence[Sequence[Condition]]) -> datetime | None:
    """When the newest version with these partition values was published; None: cannot be told, NEVER: there is none.

    Of each group of conditions one must hold. Those that are not about partition values are not looked at.
    """
    wanted = [reduce(or_, map(_holds, group)) for group in groups if all(map(_is_value, group))]
    if not wanted:
        return None
    some = Partition.objects.filter(*wanted).values_list("artifact_id", "digest")[: LOOKED_UP + 1]
    try:
        sql, params = some.query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
    except EmptyResultSet:
        return NEVER
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST.format(slices=sql), params)
        number, newest = cursor.fetchone()
    return None if number > LOOKED_UP else newest or NEVER


# The newest version of each is looked for only where they are not too many.
_NEWEST = f"""
    WITH slice (artifact_id, digest) AS MATERIALIZED ({{slices}}), number AS (SELECT count(*) AS slices FROM slice)
    SELECT slices, CASE WHEN slices <= {LOOKED_UP} THEN (
        SELECT max((
            SELECT created_at FROM artifacts_artifactversion AS version
            WHERE version.artifact_id = slice.artifact_id AND version.partition_digest = slice.digest
            ORDER BY created_at DESC, id DESC LIMIT 1
        )) FROM slice
    ) END FROM number
"""  # noqa: S608 - a constant


def _is_value(condition: Condition) -> bool:
    return bool(partition_key(condition)) and not condition.negated


def _holds(condition: Condition) -> Q:
    return Q(values__contains={partition_key(condition): condition.value})
