"""Launching nominal times of the past that nothing came of: a range of them, each once, whoever asks and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from django.db import transaction
from django.utils.timezone import now as clock

from artifacts.exceptions import AlreadyExists, CausewayError, InvalidArgument, PermissionDenied
from audit.record import record
from scheduler.models import Execution, Schedule, ScheduleFire
from scheduler.schedules.fire import execution_name, launch_nominal
from scheduler.schedules.parse import recurrence_of

MOST = 500  # nominal times of a range
AT_ONCE = 100  # launched by one call
EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Slot:
    """A nominal time. `fire`: what came of it so far; with an execution it is never launched again."""

    at: datetime
    fire: ScheduleFire | None = None

    @property
    def is_open(self) -> bool:
        return self.fire is None or self.fire.execution_id is None


@dataclass(frozen=True)
class Filled:
    """What a call did. `left`: open ones that it did not come to."""

    launched: list[Execution]
    refused: list[tuple[datetime, str]]
    left: int


def slots(schedule: Schedule, start: datetime, end: datetime, *, now: datetime | None = None) -> list[Slot]:
    """The nominal times from `start` up to `end`, that itself not among them, the oldest first. InvalidArgument."""
    moment = now or clock()
    if start < EARLIEST:
        raise InvalidArgument(f"a range begins in {EARLIEST.year} at the earliest, not at {start.isoformat()}")
    if start >= end:
        raise InvalidArgument(f"the range has to begin before it ends: {start.isoformat()} to {end.isoformat()}")
    if end > moment:
        raise InvalidArgument("a range ends now at the latest: what is to come is launched by the clock")
    times = list(_times(schedule, start, end))
    if len(times) > MOST:
        raise InvalidArgument(f"more than {MOST} times lie in that range: choose a shorter one")
    known = ScheduleFire.objects.filter(schedule=schedule, fire_at__in=times).select_related("execution")
    fires = {fire.fire_at: fire for fire in known.defer("execution__spec", "execution__error")}
    return [Slot(at, fires.get(at)) for at in times]


def _times(schedule: Schedule, start: datetime, end: datetime) -> Iterator[datetime]:
    recurrence = recurrence_of(schedule)
    at = recurrence.next_after(start - timedelta(microseconds=1))
    for _ in range(MOST + 1):
        if at >= end:
            return
        yield at
        at = recurrence.next_after(at)


def backfill(schedule: Schedule, start: datetime, end: datetime, *, actor: str) -> Filled:
    """Launch what is open in the range, by the name and with the rights of `actor`, the oldest first, AT_ONCE at most.

    A time that is refused keeps none of the others; its reason is kept at it. Raises what `slots` raises, and
    PermissionDenied. Two calls at once launch each time once.
    """
    waiting = [slot for slot in slots(schedule, start, end) if slot.is_open]
    launched, refused = [], []
    for slot in waiting[:AT_ONCE]:
        try:
            execution = _fill(schedule, slot.at, actor)
        except PermissionDenied:
            raise
        except CausewayError as error:
            refused.append((slot.at, error.message))
        else:
            launched += [execution] if execution is not None else []
    detail = {"start": start.isoformat(), "end": end.isoformat(), "launched": len(launched), "refused": len(refused)}
    record(actor, "schedule.backfill", schedule.launch_plan, detail=detail)
    return Filled(launched, refused, max(len(waiting) - AT_ONCE, 0))


def _fill(schedule: Schedule, at: datetime, actor: str) -> Execution | None:
    """None: somebody else was first. CausewayError, kept at the time too: it was refused."""
    ScheduleFire.objects.get_or_create(schedule=schedule, fire_at=at)
    problem: CausewayError | None = None
    execution: Execution | None = None
    with transaction.atomic():
        fire = ScheduleFire.objects.select_for_update().get(schedule=schedule, fire_at=at)
        if fire.execution_id is not None:
            return None
        try:
            with transaction.atomic():
                execution = fire.execution = launch_nominal(schedule, at, actor=actor)
            fire.error = ""
        except AlreadyExists:  # launched, and its fire was not written any more
            plan = schedule.launch_plan
            named = {"project": plan.project, "domain": plan.domain, "name": execution_name(schedule, at)}
            fire.execution = Execution.objects.filter(**named).first()
        except CausewayError as error:
            problem, fire.error = error, error.message
        fire.save(update_fields=["execution", "error"])
    if problem is not None:
        raise problem
    return execution
