"""Fills an installation: people, programs, executions, versions, reactions, schedules. One transaction for it all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib import import_module
from itertools import islice

from django.db import connection, transaction
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, InvalidArgument
from artifacts.models import ArtifactVersion
from console.accounts.models import RoleBinding, User
from console.filling.company import DAYS, DOMAIN, PEOPLE, PROJECTS, REGIONS, STORM, THINGS, Sizes
from console.filling.copying import Copy
from console.filling.registering import register_module
from console.filling.runs import nominal, runs
from console.filling.versions import Versions
from console.filling.writing import Executions, Written
from scheduler.actions import launch_plans
from scheduler.models import Execution, ExecutionMode, FiringOutcome, LaunchPlan, Schedule, ScheduleFire, TriggerFiring
from scheduler.quotas import used
from scheduler.schedules.parse import recurrence_of

MOST_VERSIONS, MOST_EXECUTIONS = 1_000_000, 100_000
PORTION = 2_000  # executions written at once
ACTIVE = (*(f"nightly_{region.lower()}" for region in REGIONS), "trips_every_hour", "payments_nightly")
_FIRING = (
    *(
        "trigger_id",
        "version_id",
        "outcome",
        "reason",
        "execution_id",
        "published_at",
        "at",
        "latency_ms",
        "generation",
    ),
)
Say = Callable[[str], None]


def fill(sizes: Sizes, *, more: bool = False, say: Say) -> None:
    """InvalidArgument for sizes that are too large; FailedPrecondition where executions or versions are there already,
    unless `more` of them are wanted.
    """
    if not 0 <= sizes.versions <= MOST_VERSIONS or not 0 <= sizes.executions <= MOST_EXECUTIONS:
        raise InvalidArgument(f"at most {MOST_VERSIONS:,} versions and {MOST_EXECUTIONS:,} executions")
    if not more and (Execution.objects.exists() or ArtifactVersion.objects.exists()):
        raise FailedPrecondition(
            "this installation has executions or versions already; --more adds to them, which cannot be undone"
        )
    begun = time.monotonic()
    now = timezone.now()
    with transaction.atomic():
        versions = Versions(sizes.seed + ArtifactVersion.objects.count(), now)
        written = _write(sizes, versions, now, say)
        _storm(written, versions, sizes, now)
        for count in versions.more(sizes.versions - versions.count):
            say(f"{count:,} versions")
        versions.aliases()
        _schedules(written, now)
        used.sum_up_past(now=now)
    _told(versions, written, time.monotonic() - begun, say)


def _write(sizes: Sizes, versions: Versions, now: datetime, say: Say) -> Executions:
    _people()
    written = Executions(sizes, _programs(), versions, now)
    made = runs(sizes, now)
    count = 0
    while portion := list(islice(made, PORTION)):
        written.write(portion)
        count += len(portion)
        say(f"{count:,} executions")
    return written


def _people() -> None:
    for name, roles in PEOPLE.items():
        person, _ = User.objects.get_or_create(username=name)
        for project, role in roles.items():
            RoleBinding.objects.get_or_create(user=person, project=project, domain="", role=role)


def _programs() -> dict[tuple[str, str], LaunchPlan]:
    """Launch plans by project and name, those with a schedule active."""
    for project in PROJECTS:
        module = import_module(f"examples.company.{project}")
        boss = next(name for name, roles in PEOPLE.items() if roles.get(project) == "admin")
        register_module(module, project=project, domain=DOMAIN, actor=boss)
        for plan in LaunchPlan.objects.filter(
            project=project, domain=DOMAIN, name__in=(*ACTIVE, STORM, "train_on_features")
        ):
            launch_plans.set_state(plan, LaunchPlan.State.ACTIVE, actor=boss)
    rows = LaunchPlan.objects.filter(project__in=PROJECTS, domain=DOMAIN)
    return {(row.project, row.name): row for row in rows.order_by("created_at")}


def _storm(written: Executions, versions: Versions, sizes: Sizes, now: datetime) -> None:
    """The ledger of what triggers launched, and of heartbeats that a limit held back."""
    table = Copy(TriggerFiring, *_FIRING)
    table.write(_fired(written.started))
    plan = written.plans["mobility", STORM]
    reason = "limit: 30 launches in 60 s are reached"
    held = [one for one in range(sizes.storm * 2 // 3) if versions.rng.random() < 0.9]
    pings = []
    for _ in held:
        at = now - timedelta(seconds=900 * versions.rng.random() ** 1.5)
        pings.append(versions.publish_outside(THINGS["fleet-ping"], versions.rng.choice(REGIONS), at))
    versions.flush()
    trigger = plan.trigger
    table.write((trigger.pk, one.pk, FiringOutcome.SKIPPED, reason, None, one.at, one.at, None, 1) for one in pings)


def _fired(started: list[Written]) -> Iterator[tuple[object, ...]]:
    seen: set[tuple[int, int]] = set()
    for one in started:
        if one.run.plan.mode != ExecutionMode.TRIGGER or one.used is None:
            continue
        trigger = one.plan.trigger
        if (trigger.pk, one.used.pk) not in seen:
            seen.add((trigger.pk, one.used.pk))
            took = min((one.run.at - one.used.at).total_seconds() * 1000, 80.0 + one.pk % 400)
            yield trigger.pk, one.used.pk, FiringOutcome.FIRED, "", one.pk, one.used.at, one.run.at, took, 1


def _schedules(written: Executions, now: datetime) -> None:
    """Schedules were active all the time, and each nominal time that an execution came of is dealt with."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    known: dict[int, Schedule] = {}
    for plan in written.plans.values():
        if plan.name in ACTIVE:
            schedule = plan.schedule
            schedule.anchor_at = midnight - timedelta(days=DAYS)
            schedule.next_fire_at = recurrence_of(schedule).next_after(now)
            schedule.save(update_fields=["anchor_at", "next_fire_at"])
            known[plan.pk] = schedule
    fires: dict[tuple[int, datetime], int] = {}
    dealt_with = set(ScheduleFire.objects.values_list("schedule_id", "fire_at"))
    for one in written.started:
        if one.run.plan.mode == ExecutionMode.SCHEDULED and one.plan.pk in known:
            at = nominal(one.run.plan, one.run.region, one.run.at)
            fires.setdefault((known[one.plan.pk].pk, at), one.pk)
    Copy(ScheduleFire, "schedule_id", "fire_at", "execution_id").write(
        (*key, pk) for key, pk in fires.items() if key not in dealt_with
    )


def _told(versions: Versions, written: Executions, took: float, say: Say) -> None:
    tables = {**written.tables, **versions.tables}
    rows = sum(table.count for table in tables.values())
    for name, table in tables.items():
        say(f"{name:<12} {table.count:>10,} rows {table.seconds:7.1f} s")
    say(f"{rows:,} rows in {took:.0f} s: {rows / max(took, 0.001):,.0f} rows a second")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
