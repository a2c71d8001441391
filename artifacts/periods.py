"""Time partitions as people name them. Models use this, so that it knows none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

# By flyteidl.core.Granularity: hour, day, month; what is finer, or not known to be coarse, shows its minute.
_FORMATS = {2: "%Y-%m-%d %H:00", 3: "%Y-%m-%d", 4: "%Y-%m"}
TIME = "time"  # what a time partition is called among the others


def format_period(moment: datetime, granularity: int) -> str:
    """In UTC: `2026-11` of a month, `2026-11-26` of a day, `2026-11-26 14:00` of an hour or a minute."""
    return moment.astimezone(timezone.utc).strftime(_FORMATS.get(granularity, "%Y-%m-%d %H:%M"))


def shown_partitions(
    partitions: Mapping[str, str], time_partition: datetime | None, granularity: int
) -> list[tuple[str, str]]:
    """All partitions of a version for people, the time among them."""
    found = sorted(partitions.items())
    return found if time_partition is None else [*found, (TIME, format_period(time_partition, granularity))]
