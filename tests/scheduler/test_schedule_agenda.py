"""What came of the times of a schedule; pausing and running now."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, NotFound
from audit.models import AuditEvent
from scheduler.actions.launch_plans import set_state
from scheduler.models import Execution, ExecutionMode, LaunchPlan, Schedule, ScheduleFire
from scheduler.phases import ExecutionPhase
from scheduler.schedules.agenda import Outcome, agenda, next_up
from scheduler.schedules.fire import fire_due, run_now
from scheduler.schedules.switch import pause, resume
from tests.scheduler.test_launch import inputs_of
from tests.scheduler.test_schedules import NOON, activated, hourly

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def outcomes(schedule: Schedule, now: datetime) -> list[str]:
    schedule.refresh_from_db()
    fires = ScheduleFire.objects.filter(schedule=schedule).select_related("execution")
    return [f"{tick.at:%H} {tick.outcome.value}" for tick in agenda(schedule, fires, now=now, span=DAY).past]


def test_each_time_says_what_came_of_it() -> None:
    schedule = activated(hourly(), at=NOON)
    fire_due(now=NOON + 3 * HOUR)  # 13, 14 and 15
    runs = {fire.fire_at.hour: fire.execution for fire in ScheduleFire.objects.select_related("execution")}
    for hour, over in ((13, {}), (14, {"phase": ExecutionPhase.FAILED}), (15, {})):
        created = NOON.replace(hour=hour) + (timedelta(minutes=9) if hour == 15 else timedelta(0))
        Execution.objects.filter(pk=runs[hour].pk).update(created_at=created, **over)  # type: ignore[union-attr]
    ScheduleFire.objects.create(schedule=schedule, fire_at=NOON + 4 * HOUR, error="no such version")
    Schedule.objects.filter(pk=schedule.pk).update(next_fire_at=NOON + 6 * HOUR)

    told = outcomes(schedule, NOON + 6 * HOUR + timedelta(minutes=1))

    assert told == ["13 launched", "14 failed", "15 late", "16 refused", "17 missed", "18 overdue"]


def test_what_is_just_due_is_not_yet_overdue_and_nothing_before_the_activation_is_missed() -> None:
    schedule = activated(hourly(), at=NOON)
    assert outcomes(schedule, NOON + HOUR + timedelta(seconds=5)) == []
    found = agenda(schedule, [], now=NOON, span=DAY)
    assert [tick.at for tick in found.coming] == [NOON + hour * HOUR for hour in range(1, 25)]
    assert found.counts == {} and found.worst is None


def test_an_offset_moves_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = activated(hourly("PT10M"), at=NOON)
    fire_due(now=NOON + HOUR + timedelta(minutes=10))
    Execution.objects.update(created_at=NOON + HOUR + timedelta(minutes=10, seconds=5))
    assert outcomes(schedule, NOON + HOUR + timedelta(minutes=11)) == ["13 launched"]
    coming = agenda(schedule, [], now=NOON + HOUR + timedelta(minutes=11), span=HOUR).coming
    assert [tick.at for tick in coming] == [NOON + 2 * HOUR + timedelta(minutes=10)]


def test_the_next_of_all_come_first() -> None:
    schedule = activated(hourly(), at=NOON)
    one = agenda(schedule, [], now=NOON, span=DAY)
    pairs = next_up([one, agenda(schedule, [], now=NOON + timedelta(minutes=90), span=DAY)], limit=3)
    assert [tick.at.hour for tick, _ in pairs] == [13, 14]


def test_a_paused_one_launches_nothing_and_goes_on_with_its_next_time() -> None:
    schedule = activated(hourly(), at=timezone.now() - 3 * HOUR)
    pause(schedule.pk, actor="ann")
    assert fire_due() == 0
    schedule.refresh_from_db()
    assert (schedule.active, schedule.paused_by, schedule.next_fire_at) == (True, "ann", None)

    resume(schedule.pk, actor="bob")

    schedule.refresh_from_db()
    assert schedule.paused_at is None and schedule.next_fire_at is not None
    assert timezone.now() < schedule.next_fire_at <= timezone.now() + HOUR
    assert fire_due() == 0, "what fell due meanwhile is nobody's"
    trail = AuditEvent.objects.filter(verb__startswith="schedule.").order_by("pk")
    assert [(row.verb, row.actor) for row in trail] == [("schedule.pause", "ann"), ("schedule.resume", "bob")]
    with pytest.raises(FailedPrecondition, match="not paused"):
        resume(schedule.pk, actor="bob")


def test_times_of_a_pause_are_not_missed() -> None:
    schedule = activated(hourly(), at=NOON)
    Schedule.objects.filter(pk=schedule.pk).update(paused_at=NOON + timedelta(minutes=30), next_fire_at=None)
    assert outcomes(schedule, NOON + 2 * HOUR + timedelta(minutes=5)) == ["13 paused", "14 paused"]


def test_activating_and_deactivating_end_a_pause() -> None:
    schedule = activated(hourly(), at=NOON)
    pause(schedule.pk, actor="ann")
    set_state(schedule.launch_plan, LaunchPlan.State.INACTIVE, actor="ann")
    with pytest.raises(FailedPrecondition, match="not active"):
        pause(schedule.pk, actor="ann")
    set_state(schedule.launch_plan, LaunchPlan.State.ACTIVE, actor="ann")
    schedule.refresh_from_db()
    assert schedule.paused_at is None and schedule.next_fire_at is not None
    with pytest.raises(NotFound):
        pause(0, actor="ann")


def test_it_runs_once_now_with_this_moment_and_by_the_name_of_who_asked() -> None:
    schedule = activated(hourly(), at=NOON)
    run = run_now(schedule, actor="bob")
    assert (run.principal, run.mode) == ("bob", ExecutionMode.MANUAL)
    assert str(inputs_of(run)["when"])[:10] == f"{timezone.now():%Y-%m-%d}"
    assert not ScheduleFire.objects.exists()
    assert Outcome.COMING in {tick.outcome for tick in agenda(schedule, [], now=NOON, span=DAY).coming}
