"""Launching what is due, each nominal time once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

from django.conf import settings
from django.db import transaction
from django.utils import timezone as clock
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2

from artifacts.exceptions import AlreadyExists, CausewayError
from artifacts.literals.encode import datetime_primitive
from lineage.actions.record import record_started
from lineage.models import LinkKind
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.models import Execution, ExecutionMode, LaunchPlan, Schedule, ScheduleFire
from scheduler.recurrence import TICK, Cron, missed
from scheduler.schedules.parse import recurrence_of
from scheduler.vouching import SCHEDULE, vouched

logger = logging.getLogger(__name__)


def fire_due(*, now: datetime | None = None) -> int:
    """Launches everything that is due and returns how many nominal times were dealt with.

    After downtime every missed time is launched once, in order, at most CAUSEWAY_SCHEDULE_CATCH_UP of them per
    schedule: the newest. Several schedulers may call it at once.
    """
    moment = now or clock.now()
    fired, broken = 0, set[int]()
    while _fire_next(moment, broken):
        fired += 1
    return fired - len(broken)


def _fire_next(now: datetime, broken: set[int]) -> bool:
    """One nominal time of the schedule that waits longest; False when nothing (that nobody else holds) is due."""
    with transaction.atomic():
        schedule = (
            Schedule.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("launch_plan")
            .filter(active=True, next_fire_at__lte=now)
            .exclude(pk__in=broken)
            .order_by("next_fire_at", "pk")
            .first()
        )
        if schedule is None or schedule.next_fire_at is None:
            return False
        try:
            with transaction.atomic():
                _fire_missed(schedule, schedule.next_fire_at, now)
        except Exception:  # noqa: BLE001 - a schedule that cannot fire now must not hold up the others
            logger.exception("%s could not fire, and is tried again", schedule)
            broken.add(schedule.pk)
    return True


def _fire_missed(schedule: Schedule, planned: datetime, now: datetime) -> None:
    """Fires the first nominal time that is still to be dealt with, and plans the next."""
    offset = timedelta(seconds=schedule.offset_seconds)
    recurrence = recurrence_of(schedule)
    limit = settings.CAUSEWAY_SCHEDULE_CATCH_UP
    due = missed(recurrence, planned - offset, now - offset, limit=limit)
    if isinstance(recurrence, Cron) and recurrence.next_after(planned - offset - TICK) != planned - offset:
        # What the line means, or the clocks of its zone, changed since that was planned (an upgrade): no time of it.
        logger.warning("%s: %s is no time of it any more", schedule, planned - offset)
        schedule.next_fire_at = due[0] + offset if due else recurrence.next_after(now - offset) + offset
        schedule.save(update_fields=["next_fire_at"])
        return
    # A rate changed under the row is no reason to stand still: fire what was planned.
    nominal = due[0] if due else planned - offset
    if nominal > planned - offset:
        logger.warning(
            "%s: fire times from %s to %s are dropped, only the newest %d are caught up with",
            schedule, planned - offset, nominal, limit,
        )  # fmt: skip
    _fire(schedule, nominal)
    schedule.last_fire_at = nominal
    schedule.next_fire_at = recurrence.next_after(nominal) + offset
    schedule.save(update_fields=["last_fire_at", "next_fire_at"])


def _fire(schedule: Schedule, nominal: datetime) -> None:
    fire, new = ScheduleFire.objects.get_or_create(schedule=schedule, fire_at=nominal)
    if not new:
        return
    try:
        with transaction.atomic():
            fire.execution = _launch(schedule, nominal)
    except AlreadyExists:
        plan = schedule.launch_plan
        fire.execution = Execution.objects.filter(
            project=plan.project, domain=plan.domain, name=execution_name(schedule, nominal)
        ).first()
    except CausewayError as error:  # nothing would change if it were tried again
        logger.warning("%s at %s was not launched: %s", schedule, nominal, error.message)
        fire.error = error.message
    fire.save(update_fields=["execution", "error"])


def _launch(schedule: Schedule, nominal: datetime) -> Execution:
    plan = schedule.launch_plan
    authority = vouched(schedule, place=(plan.project, plan.domain), otherwise=SCHEDULE)
    return launch_nominal(schedule, nominal, actor=authority.principal, only_in=authority.project)


def launch_nominal(schedule: Schedule, nominal: datetime, *, actor: str, only_in: str = "") -> Execution:
    """The execution of a nominal time. AlreadyExists when there is one; whatever else a launch raises."""
    plan = schedule.launch_plan
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier_of(plan))
    spec.metadata.scheduled_at.FromDatetime(nominal)
    name = execution_name(schedule, nominal)
    request = LaunchRequest(plan.project, plan.domain, name, spec, _inputs(schedule, nominal))
    execution = launch(request, actor=actor, only_in=only_in, mode=ExecutionMode.SCHEDULED)
    record_started(
        execution.key,
        kind=LinkKind.SCHEDULE,
        source=f"schedule:{schedule.pk}",
        at=execution.created_at,
        detail={"nominal": nominal.isoformat(), "expression": schedule.expression},
    )
    return execution


def run_now(schedule: Schedule, *, actor: str) -> Execution:
    """Launch once by hand what it launches by the clock: its kickoff input gets this moment, to the second."""
    now = clock.now().replace(microsecond=0)
    plan = schedule.launch_plan
    request = LaunchRequest(
        plan.project,
        plan.domain,
        "",
        execution_pb2.ExecutionSpec(launch_plan=identifier_of(plan)),
        _inputs(schedule, now),
    )
    return launch(request, actor=actor)


def _inputs(schedule: Schedule, nominal: datetime) -> literals_pb2.LiteralMap:
    inputs = literals_pb2.LiteralMap()
    if schedule.kickoff_input:
        scalar = literals_pb2.Scalar(primitive=datetime_primitive(nominal))
        inputs.literals[schedule.kickoff_input].CopyFrom(literals_pb2.Literal(scalar=scalar))
    return inputs


def identifier_of(plan: LaunchPlan) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=identifier_pb2.LAUNCH_PLAN,
        project=plan.project,
        domain=plan.domain,
        name=plan.name,
        version=plan.version,
    )


def execution_name(schedule: Schedule, nominal: datetime) -> str:
    """The same for the same time, so that launching twice finds the first."""
    return f"s{schedule.pk}-{nominal.astimezone(timezone.utc):%Y%m%d-%H%M%S}"
