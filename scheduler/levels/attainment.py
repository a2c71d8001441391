"""How well service levels were kept, and how available Causeway was: sums over rows, which anybody may recompute."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Q
from django.db.models.functions import TruncDay

from scheduler.levels.rules import Span, gaps, share_kept
from scheduler.models import Execution, FiringOutcome, LevelOutcome, Notification, ServiceLevel, TriggerFiring, UpTime
from scheduler.phases import EXECUTION_FAILED

WINDOW = timedelta(days=30)
SILENCE = timedelta(seconds=60)  # without a sign of life: it was down


@dataclass(frozen=True)
class Attainment:
    """`share`: from 0 to 1, of what was due, or of FRESH of the time; None while nothing was due."""

    met: int
    breached: int
    share: float | None
    open_since: datetime | None = None  # of a breach that lasts


def attainment(levels: Collection[ServiceLevel], *, now: datetime, window: timedelta = WINDOW) -> dict[int, Attainment]:
    """By level, over the window before now, or since it was set. Two queries."""
    since = now - window
    rows = LevelOutcome.objects.filter(level__in=levels)
    recent = rows.filter(Q(at__gte=since) | Q(until__gte=since) | Q(until__isnull=True))
    counted = recent.values("level").annotate(
        kept=Count("pk", filter=Q(met=True)), bad=Count("pk", filter=Q(met=False))
    )
    counts = {row["level"]: (row["kept"], row["bad"]) for row in counted}
    fresh = [level.pk for level in levels if level.kind == ServiceLevel.Kind.FRESH]
    spans: dict[int, list[LevelOutcome]] = {}
    for row in recent.filter(level__in=fresh, met=False):
        spans.setdefault(row.level_id, []).append(row)
    found = {}
    for level in levels:
        met, bad = counts.get(level.pk, (0, 0))
        of = spans.get(level.pk, [])
        if level.kind == ServiceLevel.Kind.FRESH:
            whole = Span(max(since, level.set_at), level.removed_at or now)
            share = share_kept([Span(row.at, row.until or now) for row in of], whole)
        else:
            share = met / (met + bad) if met + bad else None
        found[level.pk] = Attainment(met, bad, share, next((row.at for row in of if row.until is None), None))
    return found


def over_time(level: ServiceLevel, *, now: datetime, window: timedelta = WINDOW) -> list[tuple[datetime, int, int]]:
    """Of each day (UTC) on which something was due: how often it was met, and how often not. The oldest first."""
    rows = LevelOutcome.objects.filter(level=level, at__gte=now - window).annotate(day=TruncDay("at")).order_by("day")
    counted = rows.values("day").annotate(kept=Count("pk", filter=Q(met=True)), bad=Count("pk", filter=Q(met=False)))
    return [(row["day"], row["kept"], row["bad"]) for row in counted]


# The newest span goes on while its end is no longer ago than a sign of life may take; else a new one begins.
_ALIVE = """
    WITH went_on AS (
        UPDATE scheduler_uptime SET until = %(now)s WHERE id = (
            SELECT id FROM scheduler_uptime WHERE until > %(now)s - %(silence)s * interval '1 second'
            ORDER BY until DESC LIMIT 1
        ) AND until < %(now)s RETURNING id
    )
    INSERT INTO scheduler_uptime (since, until) SELECT %(now)s, %(now)s
    WHERE NOT EXISTS (SELECT FROM went_on)
        AND NOT EXISTS (SELECT FROM scheduler_uptime WHERE until > %(now)s - %(silence)s * interval '1 second')
"""


def note_alive(now: datetime) -> None:
    """A sign of life, by every sweep."""
    with connection.cursor() as cursor:
        cursor.execute(_ALIVE, {"now": now, "silence": SILENCE.total_seconds()})


@dataclass(frozen=True)
class Availability:
    """Causeway's own, over a window: where nothing was at work, and what was lost or broke."""

    window: Span
    down: list[Span]
    share: float | None  # of the window's time in which it was at work, from 0 to 1
    counts: Mapping[str, int]


def availability(*, now: datetime, window: timedelta = WINDOW) -> Availability:
    """Since the first sign of life, at most the window. `counts`: executions that failed or timed out,
    notifications given up, reactions that could not be launched or came too late.
    """
    first = UpTime.objects.order_by("since").values_list("since", flat=True).first()
    whole = Span(max(now - window, first or now), now)
    rows = UpTime.objects.filter(until__gte=whole.since)
    spans = [Span(row.since, row.until + SILENCE) for row in rows]  # alive for so long after a sign
    down = [Span(one.since - SILENCE, one.until) for one in gaps(spans, whole)]
    firings = TriggerFiring.objects.filter(at__gte=whole.since)
    counts = {
        "executions_failed": Execution.objects.filter(
            ended_at__gte=whole.since, phase__in=sorted(EXECUTION_FAILED)
        ).count(),
        "notifications_given_up": Notification.objects.filter(given_up_at__gte=whole.since).count(),
        "reactions_failed": firings.filter(outcome=FiringOutcome.FAILED).count(),
        "reactions_expired": firings.filter(outcome=FiringOutcome.EXPIRED).count(),
    }
    return Availability(whole, down, share_kept(down, whole), counts)
