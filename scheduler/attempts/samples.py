"""What attempts used, sample by sample, kept beside them: at most MOST points of one, however long it runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import transaction

from scheduler.attempts.observations import Used
from scheduler.models import AttemptSamples, TaskExecution

MOST = 120
Point = list[float | None]


def keep(seen: Iterable[Used]) -> int:
    """Add the samples to what is kept of each attempt; returns of how many. Each attempt has one writer, its executor.

    An attempt that is gone meanwhile is left out.
    """
    by_attempt: dict[int, list[Used]] = defaultdict(list)
    for one in seen:
        by_attempt[one.attempt_id].append(one)
    with transaction.atomic():
        known = AttemptSamples.objects.in_bulk(by_attempt)
        there = set(TaskExecution.objects.filter(pk__in=by_attempt).values_list("pk", flat=True))
        rows = [_added(known.get(pk) or AttemptSamples(attempt_id=pk), by_attempt[pk]) for pk in sorted(there)]
        AttemptSamples.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["attempt"],
            update_fields=["points", "peak_cpu", "peak_memory", "cpu_seconds"],
        )
    return len(rows)


def _added(row: AttemptSamples, new: Sequence[Used]) -> AttemptSamples:
    for one in new:
        row.points.append([round(one.after, 1), round(one.cpu, 3), one.memory, one.gpu])
        row.peak_cpu, row.peak_memory = max(row.peak_cpu, one.cpu), max(row.peak_memory, one.memory)
        row.cpu_seconds = max(row.cpu_seconds, one.cpu_seconds)
    row.points = thinned(row.points)
    return row


def thinned(points: list[Point]) -> list[Point]:
    """At most MOST of them: every other goes until that is so; the newest stays."""
    while len(points) > MOST:
        points = points[len(points) % 2 == 0 :: 2]
    return points
