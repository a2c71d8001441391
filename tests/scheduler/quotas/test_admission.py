"""Executions that wait for a quota of executions or launches."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from flytekit import task, workflow

from scheduler import doing
from scheduler.actions import executions, quotas
from scheduler.actions.quotas import Setter, Wanted, scope_of
from scheduler.advance import advance
from scheduler.attempts.claims import claim
from scheduler.attempts.observations import Ended
from scheduler.attempts.reports import report_ends
from scheduler.executors.packing import Unbounded
from scheduler.models import Execution, Project, Quota, TaskExecution
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase
from scheduler.quotas.admission import admit, look, used
from scheduler.quotas.why import Why
from tests.scheduler.driving import Driver, compiled, start, store_workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
ADMIN = Setter("ada", platform=True)


@task
def one() -> int:
    return 1


@workflow
def single() -> int:
    return one()


def launch(count: int, **fields: object) -> list[Execution]:
    stored = store_workflow(compiled(single))
    found = [start(stored) for _ in range(count)]
    Execution.objects.filter(pk__in=[row.pk for row in found]).update(**fields)
    for row in found:
        advance(row.pk)
    return list(Execution.objects.filter(pk__in=[row.pk for row in found]).order_by("pk"))


def quota(resource: str, limit: float, project: str = "demo") -> Quota:
    Project.objects.get_or_create(identifier=project or "demo")
    return quotas.set_quota(Wanted(scope_of(project=project), resource, limit), by=ADMIN)[0]


def reason(execution: Execution) -> Why | None:
    now = doing.of_execution(execution)
    return now.why if now is not None else None


def started() -> list[int]:
    return list(Execution.objects.filter(phase=ExecutionPhase.RUNNING).order_by("pk").values_list("pk", flat=True))


def go_on() -> None:
    admit()
    for row in Execution.objects.filter(dirty=True):
        advance(row.pk)


def end_one() -> None:
    (row,) = claim("local", "test", Unbounded(1), now=timezone.now()).rows
    report_ends([Ended(row.pk, Driver({"one": lambda: 1}).answer(row), timezone.now())], actor="test")
    for pk in started():
        advance(pk)


def test_no_more_run_than_the_quota_says_and_each_at_its_turn() -> None:
    quota("executions", 2)
    found = launch(5)
    assert started() == [found[0].pk, found[1].pk], "there was room, and nobody in line"
    assert {row.phase for row in found[2:]} == {ExecutionPhase.QUEUED} and not any(row.dirty for row in found)
    go_on()
    assert len(started()) == 2
    for n in range(3, 6):
        end_one()
        go_on()
        assert len(started()) == 2 and Execution.objects.filter(phase__in=EXECUTION_TERMINAL).count() == n - 2
    end_one()
    end_one()
    assert Execution.objects.filter(phase=ExecutionPhase.SUCCEEDED).count() == 5
    assert not Execution.objects.filter(waits_since__isnull=False).exists()


def test_nobody_starts_before_those_in_line_for_the_same_room() -> None:
    """A place has become free, and who has waited for it longest has not been told yet."""
    quota("executions", 1)
    first, second = launch(2)
    Execution.objects.filter(pk=first.pk).update(phase=ExecutionPhase.SUCCEEDED, ended_at=timezone.now())
    (late,) = launch(1)
    assert started() == [] and late.waits_since is not None
    go_on()
    assert started() == [second.pk]


def test_a_line_of_others_is_passed() -> None:
    quota("executions", 0, "theirs")
    quota("executions", 1)
    launch(3, project="theirs")
    (mine,) = launch(1)
    assert started() == [mine.pk] and mine.admitted_at is not None


def test_other_projects_are_not_touched() -> None:
    quota("executions", 0, "other")
    (row,) = launch(1)
    assert row.phase == ExecutionPhase.RUNNING and row.admitted_at is None


def test_launches_a_minute() -> None:
    quota("launches", 2)
    found = launch(3)
    go_on()
    assert len(started()) == 2
    told = reason(Execution.objects.get(pk=found[2].pk))
    assert told is not None and (told.code, told.place, told.of) == ("launch limit", 1, 1)
    assert told.message == "2 of 2 launches a minute have started (quota of project demo)"
    Execution.objects.filter(pk=found[0].pk).update(admitted_at=timezone.now() - timedelta(seconds=61))
    go_on()
    assert len(started()) == 3


def test_what_waits_says_so_and_can_be_aborted() -> None:
    quota("executions", 0)
    first, second = launch(2)
    go_on()
    told = reason(second)
    assert told is not None
    assert told.words == (
        "quota: asks for 1 executions, 0 of 0 are in use (quota of project demo); number 2 of 2 in line"
    )
    executions.abort(first, cause="no more", actor="ann")
    advance(first.pk)
    first.refresh_from_db()
    assert first.phase == ExecutionPhase.ABORTED
    told = reason(second)
    assert told is not None and (told.place, told.of) == (1, 1)


def test_the_place_in_line_is_by_priority_and_age() -> None:
    quota("executions", 0)
    first, second = launch(2)
    (urgent,) = launch(1, priority=5)
    places = [reason(row) for row in (urgent, first, second)]
    assert [(one.place, one.of) for one in places if one is not None] == [(1, 3), (2, 3), (3, 3)]


def test_what_is_used_is_known_without_reading_who_waits() -> None:
    quota("executions", 2)
    launch(4)
    go_on()
    now = timezone.now()
    with CaptureQueriesContext(connection) as captured:
        ledger = used(now)
    assert dict(ledger.used) == dict(look(now)[0].ledger.used) == {Quota.objects.get().pk: 2.0}
    assert "RECURSIVE" not in "".join(one["sql"] for one in captured)


def test_lifting_the_quota_lets_them_go() -> None:
    row = quota("executions", 0)
    launch(3)
    go_on()
    assert started() == []
    quotas.remove_quota(row.pk, by=ADMIN)
    go_on()
    assert len(started()) == 3


def test_parts_go_with_the_whole() -> None:
    """Else a parent that holds the one place would wait for its child, and the child for that place."""
    quota("executions", 1)
    launch(1)
    go_on()
    (part,) = launch(1, is_part=True)
    assert part.phase == ExecutionPhase.RUNNING
    launch(1)
    go_on()
    assert len(started()) == 2, "a part takes no place, and frees none"


def test_projects_take_turns() -> None:
    quota("executions", 0, "")
    mine = launch(10)
    theirs = launch(3, project="theirs")
    quotas.set_quota(Wanted(scope_of(project=""), "executions", 4), by=ADMIN)
    go_on()
    assert len(set(started()) & {row.pk for row in mine}) == 2
    assert len(set(started()) & {row.pk for row in theirs}) == 2


def test_without_quotas_the_first_turn_asks_nothing_besides() -> None:
    stored = store_workflow(compiled(single))
    start_one = start(stored)
    with CaptureQueriesContext(connection) as captured:
        advance(start_one.pk)
    asked = [one["sql"] for one in captured if "scheduler_quota" in one["sql"]]
    assert len(asked) == 1 and "FOR NO KEY UPDATE" in asked[0], "sent along with the lock"
    assert TaskExecution.objects.get().lane is not None
