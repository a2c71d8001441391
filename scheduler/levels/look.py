"""Whether service levels are kept: looked at by the sweep, written once for each deadline, execution, day or span."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from artifacts.happenings import Kind as Happens
from artifacts.happenings import happened, register
from artifacts.models import ArtifactVersion
from scheduler.levels.rules import DAY, days, deadlines
from scheduler.models import LevelOutcome, ServiceLevel

logger = logging.getLogger(__name__)

ACTOR = "system:levels"
BREACHED = register("level.breached", "was not kept")
RESTORED = register("level.restored", "is kept again")
BATCH = 500  # executions of one level in one look
MOST_DUE = 400  # deadlines of one level that are made up for in one look
Kind = ServiceLevel.Kind


def look() -> None:
    """At every service level; one that fails keeps the others from nothing."""
    now = timezone.now()
    for pk in ServiceLevel.objects.filter(removed_at__isnull=True).order_by("pk").values_list("pk", flat=True):
        try:
            look_at(pk, now=now)
        except Exception:
            logger.exception("service level %s", pk)


def look_at(pk: int, *, now: datetime) -> None:
    """One of them, unless somebody else does."""
    with transaction.atomic():
        rows = ServiceLevel.objects.filter(pk=pk, removed_at__isnull=True)
        level = rows.select_for_update(of=("self",), no_key=True, skip_locked=True).first()
        if level is not None:
            _LOOKS[Kind(level.kind)](level, now)


def _new_by(level: ServiceLevel, now: datetime) -> None:
    """At each deadline: whether a version came since the one before it."""
    due = list(deadlines(level.looked_until, now, level.time, level.zone))[:MOST_DUE]
    for deadline in due:
        *_, before = deadlines(deadline - 3 * DAY, deadline - timedelta(seconds=1), level.time, level.zone)
        came = _newest(level, after=before, until=deadline)
        _write(
            level,
            key=deadline.isoformat(),
            met=came is not None,
            at=deadline,
            value=(deadline - came.created_at).total_seconds() if came is not None else None,
            subject=str(came) if came is not None else "",
        )
    if due:
        _looked(level, due[-1])


def _newest(level: ServiceLevel, *, after: datetime | None, until: datetime) -> ArtifactVersion | None:
    rows = ArtifactVersion.objects.select_related("artifact").filter(
        artifact__project=level.project,
        artifact__domain=level.domain,
        artifact__name=level.name,
        created_at__lte=until,
        is_shadow=False,
    )
    rows = rows.filter(created_at__gt=after) if after is not None else rows
    rows = rows.filter(partitions__contains=level.partitions) if level.partitions else rows
    return rows.defer("literal", "literal_type", "card", "terms").order_by("-created_at", "-pk").first()


def _fresh(level: ServiceLevel, now: datetime) -> None:
    """A span begins when the newest version is too old, and ends when another comes."""
    newest = _newest(level, after=None, until=now)
    since = max(newest.created_at, level.set_at) if newest is not None else level.set_at
    too_old = since + timedelta(seconds=level.seconds or 0)
    key = str(newest.pk) if newest is not None else "none"
    for row in LevelOutcome.objects.filter(level=level, met=False, until__isnull=True).exclude(key=key):
        row.until = newest.created_at if newest is not None else now
        row.save(update_fields=["until"])
        _happened(RESTORED, level, row)
    if too_old <= now:
        subject = str(newest) if newest is not None else ""
        age = (too_old - newest.created_at).total_seconds() if newest is not None else None
        _write(level, key=key, met=False, at=too_old, value=age, subject=subject, open_ended=True)


# Executions of the launch plan, whatever its version, that began since the level was set and are not judged yet: those
# that ended, and those that have run for too long already.
_JUDGED = """
    SELECT run.id, run.project || '/' || run.domain || '/' || run.name, run.created_at,
        extract(epoch FROM coalesce(run.ended_at, %(now)s) - run.created_at)::float8,
        run.ended_at IS NOT NULL AND run.ended_at - run.created_at <= %(most)s * interval '1 second'
    FROM scheduler_execution AS run JOIN scheduler_launchplan AS plan ON plan.id = run.launch_plan_id
    WHERE plan.project = %(project)s AND plan.domain = %(domain)s AND plan.name = %(name)s
        AND run.shadow_id IS NULL AND run.created_at >= %(since)s
        AND (run.ended_at IS NOT NULL OR run.created_at + %(most)s * interval '1 second' < %(now)s)
        AND NOT EXISTS (
            SELECT FROM scheduler_leveloutcome AS outcome
            WHERE outcome.level_id = %(level)s AND outcome.key = run.id::text
        )
    ORDER BY run.id LIMIT %(batch)s
