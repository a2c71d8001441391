"""What schedules did and will do: each nominal time of a window with what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from scheduler.models import Schedule, ScheduleFire
from scheduler.phases import ExecutionPhase
from scheduler.recurrence import Recurrence
from scheduler.schedules.parse import recurrence_of

LATE = timedelta(minutes=1)  # a launch so long after it was due is late
GRACE = timedelta(seconds=30)  # what is due for so long has not been taken up
MOST = 200  # nominal times looked at, of one schedule and one side of now

_FAILED = (ExecutionPhase.FAILED, ExecutionPhase.TIMED_OUT, ExecutionPhase.ABORTED)


class Outcome(str, Enum):
    """What came of a nominal time. Its value is the word for it."""

    LAUNCHED = "launched"
    LATE = "late"  # launched, long after it was due
    FAILED = "failed"  # launched, and the execution did not succeed
    REFUSED = "refused"  # nothing was launched, and the fire says why
    MISSED = "missed"  # nobody dealt with it: too much had to be caught up with
    PAUSED = "paused"
    OVERDUE = "overdue"  # it should have been launched by now
    COMING = "coming"


TROUBLE = (Outcome.OVERDUE, Outcome.MISSED, Outcome.REFUSED, Outcome.FAILED, Outcome.LATE)  # the worst first


@dataclass(frozen=True)
class Tick:
    """`at`: when it is launched, the nominal time and the offset."""

    at: datetime
    outcome: Outcome
    fire: ScheduleFire | None = None


@dataclass(frozen=True)
class Agenda:
    schedule: Schedule
    recurrence: Recurrence
    past: list[Tick]  # oldest first
    coming: list[Tick]

    @property
    def counts(self) -> dict[Outcome, int]:
        """Of the past, the worst first."""
        counted = Counter(tick.outcome for tick in self.past)
        order = [*TROUBLE, Outcome.PAUSED, Outcome.LAUNCHED]
        return {outcome: counted[outcome] for outcome in order if counted[outcome]}

    @property
    def worst(self) -> Tick | None:
        """The newest of the worst that happened; None where all went well."""
        bad = [tick for tick in self.past if tick.outcome in TROUBLE]
        return min(reversed(bad), key=lambda tick: TROUBLE.index(tick.outcome)) if bad else None


def agenda(schedule: Schedule, fires: Iterable[ScheduleFire], *, now: datetime, span: timedelta) -> Agenda:
    """Of `span` before and after now, MOST times each. `fires`: those of the window, with their executions."""
    return window(schedule, fires, now=now, start=now - span, end=now + span)


def window(
    schedule: Schedule,
    fires: Iterable[ScheduleFire],
    *,
    now: datetime,
    start: datetime,
    end: datetime,
    most: int = MOST,
) -> Agenda:
    """From `start` to `end`, which may lie before or after now; `most` times on each side that no fire tells of."""
    offset = timedelta(seconds=schedule.offset_seconds)
    recurrence = recurrence_of(schedule)
    known = {fire.fire_at: fire for fire in fires}
    ticks = {at: Tick(at + offset, _outcome(fire, offset), fire) for at, fire in known.items()}
    if schedule.active and schedule.anchor_at is not None:
        since = max(start - offset, schedule.anchor_at)
        for at in _before(recurrence, min(now, end) - offset, since, most):
            if at not in ticks and (outcome := _untaken(schedule, at + offset, now)) is not None:
                ticks[at] = Tick(at + offset, outcome)
    past = [ticks[at] for at in sorted(ticks)]
    return Agenda(schedule, recurrence, past, _coming(schedule, recurrence, max(now, start), end, most))


def _before(recurrence: Recurrence, until: datetime, since: datetime, most: int) -> Iterable[datetime]:
    at = recurrence.last_before(until)
    for _ in range(most):
        if at <= since:
            return
        yield at
        at = recurrence.last_before(at)


def _coming(schedule: Schedule, recurrence: Recurrence, since: datetime, until: datetime, most: int) -> list[Tick]:
    found: list[Tick] = []
    at = schedule.next_fire_at
    offset = timedelta(seconds=schedule.offset_seconds)
    while at is not None and at <= until and len(found) < most:
        if at > since:
            found.append(Tick(at, Outcome.COMING))
        at = recurrence.next_after(max(at, since) - offset) + offset
    return found


def _untaken(schedule: Schedule, due: datetime, now: datetime) -> Outcome | None:
    if schedule.paused_at is not None and due >= schedule.paused_at:
        return Outcome.PAUSED
    if schedule.next_fire_at is not None and schedule.next_fire_at <= due:
        return Outcome.OVERDUE if now - due > GRACE else None
    return Outcome.MISSED


def _outcome(fire: ScheduleFire, offset: timedelta) -> Outcome:
    if fire.execution is None:
        return Outcome.REFUSED if fire.error else Outcome.LAUNCHED  # its execution may be gone by now
    if fire.execution.phase in _FAILED:
        return Outcome.FAILED
    return Outcome.LATE if fire.execution.created_at - fire.fire_at - offset > LATE else Outcome.LAUNCHED


def next_up(agendas: Sequence[Agenda], *, limit: int) -> list[tuple[Tick, Schedule]]:
    """What is due next of each, the soonest first: one that fires every minute does not hide the others."""
    merged = [(tick, one.schedule) for one in agendas for tick in one.coming[:1]]
    return sorted(merged, key=lambda pair: pair[0].at)[:limit]
