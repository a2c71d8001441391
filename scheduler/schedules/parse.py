"""What the schedule of a launch plan's spec says, and when a stored one recurs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from flyteidl.admin import schedule_pb2
from flyteidl.core import interface_pb2, types_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals import describe_type
from scheduler.models import Schedule
from scheduler.recurrence import Rate, Recurrence, check_rate, parse_cron, parse_every, parse_offset

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