"""
LATE = timedelta(days=7)  # an execution that ends so long after the look at it is judged still


def _ends_within(level: ServiceLevel, now: datetime) -> None:
    most = level.seconds or 0
    since = max(level.set_at, now - timedelta(seconds=most) - LATE)
    told = {"now": now, "most": most, "since": since, "level": level.pk, "batch": BATCH, **_plan(level)}
    for pk, key, began, took, met in _rows(_JUDGED, told):
        at = began + timedelta(seconds=min(took, most))  # it ended, or was late
        _write(level, key=str(pk), met=met, at=at, value=took, subject=key)


def _plan(level: ServiceLevel) -> dict[str, Any]:
    return {"project": level.project, "domain": level.domain, "name": level.name}


# Continuous percentile, as PostgreSQL's percentile_cont interpolates it, of the seconds from launch to end.
P95 = """
    SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM run.ended_at - run.created_at)::float8),
        count(*)
    FROM scheduler_execution AS run JOIN scheduler_launchplan AS plan ON plan.id = run.launch_plan_id
    WHERE plan.project = %(project)s AND plan.domain = %(domain)s AND plan.name = %(name)s
        AND run.shadow_id IS NULL AND run.ended_at >= %(since)s AND run.ended_at < %(until)s
"""


def _p95_within(level: ServiceLevel, now: datetime) -> None:
    """Of each day (UTC) the p95 of what ended in it; a day in which nothing ended is none."""
    ended = list(days(level.looked_until, now))[:MOST_DUE]
    for end in ended:
        ((p95, count),) = _rows(P95, {"since": end - DAY, "until": end, **_plan(level)})
        if count:
            day = (end - DAY).date().isoformat()
            met = p95 <= (level.seconds or 0)
            _write(level, key=day, met=met, at=end, value=p95, subject=f"{count} executions")
    if ended:
        _looked(level, ended[-1])


def _rows(sql: str, told: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, told)
        return list(cursor.fetchall())


_LOOKS: Mapping[ServiceLevel.Kind, Callable[[ServiceLevel, datetime], None]] = {
    Kind.NEW_BY: _new_by,
    Kind.FRESH: _fresh,
    Kind.ENDS_WITHIN: _ends_within,
    Kind.P95_WITHIN: _p95_within,
}


def _looked(level: ServiceLevel, until: datetime) -> None:
    ServiceLevel.objects.filter(pk=level.pk).update(looked_until=until)


def _write(
    level: ServiceLevel,
    *,
    key: str,
    met: bool,
    at: datetime,
    value: float | None,
    subject: str,
    open_ended: bool = False,
) -> None:
    """Once for each key; a breach is a happening, and people are told."""
    row, made = LevelOutcome.objects.get_or_create(
        level=level,
        key=key,
        defaults={
            "met": met,
            "at": at,
            "value": value,
            "subject": subject[:700],
            "until": None if open_ended else at,
        },
    )
    if made and not met:
        _happened(BREACHED, level, row, _said(level, row))


_OF_PLANS = (Kind.ENDS_WITHIN, Kind.P95_WITHIN)


def _happened(kind: Happens, level: ServiceLevel, row: LevelOutcome, said: str = "") -> None:
    plan = level.name if level.kind in _OF_PLANS else ""
    happened(
        kind,
        actor=ACTOR,
        subject=str(level),
        place=(level.project, level.domain),
        name=level.name,
        detail={
            **{"level": level.pk, "outcome": row.pk, "kind": level.kind, "value": row.value, "of": row.subject},
            **{"launch_plan": plan, "said": said},
        },
    )


def _said(level: ServiceLevel, row: LevelOutcome) -> str:
    return f"{level.project}/{level.domain}/{level.name}: {level.words}: not kept" + (
        f" ({row.subject})" if row.subject else ""
    )
