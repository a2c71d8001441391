"""Until when a search for partition values can have found anything, told by the combinations of values that there were.

They are far fewer than versions, and of each it is noted when it was last published. So a value that was given up a
year ago costs no search through the year.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import MINYEAR, datetime, timezone
from functools import reduce
from operator import or_

from django.core.exceptions import EmptyResultSet
from django.db.models import Count, Max, Q

from artifacts.last_published import unnoted, until
from artifacts.models import ArtifactVersion, Partition
from artifacts.search.filters import partition_key
from artifacts.search.language import Condition

LOOKED_UP = 30_000  # combinations, of 0.7 µs each; with more, the values are frequent, and near
UNNOTED = 10_000  # versions, likewise
NEVER = datetime(MINYEAR, 1, 1, tzinfo=timezone.utc)


def newest_in_slices(groups: Sequence[Sequence[Condition]]) -> datetime | None:
    """A time after which no version with these partition values was published, within the hour of the last one; None:
    cannot be told, NEVER: there is none.

    Of each group of conditions one must hold. Those that are not about partition values are not looked at.
    """
    wanted = [group for group in groups if all(map(_is_value, group))]
    new = unnoted() if wanted else None
    if new is None or new.most > UNNOTED:
        return None
    some = Partition.objects.filter(*_holding("values", wanted)).values("last_in")[: LOOKED_UP + 1]
    others = ArtifactVersion.objects.filter(*_holding("partitions", wanted), pk__gt=new.after)
    try:
        noted = some.aggregate(number=Count("*"), last=Max("last_in"))
        if noted["number"] > LOOKED_UP:
            return None
        newest = [others.aggregate(last=Max("created_at"))["last"], noted["last"] and until(noted["last"])]
    except EmptyResultSet:
        return NEVER
    return max((at for at in newest if at is not None), default=NEVER)


def _is_value(condition: Condition) -> bool:
    return bool(partition_key(condition)) and not condition.negated


def _holding(column: str, groups: Sequence[Sequence[Condition]]) -> list[Q]:
    return [reduce(or_, (_holds(column, condition) for condition in group)) for group in groups]


def _holds(column: str, condition: Condition) -> Q:
    return Q(**{f"{column}__contains": {partition_key(condition): condition.value}})
