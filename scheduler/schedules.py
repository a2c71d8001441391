"""Schedules of launch plans: what a spec says, and launching what is due, each nominal time once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from django.conf import settings
from django.db import transaction
from django.utils import timezone as clock
from flyteidl.admin import execution_pb2, schedule_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, types_pb2

from artifacts.exceptions import AlreadyExists, CausewayError, InvalidArgument
from artifacts.literals import describe_type
from artifacts.literals.encode import datetime_primitive
from lineage.actions.record import record_started
from lineage.models import LinkKind
from scheduler.models import Execution, ExecutionMode, LaunchPlan, Schedule, ScheduleFire
from scheduler.recurrence import TICK, Cron, Rate, Recurrence, check_rate, missed, parse_cron, parse_every, parse_offset
from scheduler.vouching import SCHEDULE, vouched

logger = logging.getLogger(__name__)

_UNITS = {
    schedule_pb2.MINUTE: timedelta(minutes=1),
    schedule_pb2.HOUR: timedelta(hours=1),
    schedule_pb2.DAY: timedelta(days=1),
}


@dataclass(frozen=True)
class Plan:
    """The columns of a Schedule that a spec determines."""

    kind: Schedule.Kind
    expression: str
    offset_seconds: int = 0


def schedule_of(schedule: schedule_pb2.Schedule, expected: interface_pb2.ParameterMap) -> Plan | None:
    """What the spec says, None when it has no schedule.

    Raises InvalidArgument for a malformed expression, a required input that nothing gives, or a kickoff input that is
    not a datetime input of the launch plan.
    """
    plan = _plan_of(schedule)
    if plan is None:
        return None
    kickoff = schedule.kickoff_time_input_arg
    unbound = sorted(name for name, one in expected.parameters.items() if one.required and name != kickoff)
    if unbound:
        raise InvalidArgument(
            "Cannot create a launch plan with a schedule if there is an unbound required input. "
            f"[{', '.join(unbound)}] is required"
        )
    if kickoff:
        _check_kickoff(kickoff, expected)
    return plan


def _check_kickoff(kickoff: str, expected: interface_pb2.ParameterMap) -> None:
    datetimes = sorted(name for name, one in expected.parameters.items() if one.var.type.simple == types_pb2.DATETIME)
    hint = f"; the datetime inputs are: {', '.join(datetimes) or 'none'}"
    if kickoff not in expected.parameters:
        raise InvalidArgument(
            "Cannot create a schedule with a KickoffTimeInputArg that does not point to a free input. "
            f"[{kickoff}] is not free or does not exist{hint}"
        )
    if kickoff not in datetimes:
        given = describe_type(expected.parameters[kickoff].var.type)
        raise InvalidArgument(f"KickoffTimeInputArg must reference a datetime input. [{kickoff}] is a {given}{hint}")


def _plan_of(schedule: schedule_pb2.Schedule) -> Plan | None:
    which = schedule.WhichOneof("ScheduleExpression")
    if which == "rate":
        if schedule.rate.value == 0:
            return None  # an empty schedule, to Flyte
        every = check_rate(schedule.rate.value * _UNITS[schedule.rate.unit])
        return Plan(Schedule.Kind.RATE, str(int(every.total_seconds())))
    cron = schedule.cron_schedule.schedule if which == "cron_schedule" else schedule.cron_expression
    if not cron:
        return None
    offset = int(parse_offset(schedule.cron_schedule.offset).total_seconds())
    every_so_often = parse_every(cron)
    if every_so_often is not None:
        return Plan(Schedule.Kind.RATE, str(int(every_so_often.total_seconds())), offset)
    parse_cron(cron)
    if len(cron) > 255:
        raise InvalidArgument("a cron expression cannot exceed 255 characters")
    return Plan(Schedule.Kind.CRON, cron.strip(), offset)


def recurrence_of(schedule: Schedule) -> Recurrence:
    if schedule.kind == Schedule.Kind.CRON:
        return parse_cron(schedule.expression)
    anchor = schedule.anchor_at or datetime.fromtimestamp(0, timezone.utc)
    return Rate(timedelta(seconds=int(schedule.expression)), anchor)


def start(schedule: Schedule, *, at: datetime) -> None:
    """Begins to fire with the first nominal time after `at`; times before are nobody's. The caller saves."""
    schedule.active = True
    schedule.anchor_at = at
    schedule.next_fire_at = recurrence_of(schedule).next_after(at) + timedelta(seconds=schedule.offset_seconds)


def stop(schedule: Schedule) -> None:
    schedule.active = False
    schedule.next_fire_at = None


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
    from scheduler.actions.launch import LaunchRequest, launch

    plan = schedule.launch_plan
    authority = vouched(schedule, place=(plan.project, plan.domain), otherwise=SCHEDULE)
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier_of(plan))
    spec.metadata.scheduled_at.FromDatetime(nominal)
    inputs = literals_pb2.LiteralMap()
    if schedule.kickoff_input:
        scalar = literals_pb2.Scalar(primitive=datetime_primitive(nominal))
        inputs.literals[schedule.kickoff_input].CopyFrom(literals_pb2.Literal(scalar=scalar))
    request = LaunchRequest(plan.project, plan.domain, execution_name(schedule, nominal), spec, inputs)
    mode, confined = ExecutionMode.SCHEDULED, authority.project
    execution = launch(request, actor=authority.principal, only_in=confined, mode=mode)
    record_started(
        execution.key,
        kind=LinkKind.SCHEDULE,
        source=f"schedule:{schedule.pk}",
        at=execution.created_at,
        detail={"nominal": nominal.isoformat(), "expression": schedule.expression},
    )
    return execution


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
