"""Clusters that stay for later tasks, as a task's own environment says it."""

from __future__ import annotations

from datetime import timedelta

VARIABLE = "CAUSEWAY_REUSE_CLUSTER"
LONGEST = timedelta(days=1)


def reuse(*, minutes: float) -> dict[str, str]:
    """For `environment=` of a Spark, Dask or Ray task: its cluster waits so long for the next such task of its project.

    >>> reuse(minutes=10)
    {'CAUSEWAY_REUSE_CLUSTER': '600'}

    :raises ValueError: for less than a second or more than a day
    """
    seconds = round(minutes * 60)
    if not 1 <= seconds <= LONGEST.total_seconds():
        raise ValueError(f"a cluster waits for a second to a day, not for {minutes} minutes")
    return {VARIABLE: str(seconds)}
