"""Until when a search for partition values can have found anything, told by the combinations of values that there were.

They are far fewer than versions, and the newest version of each is one look into an index. So a value that was given up
a year ago costs no search through the year.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import MINYEAR, datetime, timezone
from functools import reduce
from operator import or_

from django.db.models import Max, OuterRef, Q, Subquery

from artifacts.models import ArtifactVersion, Partition
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
    slices = Partition.objects.filter(*wanted)
    if slices[: LOOKED_UP + 1].count() > LOOKED_UP:
        return None
    of_slice = ArtifactVersion.objects.filter(artifact=OuterRef("artifact"), partition_digest=OuterRef("digest"))
    newest = of_slice.order_by("-created_at", "-pk").values("created_at")[:1]
    found: datetime | None = slices.aggregate(newest=Max(Subquery(newest)))["newest"]
    return found or NEVER


def _is_value(condition: Condition) -> bool:
    return bool(partition_key(condition)) and not condition.negated


def _holds(condition: Condition) -> Q:
    return Q(values__contains={partition_key(condition): condition.value})
