"""What goes on at a glance: one row a workflow or trigger however often it ran, storms of triggers, days of a week.

Every look touches a bounded number of rows, also where one trigger made nearly all that there is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import TruncDay

from scheduler.models import Execution, Trigger, TriggerFiring, Workflow
from scheduler.phases import EXECUTION_FAILED

SAMPLE = 500  # newest rows that are grouped
STORM_WINDOW = timedelta(minutes=10)
STORM_A_MINUTE = 6.0  # so many firings a minute, over the window, are a storm
STORM_SAMPLE = 20_000  # newest firings that are counted
WEEK = 7


@dataclass(frozen=True)
class Storm:
    """A trigger that fires and fires. `outcomes`: of the firings in the window."""

    trigger: Trigger
    count: int
    outcomes: Mapping[str, int]
    newest: datetime

    @property
    def a_minute(self) -> float:
        return self.count / (STORM_WINDOW.total_seconds() / 60)


def storms(triggers: QuerySet[Trigger], *, now: datetime) -> list[Storm]:
    """Of these triggers, those that fire too often right now, the fiercest first."""
    recent = TriggerFiring.objects.filter(at__gt=now - STORM_WINDOW).order_by("-at", "-id")
    outcomes: dict[int, Counter[str]] = defaultdict(Counter)
    newest: dict[int, datetime] = {}
    for trigger, outcome, at in recent.values_list("trigger_id", "outcome", "at")[:STORM_SAMPLE]:
        outcomes[trigger][outcome] += 1
        newest.setdefault(trigger, at)
    least = STORM_A_MINUTE * STORM_WINDOW.total_seconds() / 60
    fierce = {pk: counts for pk, counts in outcomes.items() if counts.total() >= least}
    if not fierce:
        return []
    found = [
        Storm(row, fierce[row.pk].total(), fierce[row.pk], newest[row.pk]) for row in triggers.filter(pk__in=fierce)
    ]
    return sorted(found, key=lambda storm: -storm.count)


@dataclass
class Repeated:
    """Executions of one workflow: the newest, and how many there were among those looked at."""

    newest: Execution
    count: int = 1
    failed: int = 0


def by_workflow(rows: QuerySet[Execution], *, most: int, owners: QuerySet[Workflow]) -> list[Repeated]:
    """The newest execution of each workflow's name among the newest SAMPLE; where a few fill all of these, those of
    the others are looked for, among `owners`. Only what is shown is read whole.
    """
    columns = ("pk", "phase", "project", "domain", "workflow__name")
    plain = rows.select_related(None).order_by("-created_at", "-pk").values_list(*columns)
    looked_at = list(plain[:SAMPLE])
    counted: dict[tuple[str, ...], list[int]] = {}
    for pk, phase, *key in looked_at:
        group = counted.setdefault(tuple(key), [pk, 0, 0])
        group[1] += 1
        group[2] += phase in EXECUTION_FAILED
    if len(counted) < most and len(looked_at) == SAMPLE:
        others = plain.filter(pk__in=newest_of_each(owners, rows, "workflow", 2 * most))
        for pk, _, *key in others:
            counted.setdefault(tuple(key), [pk, 1, 0])
    chosen = list(counted.values())[:most]
    found = rows.in_bulk([pk for pk, _, _ in chosen])
    return [Repeated(found[pk], count, failed) for pk, count, failed in chosen if pk in found]


def days(rows: QuerySet[Execution], *, now: datetime) -> list[tuple[datetime, Mapping[int, int]]]:
    """Of the last WEEK days, today among them: how many executions began, by their phase. The oldest first."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=WEEK - 1)
    counted = (
        rows.filter(created_at__gte=first)
        .order_by()
        .annotate(day=TruncDay("created_at"))
        .values_list("day", "phase")
        .annotate(count=Count("pk"))
    )
    found: dict[datetime, dict[int, int]] = {first + timedelta(days=day): {} for day in range(WEEK)}
    for day, phase, count in counted:
        found.setdefault(day, {})[phase] = count
    return sorted(found.items())


def newest_of_each(owners: QuerySet[Any], rows: QuerySet[Any], relation: str, most: int) -> list[int]:
    """Primary keys of the newest row of each owner, at most so many of them, the newest first: a look into an index
    for each owner, however many rows it has.
    """
    plain = rows.select_related(None).prefetch_related(None).order_by("-created_at", "-pk")
    newest = plain.filter(**{relation: OuterRef("pk")})
    of_each = owners.annotate(newest=Subquery(newest.values("pk")[:1])).values_list("newest", flat=True)
    found = [pk for pk in of_each if pk is not None]
    return list(plain.filter(pk__in=found).values_list("pk", flat=True)[:most])
