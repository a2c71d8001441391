from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from threading import Barrier

import pytest
from django.db import connection
from flyteidl.admin import execution_pb2, launch_plan_pb2, schedule_pb2
from flyteidl.core import identifier_pb2
from flytekit.models.schedule import Schedule as FlytekitSchedule
from pytest_django import Settings

from artifacts.exceptions import InvalidArgument
from artifacts.literals import from_json
from lineage.models import ExecutionLink
from scheduler.actions.launch_plans import set_state
from scheduler.actions.register import register_launch_plan
from scheduler.models import Execution, ExecutionMode, LaunchPlan, Schedule, ScheduleFire
from scheduler.schedules.fire import fire_due
from scheduler.schedules.switch import start
from tests.flyte import register_all
from tests.scheduler import programs
from tests.scheduler.test_launch import INTEGER, identifier, inputs_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def activated(
    schedule: schedule_pb2.Schedule, *, at: datetime = NOON, fixed: object = 1, name: str = "timed"
) -> Schedule:
    """An active schedule of a launch plan of `timed`, as if activated at that time."""
    register_all(programs.timed)
    spec = launch_plan_pb2.LaunchPlanSpec(
        workflow_id=identifier("tests.scheduler.programs.timed", identifier_pb2.WORKFLOW)
    )
    spec.fixed_inputs.literals["x"].CopyFrom(from_json(fixed, INTEGER, name="x"))
    spec.entity_metadata.schedule.CopyFrom(schedule)
    plan = register_launch_plan(identifier(name), spec, actor="ann")
    set_state(plan, LaunchPlan.State.ACTIVE, actor="ann")
    made = Schedule.objects.get(launch_plan=plan)
    start(made, at=at)
    made.save()
    return made


def hourly(offset: str = "") -> schedule_pb2.Schedule:
    cron = schedule_pb2.CronSchedule(schedule="0 * * * *", offset=offset)
    return schedule_pb2.Schedule(cron_schedule=cron, kickoff_time_input_arg="when")


def kickoffs() -> list[object]:
    return [inputs_of(execution)["when"] for execution in Execution.objects.order_by("pk")]


def test_it_goes_by_the_clocks_of_the_zone_that_flytekits_model_carries() -> None:
    cron = FlytekitSchedule.CronSchedule("CRON_TZ=Europe/Berlin 0 14 * * *", "")
    activated(FlytekitSchedule("when", cron_schedule=cron).to_flyte_idl())
    assert fire_due(now=NOON + timedelta(minutes=59)) == 0
    assert fire_due(now=NOON + timedelta(minutes=61)) == 1
    assert kickoffs() == ["2026-03-01T13:00:00Z"]


def test_it_launches_what_is_due_with_the_scheduled_time() -> None:
    schedule = activated(hourly())
    assert fire_due(now=NOON + timedelta(minutes=59)) == 0
    assert fire_due(now=NOON + timedelta(minutes=61)) == 1
    assert fire_due(now=NOON + timedelta(minutes=61)) == 0
    execution = Execution.objects.get()
    assert inputs_of(execution) == {"when": "2026-03-01T13:00:00Z", "x": 1}
    assert (execution.name, execution.mode) == (f"s{schedule.pk}-20260301-130000", ExecutionMode.SCHEDULED)
    spec = execution_pb2.ExecutionSpec.FromString(bytes(execution.spec))
    assert spec.metadata.mode == execution_pb2.ExecutionMetadata.SCHEDULED
    assert spec.metadata.scheduled_at.ToJsonString() == "2026-03-01T13:00:00Z"
    assert ScheduleFire.objects.get().execution == execution
    assert ExecutionLink.objects.get(execution_key=execution.key).source == f"schedule:{schedule.pk}"
    schedule.refresh_from_db()
    assert schedule.last_fire_at == NOON + timedelta(hours=1)
    assert schedule.next_fire_at == NOON + timedelta(hours=2)


def test_it_catches_up_with_each_missed_time_once_in_order() -> None:
    activated(hourly())
    assert fire_due(now=NOON + timedelta(hours=3, minutes=1)) == 3
    assert kickoffs() == [f"2026-03-01T{hour}:00:00Z" for hour in (13, 14, 15)]


def test_a_time_that_was_planned_by_another_reading_of_the_line_does_not_fire() -> None:
    """As after an upgrade from a build that took `*/1` for no star: it had planned the next day, a Monday is meant."""
    cron = schedule_pb2.CronSchedule(schedule="0 0 */1 * MON")
    schedule = activated(schedule_pb2.Schedule(cron_schedule=cron, kickoff_time_input_arg="when"))
    wednesday = datetime(2026, 3, 4, tzinfo=timezone.utc)
    for now, fired in ((wednesday, []), (wednesday + timedelta(days=6), ["2026-03-09T00:00:00Z"])):
        Schedule.objects.filter(pk=schedule.pk).update(next_fire_at=wednesday)
        fire_due(now=now + timedelta(minutes=1))
        assert kickoffs() == fired
        schedule.refresh_from_db()
        assert schedule.next_fire_at is not None and schedule.next_fire_at.isoweekday() == 1


