"""What goes on at a glance: one row a workflow or trigger however often it ran, storms of triggers, days of a week.

Every look touches a bounded number of rows, also where one trigger made nearly all that there is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDay

from scheduler.models import Execution, Trigger, TriggerFiring
from scheduler.phases import ExecutionPhase

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
    count: int = 0
    failed: int = 0
    keys: list[str] = field(default_factory=list)


def by_workflow(newest: Iterable[Execution], *, most: int) -> list[Repeated]:
    """`newest`: executions, the newest first, with their workflows. One row for each workflow's name."""
    found: dict[tuple[str, str, str], Repeated] = {}
    for row in newest:
        key = (row.project, row.domain, row.workflow.name)
        group = found.setdefault(key, Repeated(row))
        group.count += 1
        group.failed += row.phase in (ExecutionPhase.FAILED, ExecutionPhase.TIMED_OUT)
    return list(found.values())[:most]


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


def newest_of_each(rows: QuerySet[Execution], workflows: Sequence[int]) -> list[int]:
    """The newest execution of each workflow, by primary keys: where one workflow alone fills what is newest."""
    newest = rows.filter(workflow__in=workflows).order_by("workflow", "-created_at").distinct("workflow")
    return list(newest.values_list("pk", flat=True))