def test_it_drops_all_but_the_newest_missed_times(settings: Settings) -> None:
    settings.CAUSEWAY_SCHEDULE_CATCH_UP = 2
    schedule = activated(hourly())
    assert fire_due(now=NOON + timedelta(days=30)) == 2
    assert kickoffs() == ["2026-03-31T11:00:00Z", "2026-03-31T12:00:00Z"]
    schedule.refresh_from_db()
    assert schedule.next_fire_at == NOON + timedelta(days=30, hours=1)


def test_it_fires_an_offset_later_with_the_nominal_time() -> None:
    schedule = activated(hourly("PT10M"))
    assert schedule.next_fire_at == NOON + timedelta(minutes=70)
    assert fire_due(now=NOON + timedelta(minutes=65)) == 0
    assert fire_due(now=NOON + timedelta(minutes=70)) == 1
    assert kickoffs() == ["2026-03-01T13:00:00Z"]


def test_it_counts_a_fixed_rate_from_the_activation() -> None:
    rate = schedule_pb2.FixedRate(value=90, unit=schedule_pb2.MINUTE)
    activated(schedule_pb2.Schedule(rate=rate, kickoff_time_input_arg="when"))
    assert fire_due(now=NOON + timedelta(hours=3)) == 2
    assert kickoffs() == ["2026-03-01T13:30:00Z", "2026-03-01T15:00:00Z"]


def test_it_does_not_fire_when_deactivated() -> None:
    schedule = activated(hourly())
    set_state(schedule.launch_plan, LaunchPlan.State.INACTIVE, actor="ann")
    assert fire_due(now=NOON + timedelta(days=1)) == 0


def test_it_notes_why_a_launch_was_refused_and_goes_on() -> None:
    schedule = activated(hourly())
    LaunchPlan.objects.filter(pk=schedule.launch_plan_id).update(domain="development")
    schedule.kickoff_input = "nowhere"
    schedule.save()
    assert fire_due(now=NOON + timedelta(minutes=61)) == 1
    fire = ScheduleFire.objects.get()
    assert fire.execution is None
    assert 'invalid input "nowhere"' in fire.error
    assert fire_due(now=NOON + timedelta(minutes=61)) == 0


def test_a_schedule_that_cannot_fire_does_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broken, fine = activated(hourly(), name="broken"), activated(hourly(), name="fine")
    Schedule.objects.filter(pk=broken.pk).update(expression="nonsense")
    assert fire_due(now=NOON + timedelta(minutes=61)) == 1
    assert ScheduleFire.objects.get().schedule == fine
    assert "could not fire" in caplog.text
    Schedule.objects.filter(pk=broken.pk).update(expression="0 * * * *")
    assert fire_due(now=NOON + timedelta(minutes=61)) == 1


def test_six_fields_are_refused_at_registration_whichever_way_they_are_sent() -> None:
    six = "0 0 10 * * *"
    for schedule in (
        schedule_pb2.Schedule(cron_expression=six, kickoff_time_input_arg="when"),
        schedule_pb2.Schedule(cron_schedule=schedule_pb2.CronSchedule(schedule=six), kickoff_time_input_arg="when"),
    ):
        with pytest.raises(InvalidArgument, match="expected five fields .* this has 6"):
            activated(schedule)


def test_it_finds_an_execution_that_was_launched_before_a_crash() -> None:
    activated(hourly())
    fire_due(now=NOON + timedelta(minutes=61))
    execution = Execution.objects.get()
    ScheduleFire.objects.all().delete()
    Schedule.objects.update(next_fire_at=NOON + timedelta(hours=1))
    assert fire_due(now=NOON + timedelta(minutes=61)) == 1
    assert ScheduleFire.objects.get().execution == execution


@pytest.mark.django_db(transaction=True)
def test_it_fires_once_with_several_schedulers() -> None:
    plans = ("one", "two", "three")
    for name in plans:
        activated(hourly(), name=name)
    together = Barrier(4)

    def scheduler(_: int) -> int:
        try:
            together.wait(10)
            return fire_due(now=NOON + timedelta(hours=5))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(scheduler, range(4)))
    assert sum(counts) == ScheduleFire.objects.count() == 15
    expected = [f"2026-03-01T{hour}:00:00Z" for hour in range(13, 18)]
    for name in plans:
        mine = Execution.objects.filter(launch_plan__name=name).order_by("pk")
        assert [inputs_of(execution)["when"] for execution in mine] == expected
